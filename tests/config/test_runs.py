"""Several runs in a config: what each is, what they share, and what is wrong with them."""

import json

import pytest
import yaml

from quac.config.runs import merged, require_own_reports, resolve_runs
from quac.system.errors import QuacError

BASE = """
data: {source: d/train, img_size: 32}
validation_data: {source: d/validation}
solver: {root_dir: r}
"""


def runs_of(*overlays, above=None, base=BASE):
    return resolve_runs({**yaml.safe_load(base), "runs": list(map(yaml.safe_load, overlays))}, above)


def faults_of(*overlays, base=BASE):
    with pytest.raises(QuacError) as raised:
        runs_of(*overlays, base=base)
    return str(raised.value)


def test_a_config_without_runs_is_one_run_in_its_own_folder():
    for config in (BASE, BASE + "runs: []", BASE + "runs:"):
        runs = resolve_runs(yaml.safe_load(config))
        assert list(runs.configs) == list(runs.owners) == ["r"]
        assert runs.data == runs.classifiers == {"r": "r"}
        assert runs.configs["r"].log.name == "default"


def test_a_run_is_merged_over_the_rest():
    runs = runs_of("{name: plain}", "{name: b, loss: {lambda_cyc: 3}, data: {batch_size: 2, classes: [y, x]}}")
    assert list(runs.configs) == ["r/plain", "r/b"]
    plain, b = runs.configs.values()
    assert (plain.loss.lambda_cyc, b.loss.lambda_cyc, b.loss.lambda_sty) == (1, 3, 1)
    assert (b.data.source, b.data.batch_size, b.data.classes) == ("d/train", 2, ["y", "x"])
    assert b.solver.root_dir == "r/b"


def test_mappings_are_merged_and_lists_replaced():
    assert merged({"a": {"b": [1, 2], "c": 1}}, {"a": {"b": [3]}}) == {"a": {"b": [3], "c": 1}}
    assert merged({"a": {"b": 1}}, {"a": None}) == {"a": None}


def test_the_command_line_overrides_a_run():
    runs = runs_of("{name: a, run: {seed: 1}}", "{name: b}", above={"run": {"seed": 7}, "runs": "not a section"})
    assert [config.run.seed for config in runs.configs.values()] == [7, 7]


def test_reports_are_named_by_the_run():
    def names(*overlays, base=BASE):
        return [config.run_name for config in runs_of(*overlays, base=base).configs.values()]

    assert names("{name: a}", "{name: 3}") == ["a", "3"]
    assert names("{name: a}", "{name: b, log: {name: c}}", base=BASE + "log: {name: cats}") == ["cats-a", "c"]


def test_equal_sections_share_the_folder_above_the_runs():
    runs = runs_of("{name: a}", "{name: b, loss: {lambda_cyc: 3}}")
    assert {runs.data["r/a"], runs.data["r/b"], runs.classifiers["r/a"], runs.classifiers["r/b"]} == {"r"}
    assert list(runs.owners) == ["r", "r/a", "r/b"]


@pytest.mark.parametrize(
    ("overlay", "data", "judge"),
    [
        ("data: {img_size: 64}", "r/b", "r/b"),
        ("data: {source: e/train}", "r/b", "r/b"),
        ("test_data: {source: d/test}", "r/b", "r/b"),
        ("checks: {severity: {blank: error}}", "r/b", "r/b"),
        ("classifier: {epochs: 3}", "r", "r/b"),
        ("validation_config: {classifier_checkpoint: c.pt}", "r", "r/b"),
        ("oracles: {strict: c.pt}", "r", "r/b"),
        ("oracles: none", "r", "r/b"),
        ("run: {seed: 1}", "r", "r/b"),
        ("data: {batch_size: 3, num_workers: 1}", "r", "r"),
        ("validation_config: {num_outs_per_domain: 3}", "r", "r"),
    ],
)
def test_differing_data_lie_in_the_folder_of_the_first_run_that_uses_them(overlay, data, judge):
    runs = runs_of("{name: a}", f"{{name: b, {overlay}}}", f"{{name: c, {overlay}}}")
    assert (runs.data["r/a"], runs.classifiers["r/a"]) == ("r", "r")
    assert (runs.data["r/b"], runs.classifiers["r/b"]) == (runs.data["r/c"], runs.classifiers["r/c"]) == (data, judge)


