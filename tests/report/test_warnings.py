import re

import pytest
from helpers.builders import ROOT
from helpers.report_facts import tiny_report

from quac.report.schema import CheckedClassifier, Finding, Masks
from quac.report.warnings import WARNINGS, find_warnings


def warnings_of(change):
    report = tiny_report()
    change(report)
    return [(warning.section, warning.text) for warning in find_warnings(report)]


def test_a_sound_report_has_no_warnings():
    assert warnings_of(lambda report: None) == []


def below_minimum(report):
    report.config["validation_config"]["min_accuracy"] = 0.8
    report.accuracy.accuracy_per_class[report.classes[0]] = 0.7  # over all classes it is .8


def ignore(*codes):
    return lambda report: report.config.update(checks={"severity": dict.fromkeys(codes, "ignore")})


def set_diversity(matrix, share):
    matrix.averages.diversity = None if share is None else share * matrix.averages.l1


@pytest.mark.parametrize("share", [0.5, 0.9, None])  # None: there is only one try
def test_a_style_that_changes_the_tries_is_no_warning(share):
    assert warnings_of(lambda report: set_diversity(report.matrices[2], share)) == []


def test_one_warning_names_all_style_kinds_that_change_little():
    def change(report):
        for matrix, share in zip(report.matrices, (0, 0, 0.4, 0.232), strict=True):
            set_diversity(matrix, share)

    ((_, text),) = warnings_of(change)
    assert "by only 40 % (latent styles) and 23 % (reference styles) of their distance to the query" in text


def test_other_checks_may_be_ignored_without_a_warning():
    assert warnings_of(ignore("blank", "mixed-sizes")) == []


@pytest.mark.parametrize("is_ours", [True, False])
def test_without_a_test_split_the_classifiers_epoch_was_chosen_there_too(is_ours):
    def change(report):
        report.selection.split = "test"
        if not is_ours:
            report.classifier.fit = None

    ((_, text),) = warnings_of(change)
    assert ("chose the checkpoint and the classifier's epoch" in text) == is_ours


def test_the_docs_name_every_warning():
    page = (ROOT / "docs/reference/report-claims.md").read_text()
    named = re.findall(r"^\| `(_of_\w+)` \| (\w+) \|", page, re.MULTILINE)
    assert named == [(f.__name__, section) for section, functions in WARNINGS.items() for f in functions]


def weak_oracle(report):
    report.config["validation_config"]["min_accuracy"] = 0.8
    report.classifier.oracles["oracle"].splits["test"].accuracy_per_class[report.classes[1]] = 0.7


def test_a_calibration_error_that_chance_explains_is_no_warning():
    assert warnings_of(lambda report: setattr(report.accuracy, "calibration_error", 0.11)) == []

    def of_an_older_version(report):
        report.accuracy.calibration_error, report.accuracy.calibration_limit = 0.11, None

    assert "11.0 % off" in warnings_of(of_an_older_version)[0][1]


FINDING = Finding(code="x", severity="warning", message="alike", remedy="look")
MASKS = Masks(edge=0, queries={"test": (12, 15)})


@pytest.mark.parametrize(
    ("section", "words", "change"),
    [
        ("selection", "There is no test split", lambda r: setattr(r.selection, "split", "test")),
        ("classifier", "part of the training loss", lambda r: r.config["loss"].update(lambda_cls=0.5)),
        ("classifier", "right on 70.0 %", below_minimum),
        ("classifier", "13.0 % off", lambda r: setattr(r.accuracy, "calibration_error", 0.13)),
        ("classifier", "nothing shows whether", lambda r: r.classifier.oracles.clear()),
        ("classifier", "oracle is right on 70.0 %", weak_oracle),
        ("classifier", "a sigmoid per class", lambda r: setattr(r.classifier, "one_vs_rest", True)),
        ("matrices", "queries of: across 9", lambda r: setattr(r.matrices[2].cells[0], "scored", 9)),
        ("matrices", "groups of test queries of: across 4.", lambda r: setattr(r.matrices[2].cells[0], "groups", 4)),
        ("matrices", "3 of 15 test queries", lambda r: setattr(r, "masks", MASKS)),
        ("data", "alike. Remedy: look.", lambda r: r.data.findings.append(FINDING)),
        ("data", "Not checked (checks.severity: ignore): group-across-splits.", ignore("group-across-splits")),
        ("styles", "by only 45 % (latent styles) of their distance", lambda r: set_diversity(r.matrices[2], 0.45)),
        ("provenance", "c0ffee, unknown", lambda r: setattr(r.stages[0], "commit", None)),
    ],
)
def test_each_warning_names_its_section(section, words, change):
    ((found, text),) = warnings_of(change)
    assert (found, words in text) == (section, True)


def test_five_groups_are_enough():
    assert warnings_of(lambda report: setattr(report.matrices[2].cells[0], "groups", 5)) == []


def test_warns_of_an_oracle_that_disagrees():
    def disagree(report):
        checked = report.classifier.model_dump(exclude={"oracles", "fit", "classes"})
        report.classifier.oracles["other"] = CheckedClassifier.model_validate(checked)
        averages = report.matrices[2].averages
        averages.translation_rate, averages.conversion_rate = 0.9, 1.0
        averages.translation_rate_by_oracle, averages.conversion_rate_by_oracle = 0.9, 1.0
        averages.translation_rate_by_other, averages.conversion_rate_by_other = 0.81, 0.85

    ((_, text),) = warnings_of(disagree)
    assert "conversion rate is 100.0 % by the classifier and 85.0 % by other" in text
