"""What the verdict and the data section claim, with either side of each condition."""

import re

import pytest
from helpers.report_facts import pictures_of, tiny_report

from quac.config.choices import SEVERITIES
from quac.report.claims import LEAK_CHECKS, checked, groups_text, identification_chance
from quac.report.page import render
from quac.report.schema import Masks
from quac.report.warnings import find_warnings


def unchanged(report):
    pass


def text_of(section, change=unchanged):
    """The text of a section of the page, without markup; warnings are those of the changed report."""
    report = tiny_report()
    change(report)
    report.warnings = list(find_warnings(report))
    html = render(report, pictures_of(report))
    part = re.search(rf'<section id="{section}".*?</section>', html, re.DOTALL)[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", part))


def set_groups(count):
    def change(report):
        for images in report.data.splits.values():
            images.groups = count

    return change


def set_averages(**numbers):
    def change(report):
        for matrix in report.matrices:
            for name, number in numbers.items():
                setattr(matrix.averages, name, number)

    return change


def ignore(*codes):
    return lambda report: report.config.update(checks={"severity": dict.fromkeys(codes, "ignore")})


def paste(report):
    report.masks = Masks(edge=0, queries={"test": (20, 20)})


# A claim, the section that has it, and a change by which its condition is met, and another one.
CLAIMS = {
    "No oracle judged the images: nothing protects these rates": (
        *("verdict", lambda report: report.classifier.oracles.clear(), unchanged),
    ),
    "Before the conversion, the classifier called the queries the target in 20.0 % of the cases": (
        *("verdict", set_averages(called_before=0.2), set_averages(called_before=None)),
    ),
    "Identification 68.0 % 60.0\N{EN DASH}75.0 by chance 10.0": (
        *("verdict", set_averages(identification=0.68, identification_low=0.6, identification_high=0.75)),
        set_averages(identification=None),
    ),
    "No warnings: a test split that chose nothing; no identical or near-identical images found in two splits": (
        *("verdict", unchanged, ignore("group-across-splits")),
    ),
    "groups: none given": ("verdict", set_groups(0), set_groups(7)),
    "groups: train 7, validation 7, test 7": ("verdict", set_groups(7), set_groups(0)),
    "groups: not recorded": ("verdict", set_groups(None), set_groups(0)),
    "A query was converted only inside its mask": ("verdict", paste, unchanged),
    "Not checked ( checks.severity : ignore): near-duplicate-across-splits, blank.": (
        *("data", ignore("blank", "near-duplicate-across-splits"), unchanged),
    ),
    "Groups: none given.": ("data", set_groups(0), set_groups(3)),
}


@pytest.mark.parametrize("words", CLAIMS)
def test_a_claim_stands_only_where_its_condition_is_met(words):
    section, met, unmet = CLAIMS[words]
    assert words in text_of(section, met)
    assert words not in text_of(section, unmet)


def test_the_checks_that_ran_are_listed():
    text = text_of("data", ignore(*LEAK_CHECKS))
    ran, off = re.search(r"Checked: (.*?)\. Not checked \( checks.severity : ignore\): (.*?)\. Groups", text).groups()
    assert off.split(", ") == [*LEAK_CHECKS]
    assert ran.split(", ") == [code for code in SEVERITIES if code not in LEAK_CHECKS]
    assert "No warnings" not in text_of("verdict", ignore(*LEAK_CHECKS))
    assert checked(tiny_report()) == [*SEVERITIES]


def test_accuracy_on_real_images_bounds_nothing():
    text = text_of("verdict")
    assert "eiling" not in render(tiny_report(), pictures_of(tiny_report()))
    assert "The accuracy on real images bounds no rate: a higher rate means images more typical" in text
    assert "95 % intervals, over the queries of one training" in text


def test_typical_examples_are_called_random_tries():
    text = text_of("examples")
    assert "typical random try" in text
    assert "best best of 2" in text
    assert "random queries and a random try of each, drawn by the seed and not chosen by their result" in text


def test_groups_of_an_older_report_are_not_recorded():
    assert groups_text(tiny_report()) == "none given"
    report = tiny_report()
    report.data.splits["test"].groups = None
    assert groups_text(report) == "not recorded"


def test_identification_by_chance():
    matrix = tiny_report().matrices[2]
    assert identification_chance(matrix) == pytest.approx(1 / 10)
    for cell in matrix.cells:
        cell.scored = 75 if cell.source == "across" else 1000
    assert identification_chance(matrix) == pytest.approx((1 / 75 + 1 / 100) / 2)
