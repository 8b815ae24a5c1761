"""The stages of the classifier."""

from pathlib import Path
from typing import Annotated

import typer

from quac.cli.command import Device, IndexFile, Key, Log, Out, StoreFile, Threads, stage
from quac.console import log
from quac.files import digest_of_file, write_json
from quac.provenance import Provenance
from quac.settings import read_settings


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
    from quac.device import choose_device

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
