"""The stages of the training."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import typer

from quac.cli.command import Device, IndexFile, Key, Log, Out, StoreFile, Threads, stage
from quac.files import digest_of, read_json, write_json, write_text
from quac.provenance import Provenance
from quac.settings import as_dict, read_settings


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
