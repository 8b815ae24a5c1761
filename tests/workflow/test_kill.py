"""Killed at any moment, by any signal: the same command continues, and ends with the same weights bit for bit."""

import json
import os
import random
import shutil
import signal
import time

import pytest
from helpers.workflow import Workflow, wait_for

from quac.system.files import json_sha256

pytestmark = pytest.mark.slow

STEPS = 300
TARGET = f"results/tiny/checkpoints/{STEPS:06d}_nets_ema.ckpt"


def make(folder):
    workflow = Workflow(folder)
    workflow.edit("run", total_iters=STEPS, save_every=100, state_every=20, log_every=50, eval_every=60)
    return workflow


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    workflow = make(tmp_path_factory.mktemp("undisturbed"))
    workflow.run(TARGET)
    return workflow


@pytest.fixture
def workflow(undisturbed, tmp_path):
    """Data and classifier are ready; the training has not begun."""
    shutil.copytree(undisturbed.folder, tmp_path, dirs_exist_ok=True)
    for name in ("training", "checkpoints"):
        shutil.rmtree(tmp_path / "results/tiny" / name)
    workflow = make(tmp_path)
    yield workflow
    for pid in workflow.trainers():
        os.kill(pid, signal.SIGKILL)


def lock_holder(workflow):
    locks = list((workflow.root / "training/state").glob("*/lock"))
    try:
        return json.loads(locks[0].read_text())["pid"] if locks else None
    except ValueError:
        return None


def states(workflow):
    return sorted((workflow.root / "training/state").glob("*/state_*.pt"))


def kill(how, process, workflow):
    if how == "trainer":
        for pid in workflow.trainers():
            os.kill(pid, signal.SIGKILL)
    elif how == "snakemake":
        process.kill()
    elif how == "everything":
        os.killpg(process.pid, signal.SIGKILL)
    elif how == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)
    elif how == "terminated":
        os.killpg(process.pid, signal.SIGTERM)
    process.wait(timeout=90)


@pytest.mark.parametrize("how", ["trainer", "snakemake", "everything", "Ctrl-C", "terminated"])
def test_any_kill_at_any_moment_gives_the_same_weights(workflow, undisturbed, how):
    moments, kills = random.Random(how), 0  # noqa: S311 (a moment, not a secret)
    for _ in range(4):
        process = workflow.start(TARGET)
        if not wait_for(lambda: workflow.trainers(), process):
            break  # it was finished before it could be killed
        time.sleep(moments.uniform(0, 6))  # from before torch is loaded until the training is nearly done
        if process.poll() is not None:
            break
        kill(how, process, workflow)
        kills += 1
        workflow.run("--unlock")
    assert kills
    workflow.run(TARGET)
    assert checkpoints(workflow) == checkpoints(undisturbed)
    ours, theirs = (w.root / "training/history.csv" for w in (workflow, undisturbed))
    assert losses(ours) == losses(theirs)
    assert workflow.trainers() == []


def checkpoints(workflow):
    return {path.name: path.read_bytes() for path in (workflow.root / "training/state").glob("*/*_nets_ema.ckpt")}


def losses(path):
    rows = [line.split(",") for line in path.read_text().splitlines()]
    return [[row[0], *row[4:]] for row in rows]  # without the throughput


def test_an_orphaned_trainer_is_stopped_after_saving(workflow, undisturbed):
    process = workflow.start(TARGET)
    wait_for(lambda: states(workflow), process)
    orphan = lock_holder(workflow)
    kill("snakemake", process, workflow)
    assert orphan in workflow.trainers()
    assert "LockException" in workflow.run(TARGET, check=False).output
    workflow.run("--unlock")
    output = workflow.run(TARGET).output
    assert f"process {orphan} is training in" in output
    assert "stopping it after it has saved" in output
    assert "continuing from step" in output
    assert workflow.trainers() == []
    assert (workflow.folder / TARGET).read_bytes() == (undisturbed.folder / TARGET).read_bytes()


def test_a_longer_training_that_is_killed_leaves_the_finished_alone(workflow, undisturbed):
    workflow.edit("run", total_iters=100)
    workflow.run("results/tiny/selection/000100.parquet")
    workflow.edit("run", total_iters=STEPS)
    first = workflow.root / "selection/000100.parquet"
    made = first.stat().st_mtime_ns
    process = workflow.start(TARGET)
    wait_for(lambda: any(path.name > "state_000100.pt" for path in states(workflow)), process)
    kill("everything", process, workflow)
    workflow.run("--unlock")
    planned = workflow.plan("results/tiny/selection/selected.json")
    assert planned == {"train": 1, "publish_checkpoint": 2, "score_checkpoint": 2, "select_checkpoint": 1}
    workflow.run("results/tiny/selection/selected.json")
    assert first.stat().st_mtime_ns == made
    assert (workflow.folder / TARGET).read_bytes() == (undisturbed.folder / TARGET).read_bytes()


def test_edits_before_and_behind_a_gate_are_not_lost_by_a_kill(workflow):
    """Two edits, and a kill after their key files were written: the next run heeds both."""
    workflow.edit("run", total_iters=2, save_every=2)
    workflow.run()
    workflow.edit("model", num_domains=2)
    workflow.edit("loss", lambda_cyc=2.0)
    workflow.run("results/tiny/keys/checks.json", "results/tiny/keys/train.json")  # what the kill leaves
    workflow.run()
    assert workflow.plan() == {}
    key = json.loads((workflow.root / "keys/train.json").read_text())
    record = json.loads((workflow.root / "training/trained.json").read_text())["provenance"]
    assert json_sha256(key) in record["keys"]
    assert key["settings"]["loss.lambda_cyc"] == 2.0


def test_a_single_checkpoint_of_a_longer_training_is_made(workflow):
    workflow.edit("run", total_iters=2, save_every=2)
    workflow.run("results/tiny/checkpoints/000002_nets_ema.ckpt")
    workflow.edit("run", total_iters=4)
    workflow.run("results/tiny/checkpoints/000004_nets_ema.ckpt")
    assert (workflow.root / "checkpoints/000004_nets_ema.ckpt").is_file()
