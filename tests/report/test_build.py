import json

import pytest

from quac.errors import QuacError
from quac.files import read_json
from quac.report.build import _require_current, render


def pictures(facts):
    findings = facts["data"]["findings"]
    return {"gallery": [("data:,", "data:,")] * len(facts["gallery"]["entries"]), "findings": [[] for _ in findings]}


def test_names_are_data_never_markup(finished):
    """A class called <script> and a note with markup appear as text."""
    facts = read_json(finished.folder / "reports/tiny.json")
    text = json.dumps(facts).replace("across", "<script>alert(1)</script>").replace("tiny", "<b>&amp;</b>")
    html = render(json.loads(text), pictures(facts))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<b>&amp;</b>" not in html


def test_rendering_again_gives_the_same_file(finished):
    facts = read_json(finished.folder / "reports/tiny.json")
    assert render(facts, pictures(facts)) == render(facts, pictures(facts))


def test_pairs_of_a_finding_are_shown(finished):
    facts = read_json(finished.folder / "reports/tiny.json")
    pairs = [["train/a/<1>.png", "test/a/2.png"]] * 13
    facts["data"]["findings"] = [
        {"code": "x", "severity": "warning", "message": "alike", "remedy": "look", "files": [], "pairs": pairs}
    ]
    html = render(facts, {**pictures(facts), "findings": [[("data:,one", "data:,other")] * 12]})
    assert html.count('src="data:,one" alt="train/a/&lt;1&gt;.png"') == 12
    assert "The first 12 of 13 pairs" in html


def test_results_of_other_settings_are_not_reported(tmp_path):
    (tmp_path / "key.json").write_text('{"a": 1}')
    with pytest.raises(QuacError, match=r"results of train were made from other settings .*; run the same"):
        _require_current([("", {"stage": "train", "keys": ["0123"]})], [tmp_path / "key.json"], [], {})


def test_results_of_another_checkpoint_are_not_reported():
    checkpoints = {"2": {"sha256": "a"}, "4": {"sha256": "b"}}
    made = [{"step": step, "checkpoint_digest": "a", "provenance": {"stage": "convert"}} for step in (2, 4)]
    _require_current([], [], made[:1], checkpoints)
    with pytest.raises(QuacError, match="results of convert were made from other settings"):
        _require_current([], [], made, checkpoints)
