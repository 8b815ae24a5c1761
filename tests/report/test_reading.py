"""Reports of version 1, of newer formats, and files that are not reports."""

import json
from pathlib import Path

import pytest
from helpers.report_facts import tiny_report

from quac.report.compare import find_differences, find_warnings, read_runs, render_comparison
from quac.report.reading import read_report
from quac.system.errors import QuacError

VERSION_1 = Path(__file__).parent / "version_1.json"


def test_a_report_is_read_as_it_was_written(tmp_path):
    report, path = tiny_report(), tmp_path / "report.json"
    path.write_text(report.model_dump_json())
    assert read_report(path).model_dump() == report.model_dump()
    assert json.loads(path.read_text())["format"] == 2


def test_version_1_is_read_with_the_current_names():
    assert "format" not in json.loads(VERSION_1.read_text())
    report = read_report(VERSION_1)
    assert list(report.training.history) == [
        *("step", "images_per_second", "D/latent_real", "D/reference_real", "G/latent_adv", "G/reference_adv"),
        "translation_rate_reference",
    ]
    config = report.config
    assert [config[name]["reference"] for name in ("data", "validation_data", "test_data")] == [
        "train",
        "train",
        "validation",
    ]
    assert config["selection"]["tries"] == 2
    assert config["model"]["kind"] == "starganv2"
    assert not {"schedule", "channels_last"} & config["solver"].keys()
    assert "segment_iters" not in config["run"]
    assert (report.gallery, report.styles) == (None, None)
    assert report.shown("latent").averages.number("kernel") is None


def test_a_deleted_setting_of_another_value_stays(tmp_path):
    content = json.loads(VERSION_1.read_text())
    content["config"]["solver"]["schedule"] = "merged"
    (tmp_path / "merged.json").write_text(json.dumps(content))
    runs = read_runs([VERSION_1, tmp_path / "merged.json"])
    assert find_differences(runs) == {"solver.schedule": ["\N{EN DASH}", "merged"]}


def test_version_1_is_compared_with_version_2(tmp_path):
    path = tmp_path / "new.json"
    path.write_text(json.dumps({**tiny_report().model_dump(mode="json"), "run": "new"}))
    runs = read_runs([VERSION_1, path])
    assert [run.run for run in runs] == ["tiny", "new"]
    html = render_comparison(runs, [None, None])
    assert 'aria-label="Generator: reference adv"' in html
    assert "ref adv<" not in html.replace("reference adv<", "")
    assert "Different reference images than tiny: new." in list(find_warnings(runs))


def test_oracles_were_called_judges(tmp_path):
    content = tiny_report().model_dump(mode="json")
    content["classifier"]["judges"] = content["classifier"].pop("oracles")
    content["config"]["judges"] = {}
    (tmp_path / "old.json").write_text(json.dumps(content))
    report = read_report(tmp_path / "old.json")
    assert list(report.classifier.oracles) == ["oracle"]
    assert report.config["oracles"] == "none"
    assert "judges" not in report.config


def test_a_newer_format_is_named(tmp_path):
    path = tmp_path / "new.json"
    path.write_text(json.dumps({"format": 3}))
    with pytest.raises(QuacError, match=r"new.json: has format 3, .* reads formats 1 to 2. Update quac"):
        read_report(path)


@pytest.mark.parametrize(
    "content",
    ["", "[1]", "{}", '"x"', '{"run": "a", "classes": ["x"], "shown_split": "test"}', "\0", '{"format": 2}'],
)
def test_a_file_that_is_not_a_report_is_named(tmp_path, content):
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(QuacError, match=r"other.json: not the JSON of a report .*Leave it out, or run the workflow"):
        read_report(path)
