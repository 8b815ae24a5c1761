"""What a report says about the controls: each sentence on its own condition."""

import pytest
from helpers.report_facts import controls, pictures_of, tiny_report

from quac.report.controls import Controls, meaning_of, sentence_of
from quac.report.page import render

TOLD_APART = "Noise that fools the classifier as often is called the target less often by strict"
NO_BETTER = "Noise does as well as the conversions by strict, too: nothing here shows"
NOTHING = "no other classifier judged: nothing here tells the two apart"
UNKNOWN = "whether noise would do as well as the conversions is not known"
UNREACHED = "No noise that was tried reaches the rate"
FAR = "The conversions are no nearer to their queries than the nearest real image"
EVERY = (TOLD_APART, NO_BETTER, NOTHING, UNKNOWN, UNREACHED, FAR)


def made(*oracles):
    return Controls.model_validate(controls(oracles))


def shown(found):
    """The sentences of EVERY on the page, which both the verdict and the section show."""
    report = tiny_report()
    report.controls = found
    html = " ".join(render(report, pictures_of(report)).split())
    for sentence in EVERY:
        assert html.count(sentence) in (0, 2)
    return {sentence for sentence in EVERY if sentence in html}


def test_the_sentence_has_all_numbers():
    assert sentence_of(made("strict")) == (
        "Converted: 96.0 % by the classifier, 96.0 % by strict, at L1 0.20 (0.67 of the way from the own-style "
        "reconstruction to the nearest real image); unchanged: 0.0 %; nearest real image: 100.0 % at L1 0.25; "
        "noise at 50 % of the change: 96.0 % by the classifier, 20.0 % by strict."
    )
    assert sentence_of(made()).startswith("Converted: 96.0 % by the classifier, at L1 0.20 (")
    assert "strict" not in sentence_of(made())


def test_an_oracle_tells_noise_from_conversions():
    assert shown(made("strict")) == {TOLD_APART}


@pytest.mark.parametrize(("rate", "expected"), [(0.85, TOLD_APART), (0.87, NO_BETTER), (1.0, NO_BETTER)])
def test_an_oracle_that_noise_fools_as_well_protects_from_nothing(rate, expected):
    found = made("strict")
    found.find("noise").translation_rate_by_strict = rate
    assert shown(found) == {expected}


def test_one_oracle_that_tells_them_apart_is_enough():
    found = made("strict", "weak")
    found.find("noise").translation_rate_by_weak = 0.96
    assert "less often by strict: the conversions" in meaning_of(found)


def test_without_an_oracle_nothing_protects():
    assert shown(made()) == {NOTHING}


def test_noise_that_reaches_too_little():
    found = made()
    assert "the smallest of 2 amounts that reaches" in page_of(found)
    found.noise.reached = False
    assert shown(found) == {UNREACHED}
    assert "the largest of 2 amounts, none of which reaches" in page_of(found)


def test_a_classifier_without_gradients():
    found = made("strict")
    found.controls = [control for control in found.controls if control.name != "noise"]
    found.noise.eps, found.noise.fault = None, "a <fault>"
    assert shown(found) == {UNKNOWN}
    assert "noise at" not in sentence_of(found)
    assert "the classifier gives no gradients (a &lt;fault&gt;)" in page_of(found)


def test_conversions_that_are_as_far_as_the_nearest_image():
    found = made("strict")
    for control in found.controls[:2]:
        control.average.l1 = 0.25
    assert shown(found) == {TOLD_APART, FAR}


def test_a_scale_that_does_not_exist_is_left_out():
    found = made()
    found.controls[1].average.l1_scaled = None
    assert "of the way" not in sentence_of(found)


def test_a_report_without_controls_has_no_section():
    report = tiny_report()
    assert '<section id="controls">' in render(report, pictures_of(report))
    report.controls = None
    html = render(report, pictures_of(report))
    assert "#controls" not in html
    assert '<section id="controls">' not in html


def page_of(found):
    report = tiny_report()
    report.controls = found
    return " ".join(render(report, pictures_of(report)).split())
