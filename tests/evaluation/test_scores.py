"""Rates against a case counted by hand: the one that the reference tool gets wrong, and more."""

import numpy as np
import pandas as pd
import pytest
from helpers.builders import tries_of

from quac.evaluation.intervals import average_interval, rate_interval
from quac.evaluation.scores import group_of_queries, matrix, require_complete, score
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
    cells, averages = score(table(shuffle=shuffle), index())
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
    cells, _ = score(table(), index())
    assert matrix(cells, CLASSES, "conversion_rate").loc["a", "b"] == 0.25


def test_the_matrix_has_sources_in_rows_in_the_order_of_the_classes():
    cells, _ = score(table(), index())
    rates = matrix(cells, ["c", "a", "b"], "translation_rate")
    assert rates.index.tolist() == rates.columns.tolist() == ["c", "a", "b"]
    assert rates.loc["b", "a"] == pytest.approx(5 / 6)
    assert rates.loc["a", "b"] == pytest.approx(1 / 4)
    assert np.isnan(np.diag(rates)).all()


def test_intervals_are_of_the_rates_of_the_queries():
    cells, averages = score(table(), index())
    cell = cells.set_index(["source", "target"]).loc[("a", "b")]
    assert (cell["translation_rate_low"], cell["translation_rate_high"]) == rate_interval(np.array([1, 0, 0, 0]))
    cell = cells.set_index(["source", "target"]).loc[("a", "c")]
    assert (cell["translation_rate_low"], cell["translation_rate_high"]) == rate_interval(np.array([1, 1, 1, 0]) / 3)
    assert (cell["conversion_rate_low"], cell["conversion_rate_high"]) == rate_interval(np.array([1, 1, 1, 0]))
    # Of each query the mean over its targets.
    means = {"a": np.array([4, 1, 1, 0]) / 6, "b": np.array([3, 2]) / 6, "c": np.array([4]) / 6}
    limits = averages["translation_rate_low"], averages["translation_rate_high"]
    assert limits == pytest.approx(average_interval(means))


def test_intervals_belong_to_queries_not_to_tries():
    """All tries of a query alike: ten times the tries must not make the interval narrower."""
    rng = np.random.default_rng(0)
    called = rng.random(60) < 0.4
    widths = []
    for tries in (1, 10):
        case = {("a", "b"): ["b" * tries if hit else "a" * tries for hit in called], ("b", "a"): ["a" * tries]}
        cell = score(table(case), index((("a", 60), ("b", 1))))[0].iloc[0]
        widths.append(cell["translation_rate_high"] - cell["translation_rate_low"])
        assert cell["translation_rate_low"] < cell["translation_rate"] < cell["translation_rate_high"]
    assert widths[0] == widths[1]
    standard_error = np.sqrt(called.mean() * (1 - called.mean()) / 60)
    assert widths[0] == pytest.approx(2 * 1.96 * standard_error, rel=0.1)


def test_queries_of_a_group_count_as_one():
    """40 queries of two patients: nothing is known beyond these two."""
    case = {("a", "b"): ["bbb"] * 20 + ["aaa"] * 20, ("b", "a"): ["aaa"] * 3}
    split = index((("a", 40), ("b", 3)))
    split["group"] = ["one"] * 20 + ["two"] * 20 + ["three", "", ""]
    cells, averages = score(table(case).assign(identified=1.0), split)
    cell = cells.iloc[0]
    assert cell["translation_rate"] == 0.5
    assert (cell["translation_rate_low"], cell["translation_rate_high"]) == rate_interval(np.array([1, 0]))
    assert (cell["identification_low"], cell["identification_high"]) == rate_interval(np.ones(2))
    assert cells["groups"].tolist() == [2, 3]  # a query without a group is one of its own
    assert averages["groups"] == 2
    groups = {"a": split["group"].to_numpy()[:40], "b": np.arange(3)}
    limits = average_interval({"a": np.repeat([1, 0], 20), "b": np.ones(3)}, groups)
    assert (averages["translation_rate_low"], averages["translation_rate_high"]) == pytest.approx(limits)
    split["group"] = ""
    cells, averages = score(table(case), split)
    assert cells["groups"].isna().all()
    assert averages["groups"] is None
    assert group_of_queries(split) is None
    assert cells["translation_rate_high"].iloc[0] < 0.65


def test_intervals_are_the_same_each_time():
    pd.testing.assert_frame_equal(score(table(), index())[0], score(table(shuffle=3), index())[0])


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
    cells, averages = score(tries, index((("a", 4), ("b", 1))))
    cell = cells.iloc[0]
    assert (cell["translation_rate"], cell["conversion_rate"]) == (3 / 8, 0.5)
    assert (cell["right"], cell["translation_rate_right"], cell["conversion_rate_right"]) == (2, 0.25, 0.5)
    assert averages["translation_rate_right"] == (0.25 + 1) / 2


