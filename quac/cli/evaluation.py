"""Stages from the tables of tries to scores and matrices."""

from pathlib import Path
from typing import Annotated

import typer

from quac.cli.command import ClassifierFile, Device, IndexFile, Key, Log, Oracles, Out, StoreFile, Threads, stage
from quac.config.keys import read_key
from quac.system.files import file_sha256, files_sha256, write_json, write_text
from quac.system.provenance import Provenance


@stage
def select_checkpoint(
    key: Key,
    scores: Annotated[str, typer.Option(help="Path of the table of a checkpoint's tries, with {step:06d} in it.")],
    index: IndexFile,
    out: Out,
    table: Annotated[Path, typer.Option(help="CSV file: one row per step and style kind.")],
    log_file: Log = None,
):
    """Choose the checkpoint that converts best."""
    from quac.evaluation.selection import select_checkpoint
    from quac.system.tables import csv_text

    provenance, config = Provenance("select_checkpoint", key), read_key(key)
    selected, rows = select_checkpoint(config, scores, index)
    write_text(table, csv_text(rows))
    tables = files_sha256(scores.format(step=step) for step in config.steps)
    record = provenance.record(files={"tables": tables, "score table": file_sha256(table)})
    write_json(out, {**selected, "provenance": record})


@stage
def matrices(
    key: Key,
    table: Annotated[Path, typer.Option(help="Table of tries.")],
    index: IndexFile,
    judged: Annotated[Path, typer.Option(help="Table of the classifier's outputs for real images.")],
    out: Annotated[list[Path], typer.Option(help="CSV file of a matrix; once per metric, in their order.")],
    cells: Annotated[Path, typer.Option(help="Parquet file: one row per class pair, with counts and intervals.")],
    cells_csv: Annotated[Path, typer.Option(help="The same as a CSV file.")],
    averages: Annotated[Path, typer.Option(help="JSON file: averages over the class pairs.")],
    log_file: Log = None,
):
    """Compute the numbers of each class pair, with counts and intervals."""
    from quac.evaluation.cells import write_matrices

    write_matrices(table, index, judged, out, cells, cells_csv, averages, Provenance("matrices", key))


@stage
def controls(
    key: Key,
    classifier: ClassifierFile,
    store: StoreFile,
    index: IndexFile,
    train_store: StoreFile,
    train_index: IndexFile,
    table: Annotated[list[Path], typer.Option(help="Table of tries of the split; once per style kind.")],
    out: Out,
    oracle: Oracles = None,
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Judge what is no conversion: unchanged queries, nearest real images, adversarial noise."""
    from quac.evaluation.controls import ControlFiles, Controls
    from quac.system.device import choose_device

    provenance, where = Provenance("controls", key), choose_device(device, threads)
    files = ControlFiles(classifier, oracle or [], store, index, train_store, train_index, table)
    measured = Controls(read_key(key), files, where).measure()
    made_from = {"classifier": file_sha256(classifier), "files": {"tables": files_sha256(table)}}
    record = provenance.record(device=str(where), **made_from)
    write_json(out, {**measured, "provenance": record})
