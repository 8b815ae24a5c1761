"""The two Snakefiles: the user's at the root, and the one that the catalog and `module` read."""

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.builders import ROOT

SNAKEMAKE = Path(sys.executable).with_name("snakemake")


def plan(folder, *options):
    done = subprocess.run(
        [SNAKEMAKE, "-n", "--cores", "1", *options], cwd=folder, capture_output=True, text=True, check=True
    )
    output = done.stdout + done.stderr
    jobs = {
        line.split()[0]: line.split()[1]
        for line in output.split("Job stats:")[1].splitlines()
        if line.split()[1:2] and line.split()[1].isdigit()
    }
    return output, {name: count for name, count in jobs.items() if name not in ("default", "all", "total", "job")}


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    empty = tmp_path_factory.mktemp("elsewhere")
    return {
        "root": plan(empty, "-s", ROOT / "Snakefile"),
        "workflow": plan(empty, "-s", ROOT / "workflow/Snakefile"),
    }


@pytest.mark.parametrize("entry", ["root", "workflow"])
def test_an_entry_plans_the_demo_with_its_profile(plans, entry):
    output, jobs = plans[entry]
    assert (jobs["train"], jobs["report"], jobs["demo_data"]) == ("1", "1", "1")
    assert "Using workflow specific profile" in output
    assert "results/digits" in output


def test_both_entries_plan_the_same_jobs(plans):
    assert plans["root"][1] == plans["workflow"][1]


def test_an_entry_is_found_in_the_folder_in_which_snakemake_is_started():
    output, _ = plan(ROOT, "--directory", ROOT, "reports/digits.html")
    assert "Using workflow specific profile" in output


def test_the_workflow_has_no_lint():
    done = subprocess.run([SNAKEMAKE, "--lint"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
