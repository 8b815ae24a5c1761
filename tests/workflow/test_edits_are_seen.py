"""Edits are seen whatever Snakemake has recorded, and a failed training never counts as done."""

import json
import os
import shutil
import signal
import time

import pytest
from helpers.builders import Brightness, save_classifier, write_images
from helpers.workflow import Workflow, wait_for

from quac.system.files import read_json

pytestmark = pytest.mark.slow

EDITS = {
    "a loss weight": (lambda w: w.edit("loss", lambda_cyc=2.0), "train"),
    "the learning rate": (lambda w: w.edit("solver", lr=2e-3), "train"),
    "a longer training": (lambda w: w.edit("run", total_iters=6), "train"),
    "a training image": (lambda w: write_images(w.folder / "data/train", {"along": 1}, seed=9), "train"),
    "a test image": (lambda w: write_images(w.folder / "data/test", {"along": 1}, seed=9), "convert"),
    "the tries": (lambda w: w.edit("validation_config", num_outs_per_domain=3), "score_checkpoint"),
    "the selection": (lambda w: w.edit("selection", rule="one_se"), "select_checkpoint"),
    "a severity": (lambda w: w.edit("checks", severity={"blank": "error"}), "check_splits"),
    "another classifier": (
        lambda w: (
            save_classifier(w.folder / "judge.pt", Brightness()),
            w.edit("validation_config", classifier_checkpoint=str(w.folder / "judge.pt")),
        ),
        "check_classifier",
    ),
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run with an absolute root and absolute sources, as several folders may share."""
    workflow = Workflow(tmp_path_factory.mktemp("shared"))
    for section, split in (("data", "train"), ("validation_data", "validation"), ("test_data", "test")):
        workflow.edit(section, source=str(workflow.folder / "data" / split))
    workflow.edit("solver", root_dir=str(workflow.root))
    workflow.run()
    return workflow


@pytest.fixture
def elsewhere(done, tmp_path):
    """The same run from another working folder, to which the reports have been copied; without .snakemake."""
    kept = tmp_path / "kept"
    shutil.copytree(done.folder / "data", kept)
    workflow = done.moved(tmp_path / "elsewhere")
    shutil.copytree(done.folder / "reports", workflow.working / "reports")
    yield workflow
    shutil.rmtree(done.folder / "data")
    shutil.copytree(kept, done.folder / "data", copy_function=shutil.copy2)


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_seen_from_another_folder(elsewhere, edit):
    change, stage = EDITS[edit]
    change(elsewhere)
    for options in ((), ("--rerun-triggers", "mtime")):
        planned = elsewhere.plan(*options)
        assert planned.keys() >= {stage, "report"}
        assert ("train" in planned) == (stage == "train")


def test_an_edit_is_seen_after_a_touch(done):
    config = json.loads(json.dumps(done.config))
    done.edit("loss", lambda_cyc=2.0)
    done.run("--touch")
    assert "train" in done.plan()
    done.config = config


def test_a_key_file_that_was_changed_on_disk_is_written_again(done):
    path = done.root / "keys/train.json"
    text = path.read_text()
    path.write_text(text.replace('"solver.lr": 0.001', '"solver.lr": 0.5'))
    assert path.read_text() != text
    assert "train" in done.plan()
    path.write_text(text)


def test_an_edit_is_seen_if_the_key_files_are_missing(done):
    config = json.loads(json.dumps(done.config))
    kept = done.root / "kept"
    (done.root / "keys").rename(kept)
    done.edit("validation_config", num_outs_per_domain=3)
    planned = done.plan()
    assert planned["convert"] == 4
    done.config = config
    kept.rename(done.root / "keys")
    assert done.plan() == {}


def test_a_trainer_that_fails_after_its_classifier_was_fitted_again(tmp_path):
    workflow = Workflow(tmp_path)
    workflow.edit("run", total_iters=2, save_every=2)
    workflow.edit("loss", lambda_cls=1.0)
    target = "results/tiny/selection/selected.json"
    workflow.run(target)
    old = (workflow.root / "checkpoints/000002_nets_ema.ckpt").read_bytes()
    workflow.edit("classifier", epochs=1)
    states = workflow.root / "training/state"
    states.rename(workflow.root / "training/kept")
    states.write_text("in the way of the trainer")
    assert workflow.run(target, check=False).status == 1
    states.unlink()
    (workflow.root / "training/kept").rename(states)
    workflow.run(target)
    assert workflow.plan(target) == {}
    assert (workflow.root / "checkpoints/000002_nets_ema.ckpt").read_bytes() != old


FAILURES = {
    "killed": signal.SIGKILL,
    "terminated": signal.SIGTERM,
    "interrupted": signal.SIGINT,
    "signalled to stop": signal.SIGUSR1,
    "diverged": None,
}


@pytest.mark.parametrize("how", FAILURES)
def test_a_trainer_that_fails_after_an_edit_leaves_no_old_weights_under_new_settings(tmp_path, how):
    workflow = Workflow(tmp_path)
    workflow.edit("run", total_iters=2, save_every=2)
    workflow.run("results/tiny/selection/selected.json")
    old = (workflow.root / "checkpoints/000002_nets_ema.ckpt").read_bytes()
    if how == "diverged":
        workflow.edit("solver", lr=1e30)
        failed = workflow.run("results/tiny/selection/selected.json", check=False)
        assert failed.status == 1
        assert "training diverged" in failed.output
        workflow.edit("solver", lr=2e-3)
    else:
        workflow.edit("solver", lr=2e-3)
        workflow.edit("run", total_iters=400, state_every=5)
        process = workflow.start("results/tiny/selection/selected.json")
        wait_for(workflow.trainers, process)
        time.sleep(3)
        for pid in workflow.trainers():
            os.kill(pid, FAILURES[how])
        assert process.wait(timeout=90) != 0
        workflow.edit("run", total_iters=2)
    output = workflow.run("results/tiny/selection/selected.json").output
    assert "Nothing to be done" not in output
    assert workflow.plan("results/tiny/selection/selected.json") == {}
    new = (workflow.root / "checkpoints/000002_nets_ema.ckpt").read_bytes()
    assert new != old
    undisturbed = Workflow(tmp_path / "undisturbed")
    undisturbed.config = {**workflow.config}
    undisturbed.run("results/tiny/checkpoints/000002_nets_ema.ckpt")
    assert new == (undisturbed.root / "checkpoints/000002_nets_ema.ckpt").read_bytes()
    key = read_json(workflow.root / "keys/train.json")
    assert key["settings"]["solver.lr"] == 2e-3


def test_results_of_version_1_are_left_alone(tmp_path):
    workflow = Workflow(tmp_path)
    (workflow.root / "keys").mkdir(parents=True)
    (workflow.root / "training").mkdir()
    (workflow.root / "keys/train.json").write_text('{"digests":{},"settings":{},"stage":"train"}')
    (workflow.root / "training/010000.json").write_text("{}")
    for arguments in ((), ("-n",)):
        failed = workflow.run(*arguments, check=False)
        assert failed.status == 1
        assert "error: results/tiny: holds results of version 1" in failed.output
        assert "another solver.root_dir, or move that folder away" in failed.output
        assert "Traceback" not in failed.output
    assert sorted(path.name for path in workflow.root.rglob("*.json")) == ["010000.json", "train.json"]
