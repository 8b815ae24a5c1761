import json
import re

from helpers.report_facts import NAMES, facts_of, pictures_of, with_classes

from quac.report.page import render


def test_names_are_data_never_markup(finished):
    facts = with_classes(facts_of(finished), NAMES)
    facts["notes"] = "<b>&amp;</b>"
    html = render(facts, pictures_of(facts))
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 3  # ours
    assert json.loads(scripts[1])["classes"] == NAMES
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<b>&amp;</b>" not in html


def test_rendering_again_gives_the_same_file(finished):
    facts = facts_of(finished)
    assert render(facts, pictures_of(facts)) == render(json.loads(json.dumps(facts)), pictures_of(facts))


def test_pairs_of_a_finding_are_shown(finished):
    facts = facts_of(finished)
    pairs = [["train/a/<1>.png", "test/a/2.png"]] * 13
    facts["data"]["findings"] = [
        {"code": "x", "severity": "warning", "message": "alike", "remedy": "look", "files": [], "pairs": pairs}
    ]
    html = render(facts, {**pictures_of(facts), "findings": [[("data:,one", "data:,other")] * 12]})
    assert html.count('src="data:,one" alt="train/a/&lt;1&gt;.png"') == 12
    assert "The first 12 of 13 pairs" in html


def test_a_gallery_that_was_cut_says_so(finished):
    facts = facts_of(finished)
    shown = len(facts["gallery"]["entries"])
    assert "chosen conversions are shown" not in render(facts, pictures_of(facts))
    facts["gallery"]["chosen"] = shown + 7
    assert f"{shown} of {shown + 7} chosen conversions are shown" in render(facts, pictures_of(facts))


def test_grids_that_were_cut_say_so(finished):
    facts = facts_of(finished)
    assert "To keep this file small, pictures have" not in render(facts, pictures_of(facts))
    facts["styles"]["side"] = 32
    html = render(facts, pictures_of(facts))
    assert "pictures have 32 pixels a side at most; all images" in html
    facts["styles"]["chosen"] = 12
    html = render(facts, pictures_of(facts))
    assert "pictures have 32 pixels a side at most, and 8 of 12 queries\nare shown; all images" in html
