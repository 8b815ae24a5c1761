"""The stages of the training."""

from pathlib import Path
from typing import Annotated

import typer

from quac.cli.command import Device, IndexFile, Key, Log, Out, StoreFile, Threads, stage, user_command
from quac.system.console import log

LossClassifier = Annotated[Path | None, typer.Option(help="Classifier, for the classifier loss.")]


@stage
def train(
    key: Key,
    save_plan: Annotated[Path, typer.Option(help="Key file: how far to train, and which checkpoints to save.")],
    store: StoreFile,
    index: IndexFile,
    config: Annotated[Path, typer.Option(help="Key file of the whole config, for monitoring: tracker and evaluation.")],
    validation_store: StoreFile,
    validation_index: IndexFile,
    validation_classifier: Annotated[Path, typer.Option(help="Classifier, for the evaluation in training.")],
    states: Annotated[Path, typer.Option(help="Folder of the training states; each setting has a folder in it.")],
    out: Annotated[Path, typer.Option(help="JSON file that names the checkpoints.")],
    history: Annotated[Path, typer.Option(help="CSV file for the losses.")],
    samples: Annotated[Path, typer.Option(help="Folder for the sample grids.")],
    options: Annotated[str, typer.Option(help="JSON: how it is carried out, see quac.config.run_options.")],
    classifier: LossClassifier = None,
    init: Annotated[Path | None, typer.Option(help="Checkpoint with the initial weights.")] = None,
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
) -> None:
    """Train the conversion network, continuing from its last state if there is one."""
    from quac.config.keys import read_key
    from quac.config.run_options import RunOptions
    from quac.data.store import Store
    from quac.evaluation.in_training import TrainingEvaluation
    from quac.system.device import choose_device
    from quac.training.run import TrainingFiles, run_training

    files = TrainingFiles(key, save_plan, index, states, out, history, samples, classifier, init)
    watched, images = read_key(config), Store.open(store, index)
    chosen = choose_device(device, threads, training=True)
    validation = validation_classifier, validation_store, validation_index
    evaluate = TrainingEvaluation(watched, *validation, images, chosen)
    run_training(files, images, RunOptions.model_validate_json(options), watched, chosen, evaluate)


@stage
def publish(
    trained: Annotated[Path, typer.Option(help="What `train` wrote.")],
    key: Key,
    index: IndexFile,
    step: Annotated[int, typer.Option(help="Training step.")],
    out: Out,
    classifier: LossClassifier = None,
    log_file: Log = None,
) -> None:
    """Link a checkpoint from the training state to its place in the run."""
    from quac.training.marker import publish

    publish(trained, step, out, key, index, classifier)


@user_command
def clean(
    root: Annotated[Path, typer.Argument(help="Folder of a run: solver.root_dir, or with `runs` a folder in it.")],
    remove: Annotated[bool, typer.Option("--remove", help="Remove what is listed.")] = False,
    log_file: Log = None,
) -> None:
    """List what nothing uses any more, with sizes: trainings of earlier settings or images, parts of files."""
    from quac.system.files import PART, parts_below, remove_own
    from quac.training.stale_states import stale_states

    states, sizes = stale_states(root), []
    for state in states:
        log.info("%s", state)
        sizes.append(state.size)
        if remove:
            state.remove()
    for path in parts_below(root):
        sizes.append(path.stat().st_size)
        log.info("%s: %.1f MB, left when its stage was killed", path, sizes[-1] / 1e6)
        if remove:
            remove_own(path, root, f"(.*/)?{PART}")
    done = "removed" if remove else "remove them with --remove"
    found = f"{len(states)} unused training(s) and {len(sizes) - len(states)} part(s) of files"
    log.info("%s, %.1f MB%s", found, sum(sizes) / 1e6, f"; {done}" if sizes else "")