def test_classifier_files_are_compared_by_their_paths():
    runs = runs_of(*(f"{{name: {n}, validation_config: {{classifier_checkpoint: {n}.pt}}}}" for n in "ab"))
    assert runs.classifiers == {"r": "r", "r/a": "r/a", "r/b": "r/b"}
    assert list(runs.owners) == ["r", "r/a", "r/b"]  # the data's


def test_without_common_data_the_first_run_holds_them():
    base = "{validation_data: {source: v}, solver: {root_dir: r}}"
    runs = runs_of(*(f"{{name: {n}, data: {{source: {source}}}}}" for n, source in ("ax", "bx", "cy")), base=base)
    assert runs.data == {"r/a": "r/a", "r/b": "r/a", "r/c": "r/c"}
    assert list(runs.owners) == ["r/a", "r/b", "r/c"]


def test_a_split_is_made_once():
    base = "{split: {source: d}, data: {img_size: 32}, solver: {root_dir: r}}"
    runs = runs_of("{name: a}", "{name: b, loss: {lambda_cyc: 3}}", "{name: c, split: {seed: 1}}", base=base)
    assert [runs.data[f"r/{name}"] for name in "abc"] == ["r", "r", "r/c"]


def test_a_fault_names_its_run_and_a_common_one_is_reported_once():
    output = faults_of("{name: a}", "{name: b-c, loss: {lambda_cycle: 3}}", base=BASE + "run: {seed: x}")
    assert "  runs.b-c.loss.lambda_cycle: unknown key; did you mean loss.lambda_cyc?" in output
    assert output.count("run.seed: input should be") == 1
    assert "runs.a" not in output


def test_a_section_that_is_not_a_mapping_is_a_fault():
    assert "  log: input should be" in faults_of("{name: a}", base=BASE + "log: x")
    assert "  runs.a.log: input should be" in faults_of("{name: a, log: x}")


@pytest.mark.parametrize(
    ("overlays", "expected"),
    [
        (["{name: a}", "{name: A}"], "'A' is the name of two runs"),
        (["{name: ../a}"], "runs: '../a' cannot name a folder"),
        (["{name: '..'}"], "cannot name a folder"),
        (["{name: a/b}"], "cannot name a folder"),
        (["{name: ''}"], "cannot name a folder"),
        (["{name: data}"], "runs: 'data' is the name of a folder of the workflow"),
        (["{loss: {}}"], "runs: must be a list of runs, each with a name"),
        (["a"], "runs: must be a list of runs, each with a name"),
        (["{name: a, solver: {root_dir: x}}"], "runs.a.solver.root_dir: all runs have the same"),
        (["{name: a}", "{name: b, log: {name: a}}"], "runs.b.log.name: a is the name of the page of a;"),
        (["{name: index}"], "runs.index.log.name: index is the name of the page that compares the runs"),
        (["{name: a, runs: []}"], "runs.a.runs: unknown key"),
    ],
)
def test_names_are_unique_and_safe(overlays, expected):
    assert expected in faults_of(*overlays)


def test_runs_are_a_list():
    with pytest.raises(QuacError, match="runs: must be a list of runs"):
        resolve_runs({**yaml.safe_load(BASE), "runs": {"a": {}}})


def test_the_report_of_another_run_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = yaml.safe_load(BASE)
    mine, other = (resolve_runs(base | {"solver": {"root_dir": root}}) for root in ("r", "x/s"))
    path = tmp_path / "default.json"
    require_own_reports(mine, tmp_path)  # there is none
    report = {"notes": 'a "\n  "config_path": ' + '"elsewhere"', "config_path": "r/config.yaml", "stages": []}
    path.write_text(json.dumps(report, indent=2))
    require_own_reports(mine, tmp_path)
    with pytest.raises(QuacError) as raised:
        require_own_reports(other, tmp_path)
    message = f"log.name: {tmp_path}/default.html is the report of r, and that of x/s would replace it; choose another"
    assert message in str(raised.value)
    path.write_text(json.dumps(report | {"config_path": f"{tmp_path}/x/../x/s/config.yaml"}, indent=2))
    require_own_reports(other, tmp_path)  # the same folder by another path
    for damaged in (b"", b"\xff", b"[]"):
        path.write_bytes(damaged)
        require_own_reports(mine, tmp_path)
