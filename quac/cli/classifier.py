"""The stages of the classifier."""

from pathlib import Path
from typing import Annotated

import typer

from quac.cli.command import ClassifierFile, Device, IndexFile, Key, Log, Oracles, Out, StoreFile, Threads, stage
from quac.config.keys import read_key
from quac.system.files import write_json
from quac.system.provenance import Provenance


@stage
def fit_classifier(
    key: Key,
    store: StoreFile,
    index: IndexFile,
    validation_store: Annotated[Path, typer.Option(help="Pixels of the split that selects the epoch.")],
    validation_index: Annotated[Path, typer.Option(help="Index of that split.")],
    out: Out,
    record: Annotated[Path, typer.Option(help="JSON file for losses and accuracy of each epoch.")],
    weights: Annotated[Path | None, typer.Option(help="File of initial weights.")] = None,
    as_oracle: Annotated[bool, typer.Option("--as-oracle", help="Train the oracle: another seed and width.")] = False,
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Train a classifier on the training split, and write its best epoch on validation as TorchScript."""
    from quac.classifier.fit import fit_classifier, fit_oracle, save_torchscript
    from quac.data.store import Store
    from quac.system.device import choose_device

    name = "fit_oracle" if as_oracle else "fit_classifier"
    provenance, where = Provenance(name, key), choose_device(device, threads, training=True)
    images, validation = Store.open(store, index), Store.open(validation_store, validation_index)
    if as_oracle:
        network, fitted = fit_oracle(images, validation, read_key(key), where)
    else:
        network, fitted = fit_classifier(images, validation, read_key(key), where, weights)
    save_torchscript(network, out)
    write_json(record, {**fitted, "provenance": provenance.record(device=str(where))})


@stage
def check_classifier(
    key: Key,
    classifier: ClassifierFile,
    store: Annotated[list[Path], typer.Option(help="Pixels of a split; once per split.")],
    index: Annotated[list[Path], typer.Option(help="Index of a split, in the same order.")],
    out: Out,
    table: Annotated[Path, typer.Option(help="Parquet file for the logits of every real image.")],
    oracle: Oracles = None,
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Judge the real images of every split; stop if the accuracy of a classifier is too low."""
    from quac.classifier.check import check_classifier
    from quac.data.store import open_stores
    from quac.system.device import choose_device
    from quac.system.tables import write_table

    provenance, where = Provenance("check_classifier", key), choose_device(device, threads)
    check, judged = check_classifier(read_key(key), open_stores(store, index), classifier, oracle or [], where)
    record = provenance.record(device=str(where))
    write_table(table, judged, classes=check["classes"], provenance=record)
    write_json(out, {**check, "provenance": record})
