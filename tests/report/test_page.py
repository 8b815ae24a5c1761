import json
import re

from helpers.report_facts import NAMES, pictures_of, report_of, tiny_report, with_classes
from jinja2 import ChoiceLoader, DictLoader

from quac.report.page import TEMPLATES, render
from quac.report.reading import read_report
from quac.report.schema import Finding, OneFactRule
from quac.report.sections import SECTIONS, ReportSection


def test_names_are_data_never_markup():
    report = with_classes(tiny_report(), NAMES)
    report.notes = "<b>&amp;</b>"
    html = render(report, pictures_of(report))
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", html, re.DOTALL)
    assert len(scripts) == 3  # ours
    assert json.loads(scripts[1])["classes"] == NAMES
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<b>&amp;</b>" not in html


def test_rendering_again_gives_the_same_file(tmp_path):
    report, path = tiny_report(), tmp_path / "report.json"
    path.write_text(report.model_dump_json())
    assert render(report, pictures_of(report)) == render(read_report(path), pictures_of(report))


def test_the_report_of_the_workflow_is_that_of_its_numbers(finished):
    report = report_of(finished)
    assert report.format == 2
    assert list(report.classifier.oracles) == ["oracle"]
    assert all(matrix.averages.number("agreement_with_oracle") is not None for matrix in report.matrices)
    assert "fit_oracle" in [stage.stage for stage in report.stages]
    text = re.sub(r'"data:image/[^"]*"|url\(data:[^)]*\)', "", (finished.folder / "reports/tiny.html").read_text())
    again = re.sub(r'"data:image/[^"]*"|url\(data:[^)]*\)', "", render(report, pictures_of(report)))
    for name in SECTIONS:
        assert f'<section id="{name}"' in text
    assert text.count("<td") == again.count("<td")


def test_pairs_of_a_finding_are_shown():
    report = tiny_report()
    pairs = [("train/a/<1>.png", "test/a/2.png")] * 13
    report.data.findings = [Finding(code="x", severity="warning", message="alike", remedy="look", pairs=pairs)]
    pictures = pictures_of(report)
    pictures["data"]["findings"] = [[("data:,one", "data:,other")] * 12]
    html = render(report, pictures)
    assert html.count('src="data:,one" alt="train/a/&lt;1&gt;.png"') == 12
    assert "The first 12 of 13 pairs" in html


def test_the_accuracy_of_one_fact_alone_is_shown_beside_chance():
    report = tiny_report()
    assert "One fact alone" not in render(report, pictures_of(report))
    width = {
        "fact": "width",
        "accuracy": 0.9375,
        "accuracy_low": 0.875,
        "accuracy_high": 1,
        "chance": 0.5,
        "images": 24,
    }
    unknown = {"fact": "plate", **dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high"))}
    report.data.one_fact_rules = [
        OneFactRule(**width),
        OneFactRule(**unknown, chance=0.5, images=3),
    ]
    text = re.sub(r"<[^>]*>", " ", render(report, pictures_of(report)))
    assert "width 93.8 87.5 to 100.0 50.0 24" in re.sub(r"\s+", " ", text)
    assert "plate \N{EN DASH} \N{EN DASH} 50.0 3" in re.sub(r"\s+", " ", text)


def test_the_verdict_shows_the_oracle_or_that_there_is_none():
    report = tiny_report()
    for matrix in report.matrices:
        matrix.averages.translation_rate_by_oracle, matrix.averages.agreement_with_oracle = 0.215, 0.203
    html = render(report, pictures_of(report))
    verdict = html[html.index('id="verdict"') : html.index('id="data"')]
    assert verdict.count("21.5 % by oracle") == 2
    assert verdict.count("<dt>Agreement with oracle</dt>") == verdict.count("<strong>20.3<") == 2
    assert "nothing protects these rates" not in verdict
    report.classifier.oracles = {}
    html = render(report, pictures_of(report))
    assert "No oracle judged the images: nothing protects these rates" in html
    assert "by oracle" not in html


def test_a_shortened_gallery_states_that():
    report = tiny_report()
    shown = len(report.gallery.entries)
    assert "chosen conversions are shown" not in render(report, pictures_of(report))
    report.gallery.chosen = shown + 7
    assert f"{shown} of {shown + 7} chosen conversions are shown" in render(report, pictures_of(report))


def test_shortened_grids_state_that():
    report = tiny_report()
    assert "To keep this file small, pictures have" not in render(report, pictures_of(report))
    report.styles.side = 32
    html = render(report, pictures_of(report))
    assert "pictures have at most 32 pixels a side; all images" in html
    report.styles.chosen = 12
    html = render(report, pictures_of(report))
    assert "pictures have at most 32 pixels a side, and 8 of 12 queries\nare shown; all images" in html


def test_sections_without_a_part_are_left_out():
    report = tiny_report()
    pictures = pictures_of(report)
    report.gallery = report.styles = None
    del pictures["examples"], pictures["styles"]
    html = render(report, pictures)
    assert '<section id="styles"' not in html
    assert 'href="#examples"' not in html
    assert '<section id="provenance"' in html


def test_a_section_is_added_by_the_registry_alone(monkeypatch, tmp_path):
    toy = {"toy.html": '<section id="toy">{{ toy.wheels }} {{ pictures.noise }}</section>'}
    monkeypatch.setattr(TEMPLATES, "loader", ChoiceLoader([DictLoader(toy), TEMPLATES.loader]))
    monkeypatch.setitem(SECTIONS, "toy", ReportSection("toy", "Toys", "toy"))
    path = tmp_path / "report.json"
    path.write_text(json.dumps({**tiny_report().model_dump(mode="json"), "toy": {"wheels": 4}}))
    report = read_report(path)
    html = render(report, {**pictures_of(report), "toy": {"noise": "<rattle>"}})
    assert '<section id="toy">4 &lt;rattle&gt;</section>' in html
    assert '<a href="#toy">Toys</a>' in html
    path.write_text(tiny_report().model_dump_json())  # of a version without toys
    assert "Toys" not in render(read_report(path), pictures_of(report))
