"""The stage `train`: one training of a run, and the marker that records its results."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from quac.classifier.judge import Judge
from quac.config import Config
from quac.config.keys import read_key
from quac.config.run_options import RunOptions
from quac.data.store import Store
from quac.system.console import log
from quac.system.files import file_sha256, link_or_copy, read_json, remove_own, write_json, write_text
from quac.system.lock import only_trainer
from quac.system.provenance import Provenance
from quac.system.tables import read_table
from quac.system.threads import LoadFollower
from quac.training.history import History
from quac.training.loop import Evaluate, train
from quac.training.plan import Plan
from quac.training.stale_states import CURRENT
from quac.training.state import StateFolder, remove_remains, state_id
from quac.training.tracking.base import id_of, open_tracker

FORMAT = 1  # of trained.json


@dataclass(frozen=True)
class TrainingFiles:
    """The files of the stage `train`."""

    key: Path
    save_plan: Path
    index: Path  # of the training split
    states: Path  # folder, in which each setting has its own
    out: Path  # the marker: it is written last, and names the checkpoints and the digests of the inputs
    history: Path  # CSV file of losses and rates up to the end of the plan
    samples: Path  # folder for the sample grids
    classifier: Path | None = None  # for the classifier loss
    init: Path | None = None  # checkpoint with the initial weights

    def input_digests(self) -> dict[str, str]:
        """{option name: SHA-256} of the inputs that decide which training this is."""
        paths = {"key": self.key, "save_plan": self.save_plan, "index": self.index, "classifier": self.classifier}
        return {name: file_sha256(path) for name, path in paths.items() if path}


def run_training(
    files: TrainingFiles,
    store: Store,
    options: RunOptions,
    watched: Config,
    device: torch.device,
    evaluate: Evaluate | None = None,
) -> None:
    """Train the conversion network up to the end of the save plan, and write history, sample grids and marker.

    Args:
        store: the training split.
        watched: the whole config, for the tracker: it does not affect the training.
        evaluate: see `quac.training.loop.train`.
    """
    provenance, inputs = Provenance("train", files.key, files.save_plan), files.input_digests()
    config, plan = read_key(files.key), Plan.of(read_key(files.save_plan), options)
    key, judge = read_json(files.key), None
    if files.classifier:
        judge = Judge(files.classifier, config.validation_config, config.model, store.classes, device)
    name = state_id(key, read_table(files.index), files.classifier)
    folder = StateFolder(files.states / name, options.keep_states)
    if others := sorted(path.name for path in files.states.glob("*") if path.is_dir() and path.name != name):
        log.info("trainings of other settings or images are kept: %s; `quac clean` lists them", ", ".join(others))
    with only_trainer(folder.path):
        remove_remains(folder.path)
        write_json(folder.path / "settings.json", {**key["settings"], "version": key["version"], "files": key["files"]})
        write_json(files.states / CURRENT, {"training": name})
        tracker = open_tracker(watched, folder.path / watched.log_type, id_of(name, watched.solver.root_dir))
        follows_load = device.type == "cpu" and not watched.run.threads
        threads = LoadFollower(torch.get_num_threads()).update if follows_load else torch.get_num_threads
        record: Callable[[], dict] = partial(provenance.record, device=str(device))
        try:
            train(config, store, folder, plan, device, tracker, record, judge, evaluate, files.init, threads)
        finally:
            tracker.close()
        _write_results(files, folder, plan, {"inputs": inputs, "classes": store.classes, "provenance": record()})


def _write_results(files: TrainingFiles, folder: StateFolder, plan: Plan, about: dict) -> None:
    write_text(files.history, History(folder.history).text(plan.end))
    files.samples.mkdir(parents=True, exist_ok=True)
    for path in files.samples.glob("*.png"):  # of a longer training, or of other settings
        remove_own(path, files.samples, r"\d+\.png")
    for path in folder.samples(plan.end):
        link_or_copy(path, files.samples / path.name)
    checkpoints = {step: {"file": str(folder.checkpoint(step)), "sha256": folder.digest(step)} for step in plan.steps}
    marker = {"format": FORMAT, "end": plan.end, "id": folder.path.name, **about, "checkpoints": checkpoints}
    write_json(files.out, {**marker, "sessions": folder.sessions})
