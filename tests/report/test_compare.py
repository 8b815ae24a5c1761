"""The comparison: which settings differ, what it warns of, and how it handles names."""

import json
import re

import pytest
from helpers.builders import command
from helpers.report_facts import NAMES, tiny_report, with_classes

from quac.report.compare import (
    columns_of,
    find_differences,
    find_warnings,
    read_runs,
    render_comparison,
    report_links,
    write_comparison,
)
from quac.system.errors import QuacError


@pytest.fixture
def write(tmp_path):
    """Writes the JSON of a run like the tiny report, edited by `{place in the JSON: value}`; returns its path."""

    def write(name, edits=(), report=None):
        content = (report or tiny_report()).model_dump(mode="json")
        for place, value in dict(edits).items():
            *folders, last = place.split("/")
            section = content
            for folder in folders:
                section = section[folder]
            section[last] = value
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        path.write_text(json.dumps({**content, "run": name}))
        return path

    return write


def test_settings_that_differ_are_listed_once(write):
    twice = {"config/data/img_size": 64, "config/model/img_size": 64, "config/log/notes": "x"}
    runs = read_runs([write("a"), write("b", {**twice, "config/loss/lambda_cyc": 3.5})])
    assert find_differences(runs) == {"data.img_size": ["32", "64"], "loss.lambda_cyc": ["1.0", "3.5"]}
    assert find_differences(runs[:1]) == {}


def test_lists_that_split_wrote_are_not_a_difference(write):
    split = {"config/split": {"source": "d"}}
    runs = read_runs([write(name, {**split, "config/data/source": f"{name}/train.csv"}) for name in "ab"])
    assert find_differences(runs) == {}
    runs = read_runs([write(name, {"config/data/source": name}) for name in "ab"])
    assert find_differences(runs) == {"data.source": ["a", "b"]}


def test_a_setting_that_only_one_section_changes_is_listed(write):
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


def test_columns_have_the_numbers_of_the_shown_split(write):
    report = tiny_report()
    columns = {column.title: column for column in columns_of(read_runs([write("a")]))}
    for matrix in report.matrices:
        if matrix.split == "test":
            cell = columns[f"Conversion rate, {matrix.kind}, %"].cells[0]
            assert cell.value == matrix.averages.conversion_rate
            assert cell.text == f"{100 * cell.value:.1f}"
            assert columns[f"L1 distance, {matrix.kind}"].cells[0].value == matrix.averages.l1
    assert columns["Selected step"].cells[0].text == str(report.selection.step)
    assert columns["Classifier accuracy, %"].cells[0].value == report.classifier.splits["test"].balanced


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
def test_warns_when_runs_are_not_comparable(write, edits, warning):
    runs = read_runs([write("a"), write("b", edits), write("c")])
    assert list(find_warnings(runs)) == ([f"Different {warning} than a: b."] if warning else [])


def test_warns_of_other_classes_but_not_of_another_order(write):
    report = tiny_report()
    runs = read_runs([write("a"), write("b", report=with_classes(report, ["along", "across"]))])
    assert list(find_warnings(runs)) == []
    runs = read_runs([write("a"), write("b", report=with_classes(report, ["along", "round"]))])
    assert list(find_warnings(runs)) == ["Different classes than a: b."]


def test_names_are_data_never_markup(write):
    report = with_classes(tiny_report(), NAMES)
    edits = {"config/model/final_activation": "<i>x</i>"}
    runs = read_runs([write("plain"), *(write(name, edits, report) for name in NAMES[1:])])
    html = render_comparison(runs, [None] * len(runs))
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 3  # ours
    assert [run["name"] for run in json.loads(scripts[1])["runs"]] == ["plain", *NAMES[1:]]
    assert "<i>" not in html
    assert "<b>" not in html
    assert html == render_comparison(runs, [None] * len(runs))


def test_reports_next_to_their_json_are_linked_from_the_page(write, tmp_path):
    path = write("a")
    (tmp_path / "x & y #1").mkdir()
    json_file = path.rename(tmp_path / "x & y #1/r.json")
    page = tmp_path / "out/index.html"
    write_comparison([json_file], page)
    assert ">a</a>" not in page.read_text()
    json_file.with_suffix(".html").touch()
    write_comparison([json_file], page)
    assert '<a href="../x%20%26%20y%20%231/r.html">a</a>' in page.read_text()
    assert report_links([json_file], tmp_path / "index.html") == ["x%20%26%20y%20%231/r.html"]


def test_runs_of_one_name_are_named_by_their_files(write):
    paths = [write("a"), write("a"), write("b")]
    assert [run.run for run in read_runs(paths)] == [str(paths[0]), str(paths[1]), "b"]


def test_the_page_is_written_and_never_over_a_report(write, tmp_path):
    page = tmp_path / "pages/index.html"
    write_comparison([write("a"), write("b")], page)
    assert "2 runs" in page.read_text()
    path = write("c")
    with pytest.raises(QuacError, match="would be overwritten"):
        write_comparison([path], path)


def test_a_file_that_is_not_a_report_leaves_no_page(write, tmp_path):
    (tmp_path / "other.json").write_text("{}")
    done = command("compare", write("a"), tmp_path / "other.json", "--out", tmp_path / "index.html")
    assert done.status == 1
    assert "other.json: not the JSON of a report" in done.output
    assert not (tmp_path / "index.html").exists()


def test_a_metric_that_an_older_report_lacks_is_a_dash(write):
    report = tiny_report()
    content = report.model_dump(mode="json")
    for matrix in content["matrices"]:
        for numbers in (matrix["averages"], *matrix["cells"]):
            for name in [name for name in numbers if name.startswith(("l1", "conversion_rate"))]:
                del numbers[name]
    for score in content["selection"]["scores"]:
        del score["l1"]
    runs = read_runs([write("a"), write("b", report=type(report).model_validate(content))])
    columns = {column.title: column for column in columns_of(runs)}
    for title in ("L1 distance, latent", "Conversion rate, reference, %"):
        assert columns[title].cells[1].text == "\N{EN DASH}"
        assert columns[title].cells[0].text != "\N{EN DASH}"
    assert "null" in render_comparison(runs, [None, None])


def test_a_style_kind_that_a_run_lacks_is_a_dash(write):
    report = tiny_report()
    report.matrices = [matrix for matrix in report.matrices if matrix.kind == "latent"]
    report.selection.scores = [score for score in report.selection.scores if score.kind == "latent"]
    runs = read_runs([write("a"), write("b", report=report)])
    columns = {column.title: column for column in columns_of(runs)}
    assert columns["Translation rate, reference, %"].cells[1].text == "\N{EN DASH}"
    assert "2 runs" in render_comparison(runs, [None, None])
