"""Several runs in one config: what they share, and that an edit of one leaves the others alone."""

import copy
from zipfile import ZipFile

import pytest
from helpers.workflow import Workflow

from quac.system.files import read_json

# Of one run with one checkpoint and no test split, whose data and classifier are there.
OF_A_RUN = {"publish_checkpoint": 1, "score_checkpoint": 1, "select_checkpoint": 1, "convert": 2, "matrices": 2}
OF_A_RUN |= {"controls": 1, "explain": 2, "features": 1, "show_styles": 1, "explorer": 1}
ONE_RUN = {"train": 1, **OF_A_RUN, "report": 1}
FITTED = {"fit_classifier": 1, "fit_oracle": 1, "check_classifier": 1}
PREPARED = {"index_images": 2, "check_splits": 1, "store_images": 2, **FITTED}


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Two runs, carried out. Tests leave them as they found them."""
    workflow = Workflow(tmp_path_factory.mktemp("several"))
    del workflow.config["test_data"]
    workflow.edit("run", total_iters=2)
    workflow.config["runs"] = [{"name": "plain"}, {"name": "strong-cycle", "loss": {"lambda_cyc": 3.0}}]
    workflow.run()
    return workflow


@pytest.fixture
def edited(several):
    config = copy.deepcopy(several.config)
    yield several
    several.config = config


def test_each_run_has_a_folder_and_all_share_data_and_classifier(several):
    for name in ("plain", "strong-cycle"):
        folder = several.root / name
        assert (folder / "selection/selected.json").is_file()
        assert not (folder / "data").exists()
        assert not (folder / "classifier").exists()
    assert (several.root / "data/train.store").is_file()
    assert (several.root / "classifier/classifier.pt").is_file()
    assert several.plan() == {}


def test_the_runs_differ_in_their_settings_and_are_compared(several):
    plain, strong = (read_json(several.folder / f"reports/tiny-{name}.json") for name in ("plain", "strong-cycle"))
    assert (plain["config"]["loss"]["lambda_cyc"], strong["config"]["loss"]["lambda_cyc"]) == (1.0, 3.0)
    assert plain["selection"]["digest"] != strong["selection"]["digest"]
    assert plain["classifier"]["digest"] == strong["classifier"]["digest"]
    page = (several.folder / "reports/index.html").read_text()
    assert "<code>loss.lambda_cyc</code>" in page
    assert '<a href="tiny-strong-cycle.html">tiny-strong-cycle</a>' in page
    assert 'class="fine"' in page  # no warnings


def test_snakemakes_own_report_has_the_pages_and_tables(several):
    several.run("--report", "report.zip")
    with ZipFile(several.folder / "report.zip") as archive:
        names = [name.rsplit("/", 1)[-1] for name in archive.namelist()]
    pages = {f"tiny-{run}{page}.html" for run in ("plain", "strong-cycle") for page in ("", "-explorer")}
    assert {"index.html", *pages} <= set(names)
    assert names.count("selected.json") == names.count("scores.csv") == 2
    assert names.count("latent_conversion_rate.csv") == names.count("reference_frechet.csv") == 2
    assert several.plan() == {}


def test_an_added_run_plans_its_own_stages(edited):
    edited.config["runs"].append({"name": "third", "loss": {"lambda_cyc": 9.0}})
    assert edited.plan() == {**ONE_RUN, "compare": 1}


def test_removing_any_run_plans_only_the_comparison(edited):
    first, second = edited.config["runs"]
    for left in (first, second):
        edited.config["runs"] = [left]
        assert edited.plan() == {"compare": 1}


@pytest.mark.parametrize("number", [0, 1])
def test_an_edit_of_a_run_plans_its_own_stages(edited, number):
    edited.config["runs"][number]["solver"] = {"lr": 2.0e-3}
    assert edited.plan() == {**ONE_RUN, "compare": 1}
    edited.config["runs"][number] |= {"solver": {}, "classifier": {"epochs": 1}}
    planned = edited.plan()
    # The classifier, and with it the gate of the training, is in another place: the finished training is only found.
    assert planned.pop("train") == 1
    judged = {**FITTED, **OF_A_RUN, "report": 1, "compare": 1}
    assert planned == {rule: count for rule, count in judged.items() if rule != "publish_checkpoint"}


@pytest.mark.parametrize("number", [0, 1])
def test_other_data_are_prepared_for_the_run_alone(edited, number):
    edited.config["runs"][number]["data"] = {"range": [0, 200]}
    assert edited.plan() == {**PREPARED, **ONE_RUN, "compare": 1}


def test_an_edit_above_the_runs_plans_what_is_shared_once(edited):
    edited.edit("checks", severity={"blank": "error"})
    assert edited.plan() == {"check_splits": 1, "report": 2, "compare": 1}


def test_a_fault_of_a_run_names_it(edited):
    edited.config["runs"][1]["loss"] = {"lambda_cycle": 1}
    output = edited.run("-n", check=False).output
    assert "runs.strong-cycle.loss.lambda_cycle: unknown key; did you mean loss.lambda_cyc?" in output
    edited.config["runs"][1] = {"name": "b", "data": {"source": "data/trian"}}
    output = edited.run("-n", check=False).output
    assert "error: runs.b.data.source: data/trian: does not exist" in output
    assert "Traceback" not in output


def test_runs_added_to_a_config_share_its_data_and_classifier(finished):
    config = finished.config
    finished.config = {**config, "runs": [{"name": "plain"}, {"name": "slow", "solver": {"lr": 1.0e-5}}]}
    planned = finished.plan()
    finished.config = config
    assert not planned.keys() & PREPARED.keys()
    assert (planned["train"], planned["report"], planned["compare"]) == (2, 2, 1)
