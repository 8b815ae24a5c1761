"""Damaged and misdated files of a run: made anew by the same command, or named with the one way on."""

import copy
import os
import shutil
import subprocess
import sys
import time

import pytest

from quac.system.files import read_json


@pytest.fixture
def workflow(finished, tmp_path):
    """A finished run, to be damaged."""
    shutil.copytree(finished.folder, tmp_path, dirs_exist_ok=True)
    workflow = copy.deepcopy(finished)
    workflow.folder = workflow.working = tmp_path
    workflow.root = tmp_path / "results/tiny"
    return workflow


@pytest.mark.slow
@pytest.mark.parametrize(("damage", "linked"), [("cut", True), ("flip", True), ("empty", False)])
def test_a_damaged_checkpoint_is_made_anew(workflow, damage, linked):
    path, target = workflow.root / "checkpoints/000002_nets_ema.ckpt", "results/tiny/selection/selected.json"
    source = next((workflow.root / "training/state").glob("*/000002_nets_ema.ckpt"))
    content = path.read_bytes()
    if linked:
        path.unlink()
        path.hardlink_to(source)
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    path.write_bytes({"cut": content[:-1000], "flip": flipped, "empty": b""}[damage])
    workflow.run(target)
    assert path.read_bytes() == source.read_bytes() == content
    assert workflow.plan(target) == {}
    marker = read_json(workflow.root / "training/trained.json")
    assert len(marker["sessions"]) == (2 if linked else 1)


def test_an_edit_is_not_forgotten_if_results_are_dated_in_the_future(workflow):
    later = time.time() + 3600
    for folder in ("results", "reports"):
        for path in (workflow.folder / folder).rglob("*"):
            os.utime(path, (later, later), follow_symlinks=False)
    assert workflow.plan() == {}
    workflow.edit("validation_config", num_outs_per_domain=3)
    planned = workflow.plan()
    assert planned["convert"] == 4
    # The key files are written, and then the workflow is stopped.
    keys = ("score", "convert_validation", "convert_test", "config", "report")
    assert "dated in the future" in workflow.run(*(f"results/tiny/keys/{key}.json" for key in keys)).output
    assert workflow.plan() == planned


@pytest.mark.parametrize("name", ["masks", "counterfactuals"])
def test_a_lost_folder_of_explanations_is_made_again(workflow, name):
    """Where a report is wanted and its error says: delete the folder, run the workflow again."""
    (workflow.folder / "reports/tiny.html").unlink()
    shutil.rmtree(workflow.root / f"{name}/test/latent")
    assert workflow.plan() == {"explain": 1, "features": 1, "explorer": 1, "report": 1}


def test_what_is_damaged_is_named_by_the_report(workflow):
    """In one line, with the remedy."""
    for path, content in {
        "selection/scores.csv": b"step,kind\n\xff\xfe",
        "selection/selected.json": b'{"step": 4}',
        "training/history.csv": b"step,a\n1,2,3,4\n",
        "styles/test.json": b"[",
        "evaluation/test/latent_averages.json": b"[]",
        "evaluation/validation/latent_averages.json": b'{"provenance": []}',
        "config.yaml": b"data: [",
        "features/test.parquet": b"PAR1",
        "data/checks.json": b'{"provenance": {}}',
        "classifier/fit.json": b"",
        "conversion/test/latent.parquet": b"PAR1",
        "data/train.store": b"rubbish",
        # Which images the report shows depends on the scores: all of a class pair, or of a folder.
        "generated_images/test/latent/across/along/*.png": b"\x89PNG",
        "styles/test/latent/across/*.png": b"",
    }.items():
        files = {file: file.read_bytes() for file in workflow.root.glob(path)}
        assert files, path
        for file in files:
            file.write_bytes(content)
        message = report_of(workflow)
        if path == "selection/scores.csv":  # its digest is on record
            assert message == "error: Stale results cannot be reported:"
        else:
            assert message.startswith(f"error: results/tiny/{path.partition('*')[0]}"), message
            assert "run the workflow again" in message.lower(), message
            assert len(message.splitlines()) == 1
        assert "unexpected" not in message
        for file, whole in files.items():
            file.write_bytes(whole)
    assert report_of(workflow) == ""


def report_of(workflow):
    """What a stage `report` with the inputs of the workflow's logs as its error."""
    inputs = next(path for path in (workflow.folder / ".snakemake/quac-keys").glob("*.json") if is_of_report(path))
    code = "import sys, quac.cli; sys.argv[0] = 'quac'; quac.cli.main()"
    outputs = ("--html", "r.html", "--numbers", "r.json", "--cells", "r.csv")
    done = subprocess.run(
        [sys.executable, "-c", code, "report", "--inputs", inputs, *outputs],
        cwd=workflow.folder,
        capture_output=True,
        text=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return "\n".join(lines) if done.returncode else ""


def is_of_report(path):
    content = read_json(path)
    return isinstance(content, dict) and "style_images" in content
