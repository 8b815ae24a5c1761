"""Rates against a case counted by hand: the one that the reference tool gets wrong, and more."""

import numpy as np
import pandas as pd
import pytest
from helpers.builders import tries_of
from scipy.stats import binomtest

from quac.evaluation.scores import matrix, require_complete, score, wilson_interval
from quac.system.errors import QuacError

#   source -> target: rows are queries, columns tries; the class that the judge gives to each try
CASE = {
    ("a", "b"): ["bbb", "aca", "caa", "aaa"],  # one query always converts, the others never
    ("a", "c"): ["caa", "aca", "aac", "aaa"],  # three convert once
    ("b", "a"): ["aaa", "aab"],
    ("b", "c"): ["bbb", "bbb"],
    ("c", "a"): ["abc"],
    ("c", "b"): ["bbb"],
}
TRANSLATION = {
    ("a", "b"): 3 / 12,
    ("a", "c"): 3 / 12,
    ("b", "a"): 5 / 6,
    ("b", "c"): 0,
    ("c", "a"): 1 / 3,
    ("c", "b"): 1,
}
CONVERSION = {("a", "b"): 1 / 4, ("a", "c"): 3 / 4, ("b", "a"): 1, ("b", "c"): 0, ("c", "a"): 1, ("c", "b"): 1}
CLASSES = ["a", "b", "c"]


def table(case=CASE, shuffle=0):
    rows = [
        {
            "source": s,
            "target": t,
            "query": f"{s}/{n}.png",
            "try": i,
            "predicted": called,
            "query_predicted": s,
            "l1": 0.1 * n,
            "kind": "latent",
        }
        for (s, t), queries in case.items()
        for n, tries in enumerate(queries)
        for i, called in enumerate(tries)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=shuffle).reset_index(drop=True)


def index(counts=(("a", 4), ("b", 2), ("c", 1))):
    frame = pd.DataFrame([{"class": name, "path": f"{name}/{n}.png"} for name, count in counts for n in range(count)])
    frame.attrs = {"classes": [name for name, _ in counts]}
    return frame


@pytest.mark.parametrize("shuffle", [0, 1])
def test_rates_by_hand(shuffle):
    cells, averages = score(table(shuffle=shuffle), CLASSES)
    found = cells.set_index(["source", "target"])
    assert found["translation_rate"].to_dict() == pytest.approx(TRANSLATION)
    assert found["conversion_rate"].to_dict() == pytest.approx(CONVERSION)
    assert found["scored"].to_dict() == {pair: len(queries) for pair, queries in CASE.items()}
    assert found["tries"].to_dict() == {pair: 3 * len(queries) for pair, queries in CASE.items()}
    assert found["l1"]["a", "b"] == pytest.approx(0.15)
    assert averages["translation_rate"] == pytest.approx(sum(TRANSLATION.values()) / 6)
    assert averages["conversion_rate"] == pytest.approx(sum(CONVERSION.values()) / 6)
    assert averages["queries"] == 7
    assert averages["tries"] == 42


def test_the_conversion_rate_counts_queries_with_at_least_one_try():
    """One image of four always converts: 0.25. (Mixing tries of different images gives 0.75 or 1.)"""
    cells, _ = score(table(), CLASSES)
    assert matrix(cells, CLASSES, "conversion_rate").loc["a", "b"] == 0.25


def test_the_matrix_has_sources_in_rows_in_the_order_of_the_classes():
    cells, _ = score(table(), CLASSES)
    rates = matrix(cells, ["c", "a", "b"], "translation_rate")
    assert rates.index.tolist() == rates.columns.tolist() == ["c", "a", "b"]
    assert rates.loc["b", "a"] == pytest.approx(5 / 6)
    assert rates.loc["a", "b"] == pytest.approx(1 / 4)
    assert np.isnan(np.diag(rates)).all()


def test_rates_of_0_and_1_have_wilsons_interval_over_queries():
    cells, _ = score(table(), CLASSES)
    none = cells.set_index(["source", "target"]).loc[("b", "c")]
    wilson = binomtest(0, 2).proportion_ci(method="wilson")
    assert (none["translation_rate_low"], none["translation_rate_high"]) == pytest.approx((wilson.low, wilson.high))
    assert none["translation_rate_high"] == pytest.approx(0.6576, abs=1e-4)


