"""The stages of the training."""

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import typer

from quac.cli.command import Device, IndexFile, Key, Log, Out, StoreFile, Threads, stage
from quac.config.stages import as_dict, read_settings
from quac.system.console import log
from quac.system.files import read_json, write_json, write_text
from quac.system.provenance import Provenance


@stage
def train(
    key: Key,
    schedule: Annotated[Path, typer.Option(help="Key file: how far to train, and what to save.")],
    store: StoreFile,
    index: IndexFile,
    states: Annotated[Path, typer.Option(help="Folder of the training states; each setting has its own in it.")],
    marker: Annotated[Path, typer.Option(help="JSON file that says where the checkpoints lie.")],
    history: Annotated[Path, typer.Option(help="CSV file for the losses.")],
    runtime: Annotated[str, typer.Option(help="JSON: how it is carried out: log_every, state_every ...; the config.")],
    validation_store: StoreFile,
    validation_index: IndexFile,
    validation_classifier: Annotated[Path, typer.Option(help="Classifier that judges now and then how it converts.")],
    classifier: Annotated[Path | None, typer.Option(help="TorchScript file, for the classifier loss.")] = None,
    init: Annotated[Path | None, typer.Option(help="Checkpoint to begin with.")] = None,
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Train the conversion network, going on from its last state if there is one."""
    from quac.classifier.judge import Judge
    from quac.config import Config, checkpoint_steps
    from quac.data.store import Store
    from quac.evaluation.in_training import Probe
    from quac.models.starganv2.checkpoint import StateFolder
    from quac.system.device import choose_device
    from quac.system.lock import only_trainer
    from quac.system.tables import read_table
    from quac.training.history import History
    from quac.training.loop import train
    from quac.training.stale_states import CURRENT, training_id
    from quac.training.tracking.base import id_of, open_tracker

    provenance, settings, extent = Provenance("train", key, schedule), read_settings(key), read_settings(schedule)
    options, images = SimpleNamespace(**json.loads(runtime)), Store.open(store, index)
    config = Config.model_validate(options.config)
    settings.data.sampling, settings.data.device_cache = as_dict(settings.data.sampling), options.device_cache
    settings.init.checkpoint = init
    settings.loss.ramps = vars(settings.loss.ramps)
    identity = {**read_json(key)["settings"], "digests": read_json(key)["digests"]}
    run_id = training_id(identity, read_table(index), classifier)
    plan = SimpleNamespace(
        end=extent.end,
        steps=checkpoint_steps(extent.save_every, extent.end, extent.last, getattr(extent, "save_from", 0)),
        looks=checkpoint_steps(options.eval_every, extent.end, extent.last),
        **{name: getattr(options, name) for name in ("log_every", "state_every", "state_minutes")},
        **{name: getattr(options, name) for name in ("channels_last", "compile", "accumulate")},
        log_level=config.log.level,
    )
    folder, where = StateFolder(states / run_id, options.keep_states), choose_device(device, threads, training=True)
    if others := sorted(path.name for path in states.glob("*") if path.is_dir() and path.name != run_id):
        log.info("beside it lie trainings of other settings or images: %s; `quac clean` tells more", ", ".join(others))
    judge = classifier and Judge(classifier, settings.judge, settings.model, images.classes, where)
    probe = Probe(config, validation_classifier, validation_store, validation_index, images, where)
    with only_trainer(folder.path):
        write_json(folder.path / "settings.json", identity)
        write_json(states / CURRENT, {"training": run_id})
        of_run = folder.path / config.log_type, id_of(run_id, config.solver.root_dir), config.model_dump()
        tracker = open_tracker(config.log_type, config.log, *of_run)
        try:
            record = partial(provenance.record, device=str(where))
            train(settings, images, folder, plan, where, tracker, record, judge, probe)
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
    from quac.training.publish import publish

    publish(marker, step, out)


@stage
def clean(
    root: Annotated[Path, typer.Argument(help="Folder of a run: solver.root_dir, or with `runs` a folder in it.")],
    remove: Annotated[bool, typer.Option("--remove", help="Remove what is listed.")] = False,
    log_file: Log = None,
):
    """List trainings of earlier settings or images that nothing uses any more, with their sizes."""
    from quac.training.stale_states import unused

    found = unused(root)
    for folder in found:
        differs = (
            f"differs in {', '.join(folder.differs)}" if folder.differs else "of other images or another classifier"
        )
        log.info("%s: %.1f MB, up to step %d, %s", folder.path, folder.size / 1e6, folder.step, differs)
        if remove:
            folder.remove()
    total = sum(folder.size for folder in found) / 1e6
    done = "removed" if remove else "--remove removes them"
    log.info("%d unused training(s), %.1f MB%s", len(found), total, f"; {done}" if found else "")
