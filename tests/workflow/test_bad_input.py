"""What a user with bad luck sees: one message that names the file or key and the remedy, status 1, no traceback."""

import os
import shutil
import subprocess

import pytest
import torch
from helpers.builders import save_classifier
from helpers.workflow import Workflow
from torch import nn


@pytest.fixture
def workflow(tmp_path):
    return Workflow(tmp_path)


def fails(workflow, *messages, target=()):
    result = workflow.run(*target, check=False)
    assert result.status == 1, result.output
    for message in messages:
        assert message in result.output
    assert "Traceback" not in result.output
    assert 'File "' not in result.output


def test_faults_of_the_config(workflow):
    workflow.config["loss"]["lambda_cycle"] = 1
    workflow.config["run"]["total_iters"] = "many"
    fails(workflow, "loss.lambda_cycle: unknown key; did you mean loss.lambda_cyc?", "run.total_iters: input should be")


def test_a_config_that_would_be_read_as_something_else(workflow):
    command = workflow.command("-n")
    path = workflow.working / "config.yaml"
    path.write_text(path.read_text() + "data: {classes: [010, across]}\n")
    result = subprocess.run(command, capture_output=True, text=True)
    lines = [number for number, line in enumerate(path.read_text().splitlines(), 1) if line.startswith("data:")]
    assert result.returncode == 1
    assert "config.yaml: is not what it seems:" in result.stderr
    assert f"line {lines[1]}: 010 would be read as 8; put it in quotes" in result.stderr
    assert f"lines {lines[0]} and {lines[1]}: the key data is repeated; join the two" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_report_of_another_run(workflow):
    (workflow.folder / "reports").mkdir()
    report = workflow.folder / "reports/tiny.json"
    report.write_text('{\n  "config_path": "results/mine/config.yaml"\n}')
    fails(workflow, "reports/tiny.html is the report of results/mine, and that of results/tiny would replace it")
    assert os.listdir(workflow.folder / "reports") == ["tiny.json"]


def test_a_source_that_does_not_exist(workflow):
    workflow.config["validation_data"]["source"] = "data/validatoin"
    fails(workflow, "error: validation_data.source: data/validatoin: does not exist")


def test_a_classifier_that_does_not_exist(workflow):
    workflow.config["validation_config"]["classifier_checkpoint"] = "nowhere.pt"
    fails(workflow, "error: validation_config.classifier_checkpoint: nowhere.pt: file not found. Check the path.")


def test_weights_of_the_classifier_that_do_not_exist(workflow):
    workflow.config["classifier"] |= {"backbone": "resnet18", "weights": "nowhere.pt"}
    fails(workflow, "error: classifier.weights: nowhere.pt: file not found. Check the path.")


def test_masks_that_no_list_names(workflow):
    workflow.edit("conversion", mask="paste")
    output = "error: conversion.mask: is paste, but no list names a mask for an image of validation or test; use lists"
    fails(workflow, output)
    (workflow.folder / "list.csv").write_text("path,class,mask\ndata/test/across/across-00.png,across,\n")
    workflow.config["test_data"]["source"] = "list.csv"
    fails(workflow, output)


def test_the_workflows_own_classifier_as_the_users(workflow):
    workflow.config["validation_config"]["classifier_checkpoint"] = "results/tiny/classifier/classifier.pt"
    fails(workflow, "is made by the workflow itself; leave the key out, or copy the file to another place")


def test_user_images_in_the_folder_of_the_demo_are_not_touched(workflow):
    (workflow.folder / "data").rename(workflow.folder / "mine")
    (workflow.folder / "data").mkdir()
    (workflow.folder / "mine").rename(workflow.folder / "data/digits")
    for section, split in (("data", "train"), ("validation_data", "validation"), ("test_data", "test")):
        workflow.config[section]["source"] = f"data/digits/{split}"
    fails(workflow, "error: data.source: data/digits/train: holds images that are not the demo's; move them")
    assert len(list((workflow.folder / "data/digits/train").rglob("*.png"))) == 24


def test_a_path_with_braces(workflow):
    workflow.config["solver"]["root_dir"] = "results/{x}"
    fails(workflow, "solver.root_dir: must be a path without braces")


def test_reports_that_cannot_be_written(workflow):
    (workflow.folder / "reports").touch()
    fails(workflow, "error: the folder of the reports: reports cannot be written")


def test_a_root_that_cannot_be_written(workflow):
    (workflow.folder / "file").touch()
    workflow.config["solver"]["root_dir"] = "file/results"
    fails(workflow, "error: solver.root_dir: file/results cannot be written", "choose another folder")


def test_bad_data_is_listed_whole_and_reaches_no_later_stage(workflow):
    data = workflow.folder / "data"
    (data / "train/along/torn.png").write_bytes((data / "train/along/along-00.png").read_bytes()[:150])
    (data / "test/along/empty.jpg").touch()
    (data / "validation/extra").mkdir()
    shutil.copy(data / "train/across/across-01.png", data / "test/across/leak.png")
    fails(
        workflow,
        "error: the data has",
        "train/along/torn.png: cannot be decoded",
        "test/along/empty.jpg: is empty (0 bytes)",
        "has no images of extra",
        "train/across/across-01.png = test/across/leak.png",
    )
    log = (workflow.root / "data/logs/check_splits.log").read_text()
    assert "train/along/torn.png" in log
    assert not (workflow.root / "data/train.store").exists()
    assert not (workflow.root / "training").exists()


class Blind(nn.Module):
    """Classifies every image as the first of two classes."""

    def forward(self, x):
        return torch.tensor([1.0, 0.0]).expand(len(x), -1)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (None, "c.pt: holds only weights (a state_dict)"),
        (Blind(), "classifies 0.0% of the 5 real validation images of"),
    ],
)
def test_a_classifier_that_does_not_fit(workflow, module, message):
    if module is None:
        torch.save({}, workflow.folder / "c.pt")
    else:
        save_classifier(workflow.folder / "c.pt", module)
    workflow.edit("validation_config", classifier_checkpoint="c.pt", min_accuracy=0.8)
    fails(workflow, message, target=["results/tiny/classifier/check.json"])
    assert not (workflow.root / "training").exists()


def test_odd_names_are_fine(tmp_path):
    """Spaces, quotes, braces, dollars, Unicode, NA: in folders, classes, files and the run's name."""
    workflow = Workflow(tmp_path / "it's a $HOME {folder}")
    data, name = workflow.folder / "data", "a 'b' \"c\" $d {e} é"
    for split in ("train", "validation", "test"):
        (data / split / "along").rename(data / split / name)
        (data / split / "across" / "across-00.png").rename(data / split / "across" / "50% {x} $y 'z'.png")
        (data / split / "across").rename(data / split / "NA")
    workflow.root = workflow.folder / "results/x y"
    workflow.edit("solver", root_dir="results/x y")
    workflow.edit("log", name="odd {name}")
    workflow.edit("run", total_iters=1)
    workflow.run()
    assert (workflow.folder / "reports/odd-name.html").is_file()
    assert (workflow.root / "generated_images/test/latent/NA" / name / "50% {x} $y 'z'.png").is_file()
    assert workflow.plan() == {}
