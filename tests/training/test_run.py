"""The stage: its marker, its other outputs, and what a later run of it finds."""

import pandas as pd
import pytest
import torch
from helpers.builders import Brightness, make_store, run_options, save_classifier, tiny_config

from quac.config.keys import key_text
from quac.config.stages import StageJob
from quac.system.errors import QuacError
from quac.system.files import file_sha256, read_json
from quac.training.marker import publish
from quac.training.run import TrainingFiles, run_training
from quac.training.stale_states import stale_states


class Run:
    """A run in a folder, which can be trained with settings that differ from time to time."""

    def __init__(self, folder):
        self.folder, self.root = folder, folder / "run"
        self.store = make_store(folder / "data", {"across": 4, "along": 4})
        self.classifier = save_classifier(folder / "classifier.pt", Brightness())

    def write_keys(self, **sections):
        """Write the key files; returns the config and the files of the stage."""
        config, folder = tiny_config(solver={"root_dir": str(self.root)}, **sections), self.root / "training"
        keys = {name: self.root / f"keys/{name}.json" for name in ("train", "save_plan")}
        for name, path in keys.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            job = StageJob(name)
            path.write_text(key_text(config, job, dict.fromkeys(job.files(config))))
        return config, TrainingFiles(
            key=keys["train"],
            save_plan=keys["save_plan"],
            index=self.folder / "data/index.parquet",
            states=folder / "state",
            out=folder / "trained.json",
            history=folder / "history.csv",
            samples=folder / "samples",
            classifier=self.classifier if config.loss.lambda_cls else None,
        )

    def train(self, evaluate=None, level=1, **sections):
        config, files = self.write_keys(**sections)
        run_training(files, self.store, run_options(level=level), config, torch.device("cpu"), evaluate)
        return files, read_json(files.out)


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_the_marker_names_inputs_and_checkpoints_and_the_outputs_are_complete(run):
    files, marker = run.train(lambda *_: ({"rate": 0.5}, {"rate/across/along": 0.25}))
    assert (marker["format"], marker["end"], marker["classes"]) == (1, 4, ["across", "along"])
    paths = {"key": files.key, "save_plan": files.save_plan, "index": files.index}
    assert marker["inputs"] == {name: file_sha256(path) for name, path in paths.items()}
    assert [*marker["checkpoints"]] == ["2", "4"]
    for checkpoint in marker["checkpoints"].values():
        assert file_sha256(checkpoint["file"]) == checkpoint["sha256"]
    assert (files.states / marker["id"]).is_dir()
    assert len(marker["sessions"]) == 1
    assert marker["provenance"]["stage"] == "train"
    history = pd.read_csv(files.history)
    assert history["step"].tolist() == [1, 2, 3, 4]
    assert history["rate"].dropna().tolist() == [0.5]  # of the last step
    assert sorted(path.name for path in files.samples.iterdir()) == [f"{step:06d}.png" for step in (1, 2, 3, 4)]
    publish(files.out, 2, run.folder / "2.ckpt", files.key, files.index)


def test_a_shorter_run_of_the_same_training_has_the_outputs_up_to_its_end(run):
    _, longer = run.train()
    files, shorter = run.train(run={"total_iters": 2})
    assert shorter["id"] == longer["id"]
    assert shorter["checkpoints"] == {"2": longer["checkpoints"]["2"]}
    assert pd.read_csv(files.history)["step"].tolist() == [1, 2]
    assert sorted(path.name for path in files.samples.iterdir()) == ["000001.png", "000002.png"]
    _, again = run.train()
    assert again["checkpoints"] == longer["checkpoints"]
    assert len(again["sessions"]) == 1  # nothing was trained twice


def test_other_settings_have_their_own_state_and_the_first_is_found_again(run):
    _, first = run.train()
    files, second = run.train(loss={"lambda_cls": 1.0})
    assert second["id"] != first["id"]
    assert set(second["inputs"]) == {"key", "save_plan", "index", "classifier"}
    (stale,) = stale_states(run.root)
    assert stale.path.name == first["id"]
    assert "loss.lambda_cls" in stale.differences
    run.write_keys()
    with pytest.raises(QuacError, match="had another classifier and another key"):
        publish(files.out, 2, run.folder / "2.ckpt", files.key, files.index)
    _, third = run.train()
    assert third["checkpoints"] == first["checkpoints"]
    assert len(third["sessions"]) == 1


def test_without_sample_grids_their_folder_is_empty(run):
    files, _ = run.train(level=0)
    assert list(files.samples.iterdir()) == []
