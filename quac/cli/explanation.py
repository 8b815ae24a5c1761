"""The stages that explain a converted split."""

from pathlib import Path
from typing import Annotated

import typer

from quac.cli.command import (
    ClassifierFile,
    Device,
    IndexFile,
    Key,
    Log,
    Oracles,
    Out,
    StoreFile,
    Threads,
    Workers,
    stage,
)
from quac.config.keys import read_key
from quac.system.provenance import Provenance


@stage
def explain(
    key: Key,
    table: Annotated[Path, typer.Option(help="Table of tries.")],
    controls: Annotated[Path, typer.Option(help="Controls of the split.")],
    generated: Annotated[Path, typer.Option(help="Folder of the best tries.")],
    classifier: ClassifierFile,
    store: StoreFile,
    index: IndexFile,
    out: Out,
    attributions: Annotated[Path, typer.Option(help="Folder for the attributions.")],
    masks: Annotated[Path, typer.Option(help="Folder for the masks.")],
    counterfactuals: Annotated[Path, typer.Option(help="Folder for the counterfactuals.")],
    oracle: Oracles = None,
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Find the smallest change that flips each decision, for the conversions of a split."""
    from quac.explanation.split_explanation import ExplanationFiles, ExplanationFolders, write_explanations
    from quac.system.device import choose_device

    provenance, config = Provenance("explain", key), read_key(key)
    files = ExplanationFiles(table, controls, classifier, oracle or [], store, index, out)
    folders = ExplanationFolders(generated, attributions, masks, counterfactuals)
    write_explanations(config, files, folders, choose_device(device, threads), provenance)


@stage
def features(
    key: Key,
    table: Annotated[list[Path], typer.Option(help="Table of explanations; once per style kind.")],
    store: StoreFile,
    index: IndexFile,
    out: Out,
    csv: Annotated[Path, typer.Option(help="The same as CSV.")],
    workers: Workers = 0,
    log_file: Log = None,
):
    """Measure features of queries, conversions, counterfactuals and real images, and what changes."""
    from quac.explanation.feature_changes import write_feature_changes

    write_feature_changes(table, store, index, out, csv, workers, Provenance("features", key))
