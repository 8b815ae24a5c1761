"""Nothing that grows is on a command line, and other executors run the workflow as the local one does."""

import os
import re
import subprocess

import pytest
from helpers.builders import SPLITS, write_splits
from helpers.workflow import Workflow

SHORT = 4096  # characters; Linux takes 131,072 in one argument, and a command is one


def longest_command(workflow):
    output = workflow.run("-n", "-p").output
    return max(map(len, re.findall(r"^.*\bquac [a-z-]+ --.*$", output, re.MULTILINE)))


def test_neither_classes_nor_shards_steps_and_oracles_are_on_a_command_line(tmp_path):
    workflow = Workflow(tmp_path)
    names = [f"a class with a long name, {number}" for number in range(100)]
    write_splits(workflow.folder / "many", names, dict.fromkeys(SPLITS, 1))
    for section, split in (("data", "train"), ("validation_data", "validation"), ("test_data", "test")):
        sources = {name: [{"path": str(workflow.folder / "many" / split / name)}] for name in names}
        workflow.config[section] = {**workflow.config[section], "source": None, "sources": sources}
    workflow.edit("run", total_iters=200, save_every=10)
    workflow.edit("conversion", shards=20)
    assert longest_command(workflow) < SHORT
    workflow.config["runs"] = [{"name": f"a-run-with-a-long-name-{number}"} for number in range(4)]
    assert longest_command(workflow) < SHORT


@pytest.mark.slow
def test_another_executor_needs_jobs_but_no_cores(tmp_path):
    pytest.importorskip("snakemake_executor_plugin_cluster_generic", reason="needs that executor plugin")
    workflow = Workflow(tmp_path)
    workflow.edit("run", total_iters=2)
    command = workflow.command("reports/tiny.html")
    command = [*command[: command.index("--cores")], "--executor", "cluster-generic", "--jobs", "2"]
    command += ["--cluster-generic-submit-cmd", "bash"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    assert (workflow.folder / "reports/tiny.html").is_file()
    assert workflow.plan("reports/tiny.html") == {}
