"""The comparison: what differs, what is warned of, and what is no report's JSON."""

import copy
import json
import re

import pytest
from helpers.builders import command
from helpers.report_facts import NAMES, facts_of, with_classes

from quac.report.compare import columns_of, find_differences, find_warnings, read_runs, render_comparison


@pytest.fixture
def write(finished, tmp_path):
    """Writes the JSON of a run like the finished one, edited by `{dotted place: value}`; returns its path."""

    def write(name, edits=(), facts=None):
        facts = copy.deepcopy(facts or facts_of(finished))
        for place, value in dict(edits).items():
            *folders, last = place.split("/")
            section = facts
            for folder in folders:
                section = section[folder]
            section[last] = value
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        path.write_text(json.dumps({**facts, "run": name}))
        return path

    return write


def test_settings_that_differ_are_listed_once(write):
    twice = {"config/data/img_size": 64, "config/model/img_size": 64, "config/log/notes": "x"}
    runs = read_runs([write("a"), write("b", {**twice, "config/loss/lambda_cyc": 3.5})])
    assert find_differences(runs) == {"data.img_size": ["32", "64"], "loss.lambda_cyc": ["1.0", "3.5"]}
    assert find_differences(runs[:1]) == {}


def test_lists_of_the_split_maker_are_no_difference(write):
    split = {"config/split": {"source": "d"}}
    runs = read_runs([write(name, {**split, "config/data/source": f"{name}/train.csv"}) for name in "ab"])
    assert find_differences(runs) == {}
    runs = read_runs([write(name, {"config/data/source": name}) for name in "ab"])
    assert find_differences(runs) == {"data.source": ["a", "b"]}


def test_what_one_section_alone_changes_is_said(write):
    """Though another has a setting of that name and of those values."""
    edits = ("config/split", {"source": "A"}), ("config/split", {"source": "B"})
    edits = [{path: value, "config/data/source": f"{value['source']}/train.csv"} for path, value in edits]
    edits[0] |= {"config/solver/lr": 1e-4, "config/classifier/lr": 1e-4, "config/data/batch_size": 16}
    edits[1] |= {"config/solver/lr": 1e-3, "config/classifier/lr": 1e-3, "config/data/batch_size": 64}
    edits[1] |= {"config/validation_data/batch_size": 64, "config/test_data": None}
    found = find_differences(read_runs([write(name, edit) for name, edit in zip("ab", edits, strict=True)]))
    assert found["split.source"] == ["A", "B"]
    assert found["solver.lr"] == found["classifier.lr"] == ["0.0001", "0.001"]
    assert found["data.batch_size"] == ["16", "64"]
    assert not any(name.endswith(".source") and name != "split.source" for name in found)


def test_columns_have_the_numbers_of_the_shown_split(write, finished):
    facts = facts_of(finished)
    columns = {column["title"]: column for column in columns_of(read_runs([write("a")]))}
    for matrix in facts["matrices"]:
        if matrix["split"] == "test":
            cell = columns[f"Conversion rate, {matrix['kind']}, %"]["cells"][0]
            assert cell["value"] == matrix["averages"]["conversion_rate"]
            assert cell["text"] == f"{100 * cell['value']:.1f}"
            assert columns[f"L1, {matrix['kind']}"]["cells"][0]["value"] == matrix["averages"]["l1"]
    assert columns["Selected step"]["cells"][0]["text"] == str(facts["selection"]["step"])
    accuracy = facts["classifier"]["splits"]["test"]["accuracy"]
    assert columns["Classifier accuracy, %"]["cells"][0]["value"] == accuracy


@pytest.mark.parametrize(
    ("edits", "warning"),
    [
        ({}, None),
        ({"config/loss/lambda_cyc": 3}, None),
        ({"classifier/digest": "other"}, "classifier"),
        ({"tries": 5}, "number of tries per query (the conversion rate depends on it)"),
        ({"data/splits/train/digest": "other"}, "training images"),
        ({"data/splits/test/digest": "other"}, "test images"),
        ({"shown_split": "validation"}, "split"),
        ({"config/data/img_size": 64}, "size, range and channels of the images (distances depend on them)"),
    ],
)
def test_what_cannot_be_compared_fairly_is_said(write, edits, warning):
    runs = read_runs([write("a"), write("b", edits), write("c")])
    assert list(find_warnings(runs)) == ([f"Not the {warning} of a: b."] if warning else [])


def test_other_classes_are_said_and_another_order_of_them_is_not(write, finished):
    facts = facts_of(finished)
    runs = read_runs([write("a"), write("b", facts=with_classes(facts, ["along", "across"]))])
    assert list(find_warnings(runs)) == []
    runs = read_runs([write("a"), write("b", facts=with_classes(facts, ["along", "round"]))])
    assert list(find_warnings(runs)) == ["Not the classes of a: b."]


def test_names_are_data_never_markup(write, finished, tmp_path):
    facts = with_classes(facts_of(finished), NAMES)
    edits = {"config/model/final_activation": "<i>x</i>"}
    runs = read_runs([write("plain"), *(write(name, edits, facts) for name in NAMES[1:])])
    html = render_comparison(runs, tmp_path / "index.html")
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 3  # ours
    assert [run["name"] for run in json.loads(scripts[1])["runs"]] == ["plain", *NAMES[1:]]
    assert "<i>" not in html
    assert "<b>" not in html
    assert html == render_comparison(runs, tmp_path / "index.html")


def test_reports_beside_their_json_are_linked_from_the_page(write, tmp_path):
    path = write("a")
    (tmp_path / "x & y #1").mkdir()
    json_file = path.rename(tmp_path / "x & y #1/r.json")
    assert ">a</a>" not in render_comparison(read_runs([json_file]), tmp_path / "index.html")
    json_file.with_suffix(".html").touch()
    html = render_comparison(read_runs([json_file]), tmp_path / "out/index.html")
    assert '<a href="../x%20%26%20y%20%231/r.html">a</a>' in html


def test_runs_of_one_name_are_called_by_their_files(write):
    paths = [write("a"), write("a"), write("b")]
    assert [run.name for run in read_runs(paths)] == [str(paths[0]), str(paths[1]), "b"]


def test_the_command_writes_the_page(write, tmp_path):
    out = tmp_path / "pages/index.html"
    done = command("compare", write("a"), write("b"), "--out", out)
    assert done.status == 0, done.said
    assert "2 runs" in out.read_text()
    path = write("c")
    assert "would be overwritten" in command("compare", path, "--out", path).said


@pytest.mark.parametrize("content", ["", "[1]", "{}", '"x"', '{"run": "a", "classes": ["x"], "shown_split": "test"}'])
def test_what_is_no_reports_json_is_named(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    done = command("compare", path, "--out", tmp_path / "index.html")
    assert done.status == 1
    assert "other.json: is not the JSON of a report, or of one of another version" in done.said
    assert "leave it out, or run the workflow again" in done.said
    assert not (tmp_path / "index.html").exists()


def test_an_older_versions_json_is_named(write, finished):
    facts = facts_of(finished)
    del facts["matrices"][-1]["averages"]["l1"]
    path = write("a", facts=facts)
    done = command("compare", path, "--out", path.parent / "index.html")
    assert done.status == 1
    assert f"{path}: is not the JSON" in done.said
