"""Edits carried out one after the other: what runs, what is trained, and that nothing is left to do."""

import re

import pytest
import torch
from helpers.builders import Brightness, save_classifier, write_images
from helpers.workflow import UNCOUNTED, Workflow

from quac.system.files import read_json

pytestmark = pytest.mark.slow

CHOSEN_ANEW = {"select_checkpoint": 1, "convert": 4, "matrices": 4, "controls": 1, "explain": 2, "features": 1}
CHOSEN_ANEW |= {"show_styles": 1, "explorer": 1, "report": 1}
AFTER_JUDGE = {"score_checkpoint": 2, **CHOSEN_ANEW}
AFTER_TRAINING = {"publish_checkpoint": 2, **AFTER_JUDGE}
INDEXED = {"index_images": 1, "check_splits": 1, "store_images": 1, "fit_oracle": 1, "check_classifier": 1}


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    workflow = Workflow(tmp_path_factory.mktemp("workflow"))
    workflow.run()
    return workflow


def checkpoint(workflow, step=4):
    return (workflow.root / f"checkpoints/{step:06d}_nets_ema.ckpt").read_bytes()


def carry_out(workflow, planned):
    """Plan, run, and plan again; returns what the trainer's logs say that are new."""
    before = {path: path.stat().st_mtime_ns for path in (workflow.root / "logs").glob("train.log")}
    assert workflow.plan() == planned
    output = workflow.run().output
    ran = re.findall(r"^(?:local)?rule (\w+):", output, re.MULTILINE)
    counts = {name: ran.count(name) for name in ran if name not in UNCOUNTED}
    assert counts == planned
    assert workflow.plan() == {}
    logs = (workflow.root / "logs").glob("train.log")
    return "".join(path.read_text() for path in logs if path.stat().st_mtime_ns != before.get(path))


def test_one_edit_after_the_other(workflow):
    assert workflow.plan() == {}
    first = checkpoint(workflow)

    workflow.edit("loss", lambda_cyc=2.0)
    assert "step 4:" in carry_out(workflow, {"train": 1, **AFTER_TRAINING})
    second = checkpoint(workflow)
    assert second != first

    save_classifier(workflow.folder / "judge.pt", Brightness())
    workflow.edit("validation_config", classifier_checkpoint="judge.pt")
    assert carry_out(workflow, {"check_classifier": 1, **AFTER_JUDGE}) == ""
    classifier = Brightness()
    classifier.register_buffer("other", torch.arange(3))
    save_classifier(workflow.folder / "judge.pt", classifier)  # another file of the same name
    assert carry_out(workflow, {"check_classifier": 1, **AFTER_JUDGE}) == ""

    write_images(workflow.folder / "data/validation", {"along": 1}, seed=9)
    assert carry_out(workflow, {**INDEXED, **AFTER_JUDGE}) == ""
    assert checkpoint(workflow) == second

    workflow.edit("report", examples=1)
    assert carry_out(workflow, {"report": 1}) == ""

    # A training image replaced and put back: the old work is found again.
    image = workflow.folder / "data/train/along/along-00.png"
    old = image.read_bytes()
    write_images(workflow.folder / "data/train", {"along": 1}, seed=8)
    assert "step 4:" in carry_out(workflow, {**INDEXED, "train": 1, **AFTER_TRAINING})
    assert checkpoint(workflow) != second
    image.write_bytes(old)
    assert "already trained up to step 4" in carry_out(workflow, {**INDEXED, "train": 1, **AFTER_TRAINING})
    assert checkpoint(workflow) == second

    # Two edits at once, one of them back to an earlier setting.
    workflow.edit("loss", lambda_cyc=1.0)
    workflow.edit("model", num_domains=2)
    assert "already trained up to step 4" in carry_out(workflow, {"check_splits": 1, "train": 1, **AFTER_TRAINING})
    assert checkpoint(workflow) == first

    # A longer training continues, and leaves finished results alone.
    workflow.edit("run", total_iters=8)
    output = carry_out(workflow, {"train": 1, **AFTER_TRAINING})
    assert "continuing from step 4" in output
    assert "step 4:" not in output
    assert checkpoint(workflow) == first

    # Shorter and back: nothing is trained, and nothing scored.
    workflow.edit("run", total_iters=6)
    assert "already trained up to step 6" in carry_out(workflow, {"train": 1, **CHOSEN_ANEW})
    workflow.edit("run", total_iters=8)
    assert "already trained up to step 8" in carry_out(workflow, {"train": 1, **CHOSEN_ANEW})


def test_a_report_of_an_unfinished_training(workflow):
    """Stopped, and its length set to a saved step: a whole report. Raised again: nothing is trained twice."""
    workflow.edit("run", total_iters=12, save_every=2)
    workflow.run("results/tiny/training/trained.json")
    marker = read_json(workflow.root / "training/trained.json")
    (workflow.root / "training/trained.json").unlink()  # as if the training had been stopped behind step 8
    workflow.edit("run", total_iters=8)
    workflow.run()
    assert read_json(workflow.folder / "reports/tiny.json")["training"]["steps"] == 8
    workflow.edit("run", total_iters=12)
    workflow.run("results/tiny/training/trained.json")
    assert "already trained up to step 12" in (workflow.root / "logs/train.log").read_text()
    again = read_json(workflow.root / "training/trained.json")
    assert again["checkpoints"] == marker["checkpoints"]
