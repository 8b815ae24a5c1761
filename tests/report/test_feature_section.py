"""The measured features of a report: which are shown, and what is said of them."""

import re

import numpy as np
import pandas as pd
import pytest
from explanation.test_feature_changes import NAMES, frames
from helpers.report_facts import pictures_of, tiny_report

from quac.explanation.feature_changes import feature_changes
from quac.report.feature_section import SHOWN, show_features
from quac.report.formats import DASH
from quac.report.page import render
from quac.system.errors import QuacError
from quac.system.tables import write_table

CHANGE = {"holes": -2.0, "area": 6.0, "objects": 4.0, "perimeter": 3.0, "eccentricity": 2.5, "mean of red": 2.2}
DIFFERENCE = {"holes": -2.0, "objects": 8.0, "perimeter": 3.0, "eccentricity": 2.5, "mean of red": 2.2}


@pytest.fixture
def table(tmp_path):
    """The path of a table of changes, of two style kinds."""
    measured, real = frames(np.random.default_rng(0), change=CHANGE, difference=DIFFERENCE)
    changes, left_out = feature_changes(measured, real)
    both = pd.concat([changes, changes.assign(kind="<reference>")])
    left_out += [{"kind": "latent", "source": "a", "target": "b", "feature": "symmetry & more"}]
    definitions = {name: f"what <{name}> is" for name in NAMES}
    write_table(tmp_path / "test.parquet", both, left_out=left_out, definitions=definitions)
    return tmp_path / "test.parquet"


def page(table):
    report = tiny_report()
    report.features = show_features([table], "test")
    text = render(report, pictures_of(report))
    return re.search(r'<section id="features">.*?</section>', text, re.DOTALL)[0]


def test_the_features_that_change_most_are_shown(table):
    part = show_features([table], "test")
    assert [(pair.kind, pair.source, pair.target) for pair in part.pairs] == [
        ("latent", "a", "b"),
        ("<reference>", "a", "b"),
    ]
    pair = part.pairs[0]
    assert [row.feature for row in pair.features] == [
        "area",
        "objects",
        "perimeter",
        "eccentricity",
        "mean of red",
        "holes",
    ]
    assert len(pair.features) == SHOWN
    assert pair.excess == ["area"]
    assert pair.left_out == ["symmetry & more"]
    assert pair.conversions == 30
    assert part.definitions.keys() == {row.feature for row in pair.features}
    assert show_features([], "test") is None


def test_the_page_says_what_changed_in_words(table):
    text = page(table)
    pair = show_features([table], "test").pairs[0]
    objects = next(row for row in pair.features if row.feature == "objects")
    assert objects.generated_share == pytest.approx(0.5, abs=0.03)
    row = next(line for line in text.splitlines() if ">objects</span>" in line)
    assert f'<td class="number">{100 * objects.generated_share:.1f}</td>' in row
    assert f"+{float(f'{objects.generated_change:.3g}'):g} [" in row
    assert "&lt;\N{NO-BREAK SPACE}0.001" in row
    area = next(line for line in text.splitlines() if ">area</span>" in line)
    assert area.count(f'<td class="number">{DASH}</td>') == 2  # the classes do not differ in it: there is no share
    assert "<summary>a → b, latent: area" in text
    assert "% of the real difference</summary>" not in text.split("</summary>")[0]
    assert "The conversion changes area strongly, although the real classes do not differ" in text
    assert "symmetry &amp; more" in text
    assert "&lt;reference&gt;" in text
    assert "<reference>" not in text
    assert "nan" not in text.lower().replace("nance", "")


def test_a_feature_that_never_varies_in_real_images_comes_first(tmp_path):
    measured, real = frames(np.random.default_rng(0), change={"area": 9.0, "holes": 0.5})
    for vector in real["features"]:
        vector[NAMES.index("holes")] = 1.0
    changes, left_out = feature_changes(measured, real)
    write_table(tmp_path / "t.parquet", changes, left_out=left_out, definitions={})
    assert [row.feature for row in show_features([tmp_path / "t.parquet"], "test").pairs[0].features][:2] == [
        "holes",
        "area",
    ]


def test_certain_changes_come_first(tmp_path):
    """Few queries whose feature changes wildly, and one that changes little and surely."""
    measured, real = frames(np.random.default_rng(0), queries=4, change={"area": 0.5}, noise=0.001)
    for row, change in enumerate((40.0, -30.0, 20.0, 1.0)):
        measured["generated"][row][NAMES.index("holes")] += change
    changes, left_out = feature_changes(measured, real)
    write_table(tmp_path / "t.parquet", changes, left_out=left_out, definitions={})
    rows = show_features([tmp_path / "t.parquet"], "test").pairs[0].features
    assert [row.feature for row in rows][:2] == ["area", "holes"]
    assert rows[0].generated_change_p < 0.05 < rows[1].generated_change_p


def test_nothing_to_compare_is_said(tmp_path):
    measured, real = frames(np.random.default_rng(0), queries=2)
    write_table(tmp_path / "t.parquet", feature_changes(measured[:0], real)[0], left_out=[], definitions={})
    assert "There are too few explained conversions" in page(tmp_path / "t.parquet")


def test_a_pair_of_which_nothing_can_be_compared_is_named(tmp_path):
    measured, real = frames(np.random.default_rng(0), queries=4)
    once = measured[:1].assign(source="b", target="a")
    changes, left_out = feature_changes(pd.concat([measured, once]), real)
    write_table(tmp_path / "t.parquet", changes, left_out=left_out, definitions=dict.fromkeys(NAMES, ""))
    pairs = show_features([tmp_path / "t.parquet"], "test").pairs
    assert [(pair.source, len(pair.features)) for pair in pairs] == [("a", SHOWN), ("b", 0)]
    assert pairs[1].left_out == NAMES
    assert "<summary>b → a, latent: too few conversions or real images</summary>" in page(tmp_path / "t.parquet")


def test_a_damaged_table_is_named(table):
    table.write_bytes(table.read_bytes()[:-9])
    with pytest.raises(QuacError, match=r"test\.parquet: cannot be read"):
        show_features([table], "test")
