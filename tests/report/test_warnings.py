import copy

import pytest

from quac.report.warnings import find_warnings

RATES = {"translation_rate": 0.9, "conversion_rate": 1.0}


@pytest.fixture
def facts():
    cell = {"source": "a", "target": "b", "scored": 10}
    return {
        "shown_split": "test",
        "masks": None,
        "selection": {"split": "validation"},
        "config": {"loss": {"lambda_cls": 0.0}, "validation_config": {"min_accuracy": 0.8}},
        "classifier": {"splits": {"test": {"accuracy": 0.9, "calibration_error": 0.1}}, "judges": {}},
        "matrices": [{"split": "test", "kind": "latent", "cells": [cell], "averages": RATES}],
        "data": {"findings": []},
        "stages": [{"commit": "one"}, {"commit": "one"}],
    }


def test_nothing_to_warn_of(facts):
    assert find_warnings(facts) == []


def changed(facts, change):
    facts = copy.deepcopy(facts)
    change(facts)
    return [(warning["section"], warning["text"]) for warning in find_warnings(facts)]


@pytest.mark.parametrize(
    ("section", "words", "change"),
    [
        ("selection", "There is no test split", lambda f: f["selection"].update(split="test")),
        ("classifier", "was trained on", lambda f: f["config"]["loss"].update(lambda_cls=0.5)),
        ("classifier", "right on 70.0 %", lambda f: f["classifier"]["splits"]["test"].update(accuracy=0.7)),
        ("classifier", "11.0 % off", lambda f: f["classifier"]["splits"]["test"].update(calibration_error=0.11)),
        ("matrices", "queries of: a 9", lambda f: f["matrices"][0]["cells"][0].update(scored=9)),
        ("matrices", "3 of 15 test queries", lambda f: f.update(masks={"edge": 0, "queries": {"test": [12, 15]}})),
        (
            "data",
            "alike. Remedy: look.",
            lambda f: f["data"]["findings"].append({"message": "alike", "remedy": "look"}),
        ),
        ("provenance", "one, unknown", lambda f: f["stages"].append({"commit": None})),
    ],
)
def test_each_warning_names_its_section(facts, section, words, change):
    ((found, text),) = changed(facts, change)
    assert (found, words in text) == (section, True)


def test_judges_that_disagree(facts):
    facts["classifier"]["judges"]["other"] = {}
    averages = {"translation_rate_by_other": 0.81, "conversion_rate_by_other": 0.85}
    facts["matrices"][0]["averages"] = {**RATES, **averages}
    ((_, text),) = changed(facts, lambda _: None)
    assert "conversion rate is 100.0 % by the first and 85.0 % by other" in text
