"""The five seams: a stranger adds a stage, a kind of network, a loss term, a metric and a section of the report.

Each toy is one file in this folder. The tiny workflow runs with all of them, and all are seen in its results.
"""

import os
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from helpers.workflow import Workflow

from quac.data.store import Store
from quac.system.files import read_json
from quac.system.tables import read_table

HERE = Path(__file__).parent

pytestmark = pytest.mark.slow


class WorkflowWithToys(Workflow):
    snakefile = HERE / "Snakefile"
    environment: ClassVar = {"PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture(scope="module")
def workflow(tmp_path_factory):
    workflow = WorkflowWithToys(tmp_path_factory.mktemp("seams"))
    workflow.edit("model", kind="inverter")
    workflow.edit("loss", lambda_toy=0.5)
    workflow.edit("report", title="the toys")
    workflow.run()
    return workflow


@pytest.fixture(scope="module")
def report(workflow):
    return read_json(workflow.folder / "reports/tiny.json"), (workflow.folder / "reports/tiny.html").read_text()


def test_a_stage(workflow):
    assert read_json(workflow.root / "toy.txt")["settings"] == {"report.title": "the toys"}
    assert workflow.plan() == {}
    workflow.edit("report", title="other toys")
    assert workflow.plan() == {"toy": 1, "report": 1}
    workflow.edit("report", title="the toys", examples=1)
    assert workflow.plan() == {"report": 1}
    workflow.edit("report", examples=2)


def test_a_kind_of_network(workflow, report):
    store = Store.open(workflow.root / "data/test.store", workflow.root / "data/test.parquet")
    tries = read_table(workflow.root / "conversion/test/latent.parquet")
    tries = tries[tries["source"] != tries["target"]]
    x = {path: store.images([row])[0] / 127.5 - 1 for row, path in enumerate(store.paths)}
    expected = [2 * np.abs(x[path]).mean() for path in tries["query"]]
    assert np.allclose(tries["l1"], expected, atol=1e-5)
    data, _html = report
    assert data["config"]["model"]["kind"] == "inverter"
    assert {matrix["kind"] for matrix in data["matrices"]} == {"latent"}
    assert not (workflow.root / "conversion/test/reference.parquet").exists()


def test_a_loss_term(workflow, report):
    history = pd.read_csv(workflow.root / "training/history.csv")
    assert (history["G/latent_toy"] > 0).all()
    data, html = report
    assert data["training"]["history"]["G/reference_toy"] == history["G/reference_toy"].tolist()
    assert "latent toy" in html


def test_a_metric(workflow, report):
    tries = read_table(workflow.root / "conversion/test/latent.parquet")
    matrix = pd.read_csv(workflow.root / "evaluation/test/latent_brightness.csv", index_col=0)
    for (source, target), rows in tries.groupby(["source", "target"]):
        assert matrix.loc[source, target] == pytest.approx(rows.groupby("query")["brightness"].mean().mean(), abs=1e-6)
    data, html = report
    assert "Mean of the generated image, in the range of the networks." in html
    assert all("brightness" in cell for matrix in data["matrices"] for cell in matrix["cells"])


def test_a_section_of_the_report(report):
    data, html = report
    assert data["weather"] == {"title": "the toys"}
    assert "Sunny over the toys" in html