def test_a_class_that_is_never_right_has_no_rate_of_right_queries():
    tries = table({("a", "b"): ["bb"], ("b", "a"): ["aa"]}).assign(query_predicted="b")
    cells, averages = score(tries, index((("a", 1), ("b", 1))))
    assert np.isnan(cells["translation_rate_right"].iloc[0])
    assert averages["translation_rate_right"] == 1
    assert score(tries.assign(query_predicted="c"), index((("a", 1), ("b", 1))))[1]["translation_rate_right"] is None


def test_each_oracle_has_rates_of_its_own():
    tries = table({("a", "b"): ["bb", "aa"], ("b", "a"): ["aa", "aa"]})
    cells, averages = score(tries.assign(predicted_by_strict="a"), index((("a", 2), ("b", 2))))
    assert cells["translation_rate"].tolist() == [0.5, 1]
    assert cells["translation_rate_by_strict"].tolist() == [0, 1]
    assert cells["conversion_rate_by_strict"].tolist() == [0, 1]
    assert averages["conversion_rate_by_strict"] == 0.5
    limits = cells["translation_rate_by_strict_low"][1], cells["translation_rate_by_strict_high"][1]
    assert limits == rate_interval(np.ones(2))


def test_agreement_is_the_share_of_tries_that_both_call_the_target():
    tries = table({("a", "b"): ["bb", "ba"], ("b", "a"): ["aa", "ba"]})
    tries = tries.sort_values(["source", "query", "try"])
    oracle = ["b", "a", "b", "b", "a", "a", "b", "b"]
    cells, averages = score(tries.assign(predicted_by_strict=oracle), index((("a", 2), ("b", 2))))
    assert cells["agreement_with_strict"].tolist() == [2 / 4, 2 / 4]
    assert cells["translation_rate_by_strict"].tolist() == [3 / 4, 2 / 4]
    assert averages["agreement_with_strict"] == 0.5


def test_the_diagonal_has_cells_and_no_part_in_the_averages():
    case = {("a", "b"): ["bbb"], ("b", "a"): ["aaa"], ("a", "a"): ["b"], ("b", "b"): ["b"]}
    cells, averages = score(table(case), index((("a", 1), ("b", 1))))
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


def test_identification_is_of_the_column_identified():
    found = score(table(), index())[1]
    assert "identification" not in found
    tries = table().sort_values(["source", "target", "query", "try"])
    tries["identified"] = (tries["target"] == "b").astype(float)
    tries.loc[(tries["source"] == "a") & (tries["try"] > 0), "identified"] = 0
    cells, averages = score(tries, index((("a", 4), ("b", 2), ("c", 300))))
    cells = cells.set_index(["source", "target"])
    assert cells["identification"]["a", "b"] == pytest.approx(1 / 3)
    limits = cells["identification_low"]["a", "b"], cells["identification_high"]["a", "b"]
    assert limits == rate_interval(np.full(4, 1 / 3))
    assert cells["identification_chance"]["a"].tolist() == [1 / 4, 1 / 4]
    assert cells["identification_chance"]["b"].tolist() == [1 / 2, 1 / 2]
    assert cells["identification_chance"]["c"].tolist() == [1 / 100, 1 / 100]
    assert averages["identification"] == pytest.approx((1 / 3 + 1) / 6)
    assert averages["identification_chance"] == pytest.approx((1 / 4 + 1 / 2 + 1 / 100) / 3)
    assert averages["identification_low"] < averages["identification"] < averages["identification_high"]


def test_queries_that_are_called_the_target_before_are_counted():
    tries = table({("a", "b"): ["bb", "ab", "aa", "aa"], ("b", "a"): ["aa"], ("a", "a"): ["a"] * 4, ("b", "b"): ["b"]})
    tries.loc[tries["query"].isin(["a/0.png", "a/3.png", "a/2.png"]), "query_predicted"] = "b"
    cells, averages = score(tries, index((("a", 4), ("b", 1))))
    called = matrix(cells, ["a", "b"], "called_before")
    assert called.to_numpy().tolist() == [[0.25, 0.75], [0, 1]]
    assert averages["called_before"] == 0.375
    assert (cells["called_before_low"][1], cells["called_before_high"][1]) == rate_interval(np.array([1, 0, 1, 1]))


def test_a_capped_table_is_complete():
    tries = tries_of(table(), max_per_class=4)
    assert require_complete(tries, index((("a", 9), ("b", 2), ("c", 1))), "t") == {"a": 4, "b": 2, "c": 1}
    with pytest.raises(QuacError, match="scores 2 queries, but 4 are expected"):
        require_complete(tries, index((("a", 9), ("b", 9), ("c", 1))), "t")