@pytest.mark.parametrize(("k", "n"), [(0, 7), (7, 7), (3, 10), (1, 1)])
def test_wilsons_interval_is_scipys(k, n):
    theirs = binomtest(k, n).proportion_ci(method="wilson")
    assert wilson_interval(k / n, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_queries_that_are_all_alike_still_have_an_interval():
    case = {("a", "b"): ["bba"], ("b", "a"): ["aab", "aab", "aab"]}
    cells, _ = score(table(case), ["a", "b"])
    for cell in cells.to_dict("records"):
        assert cell["translation_rate"] == pytest.approx(2 / 3)
        low, high = wilson_interval(2 / 3, cell["scored"])
        assert (cell["translation_rate_low"], cell["translation_rate_high"]) == pytest.approx((low, high))


def test_intervals_belong_to_queries_not_to_tries():
    """All tries of a query alike: ten times the tries must not make the interval narrower."""
    rng = np.random.default_rng(0)
    called = rng.random(60) < 0.4
    widths = []
    for tries in (1, 10):
        case = {("a", "b"): ["b" * tries if hit else "a" * tries for hit in called], ("b", "a"): ["a" * tries]}
        cell = score(table(case), ["a", "b"])[0].iloc[0]
        widths.append(cell["translation_rate_high"] - cell["translation_rate_low"])
        assert cell["translation_rate_low"] < cell["translation_rate"] < cell["translation_rate_high"]
    assert widths[0] == widths[1]
    standard_error = np.sqrt(called.mean() * (1 - called.mean()) / 60)
    assert widths[0] == pytest.approx(2 * 1.96 * standard_error, rel=0.1)


def test_intervals_are_the_same_each_time():
    pd.testing.assert_frame_equal(score(table(), CLASSES)[0], score(table(shuffle=3), CLASSES)[0])


def test_a_full_table_is_complete():
    assert require_complete(tries_of(table()), index(), "t.parquet") == {"a": 4, "b": 2, "c": 1}


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t[t["query"] != "a/3.png"], "a to b scores 3 queries, but 4 are expected"),
        (lambda t: t[(t["source"] != "c") | (t["target"] != "b")], "c to b scores 0 queries, but 1 are expected"),
        (lambda t: t.iloc[1:], "not every query has 3 tries"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "not every query has 3 tries"),
        (lambda t: t.assign(**{"try": 0}), "not every query has 3 tries"),
        (lambda t: pd.concat([t, t.iloc[:3].assign(target=t["source"].iloc[0])]), "queries, but"),
    ],
)
def test_a_dropped_or_doubled_row_is_noticed(spoil, message):
    with pytest.raises(QuacError, match=rf"t\.parquet: .*{message}"):
        require_complete(tries_of(spoil(table())), index(), "t.parquet")


def test_queries_that_are_right_before_the_conversion_have_separate_rates():
    case = {("a", "b"): ["bb", "ab", "aa", "aa"], ("b", "a"): ["aa"]}
    tries = table(case)
    wrong = (tries["source"] == "a") & tries["query"].isin(["a/0.png", "a/3.png"])
    tries.loc[wrong, "query_predicted"] = "b"
    cells, averages = score(tries, ["a", "b"])
    cell = cells.iloc[0]
    assert (cell["translation_rate"], cell["conversion_rate"]) == (3 / 8, 0.5)
    assert (cell["right"], cell["translation_rate_right"], cell["conversion_rate_right"]) == (2, 0.25, 0.5)
    assert averages["translation_rate_right"] == (0.25 + 1) / 2


def test_a_class_that_is_never_right_has_no_rate_of_right_queries():
    tries = table({("a", "b"): ["bb"], ("b", "a"): ["aa"]}).assign(query_predicted="b")
    cells, averages = score(tries, ["a", "b"])
    assert np.isnan(cells["translation_rate_right"].iloc[0])
    assert averages["translation_rate_right"] == 1
    assert score(tries.assign(query_predicted="c"), ["a", "b"])[1]["translation_rate_right"] is None


def test_each_further_judge_has_rates_of_its_own():
    tries = table({("a", "b"): ["bb", "aa"], ("b", "a"): ["aa", "aa"]})
    cells, averages = score(tries.assign(predicted_by_strict="a"), ["a", "b"])
    assert cells["translation_rate"].tolist() == [0.5, 1]
    assert cells["translation_rate_by_strict"].tolist() == [0, 1]
    assert cells["conversion_rate_by_strict"].tolist() == [0, 1]
    assert averages["conversion_rate_by_strict"] == 0.5


def test_the_diagonal_has_cells_and_no_part_in_the_averages():
    case = {("a", "b"): ["bbb"], ("b", "a"): ["aaa"], ("a", "a"): ["b"], ("b", "b"): ["b"]}
    cells, averages = score(table(case), ["a", "b"])
    rates = matrix(cells, ["a", "b"], "translation_rate")
    assert rates.to_numpy().tolist() == [[0, 1], [1, 1]]
    assert averages["translation_rate"] == 1
    assert averages["tries"] == 6
    assert averages["queries"] == 2
    assert averages["translation_rate_low"] > 0.3
    require_complete(tries_of(table(case)), index((("a", 1), ("b", 1))), "t.parquet")
    with pytest.raises(QuacError, match="b to b scores 0 queries"):
        require_complete(
            tries_of(table({p: t for p, t in case.items() if p != ("b", "b")})), index((("a", 1), ("b", 1))), "t"
        )


def test_the_standard_error_is_that_of_the_mean_over_queries():
    called = np.random.default_rng(0).random(400) < 0.3
    case = {("a", "b"): ["b" if hit else "a" for hit in called], ("b", "a"): ["b"] * 400}
    _, averages = score(table(case), ["a", "b"])
    one = np.sqrt(called.mean() * (1 - called.mean()) / 400)
    assert averages["conversion_rate_standard_error"] == pytest.approx(one / 2, rel=0.1)  # a mean of two pairs


def test_a_capped_table_is_complete():
    tries = tries_of(table(), max_per_class=4)
    assert require_complete(tries, index((("a", 9), ("b", 2), ("c", 1))), "t") == {"a": 4, "b": 2, "c": 1}
    with pytest.raises(QuacError, match="scores 2 queries, but 4 are expected"):
        require_complete(tries, index((("a", 9), ("b", 9), ("c", 1))), "t")
