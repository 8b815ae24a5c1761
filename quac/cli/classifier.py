"""The stages of the classifier."""

from pathlib import Path
from typing import Annotated

import typer

from quac.cli.command import (
    ClassifierFile,
    Device,
    FurtherJudges,
    IndexFile,
    Key,
    Log,
    Out,
    StoreFile,
    Threads,
    stage,
)
from quac.config.stages import read_settings
from quac.system.console import log
from quac.system.files import digest_of_file, write_json
from quac.system.provenance import Provenance


@stage
def fit_classifier(
    key: Key,
    store: StoreFile,
    index: IndexFile,
    validation_store: Annotated[Path, typer.Option(help="Pixels of the split that chooses the epoch.")],
    validation_index: Annotated[Path, typer.Option(help="Its index.")],
    out: Out,
    record: Annotated[Path, typer.Option(help="JSON file for losses and accuracy of each epoch.")],
    weights: Annotated[Path | None, typer.Option(help="File of weights to begin with.")] = None,
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Train a classifier on the training split, and write its best epoch on validation as TorchScript."""
    from quac.classifier.fit import fit_classifier, save_torchscript
    from quac.data.store import Store
    from quac.system.device import choose_device

    provenance, settings = Provenance("fit_classifier", key), read_settings(key)
    where = choose_device(device, threads, training=True)
    images, validation = Store.open(store, index), Store.open(validation_store, validation_index)
    network, fitted = fit_classifier(images, validation, settings, where, weights)
    save_torchscript(network, out)
    write_json(record, {**fitted, "provenance": provenance.record(device=str(where))})
    chosen = fitted["epochs"][fitted["chosen_epoch"] - 1]
    log.info(
        "%s, %d parameters: epoch %d of %d, which is %.1f %% right on validation (cross-entropy %.4f)",
        fitted["backbone"],
        fitted["parameters"],
        chosen["epoch"],
        len(fitted["epochs"]),
        100 * chosen["validation_accuracy"],
        chosen["validation_loss"],
    )


@stage
def check_classifier(
    key: Key,
    classifier: ClassifierFile,
    store: Annotated[list[Path], typer.Option(help="Pixels of a split; once per split.")],
    index: Annotated[list[Path], typer.Option(help="Index of a split, in the same order.")],
    out: Out,
    table: Annotated[Path, typer.Option(help="Parquet file: what the classifier says of every image.")],
    judge: FurtherJudges = None,
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Judge the real images of every split; stop where a classifier is too weak to be a judge."""
    import numpy as np
    import pandas as pd

    from quac.classifier.accuracy import accuracy_report, judge_store
    from quac.classifier.diagnosis import require_accuracy
    from quac.classifier.judge import Judge, open_judges
    from quac.data.store import Store
    from quac.system.device import choose_device
    from quac.system.tables import read_table, write_table

    provenance, settings = Provenance("check_classifier", key), read_settings(key)
    where = choose_device(device, threads)
    stores = {
        read_table(index_path).attrs["split"]: Store.open(path, index_path)
        for path, index_path in zip(store, index, strict=True)
    }
    classes = stores["train"].classes
    for images in stores.values():
        images.require(settings.model, classes)
    judges = {
        "": Judge(classifier, settings.judge, settings.model, classes, where),
        **open_judges(settings.judges, judge or [], settings.model, classes, where),
    }
    checks, tables = {}, []
    for name, one in judges.items():
        reports = {}
        for split, images in stores.items():
            logits = judge_store(one, images, settings.data, settings.batch_size, where)
            reports[split] = accuracy_report(logits, images.labels, classes)
            said = f"{name}, {split}" if name else split
            log.info("%s: %.1f %% of %d images right", said, 100 * reports[split]["accuracy"], len(images))
            if split == "validation":
                require_accuracy(one, logits, images, settings.data, settings.batch_size, settings.min_accuracy)
            if not name:
                labels = {"split": split, "path": images.paths, "class": np.array(classes, dtype=object)[images.labels]}
                columns = {f"logit_{own}": logits[:, i] for i, own in enumerate(classes)}
                tables.append(pd.DataFrame({**labels, **columns}))
        checks[name] = {
            "classifier": str(one.path),
            "digest": digest_of_file(one.path),
            "outputs": "probabilities" if one.gives_probabilities else "logits",
            "channels": one.channels,
            "splits": reports,
        }
    record = provenance.record(device=str(where))
    write_table(table, pd.concat(tables, ignore_index=True), classes=classes, provenance=record)
    first = checks.pop("")
    write_json(out, {**first, "classes": classes, "judges": checks, "provenance": record})
