"""Intervals: their values, that they are monotone, and how often they cover the true rate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quac.evaluation.intervals import average_interval, paired_difference, rate_interval

TRIES = 10
# True rates of single queries: the same for all; 0 or 1; or spread, most of them near 1.
PER_QUERY = {
    "binary .5": lambda rng, shape: (rng.random(shape) < 0.5, 0.5),
    "binary .95": lambda rng, shape: (rng.random(shape) < 0.95, 0.95),
    "skewed .95": lambda rng, shape: (rng.binomial(TRIES, rng.beta(0.95, 0.05, shape)) / TRIES, 0.95),
    "skewed .98": lambda rng, shape: (rng.binomial(TRIES, rng.beta(1.96, 0.04, shape)) / TRIES, 0.98),
    "homogeneous .9": lambda rng, shape: (rng.binomial(TRIES, 0.9, shape) / TRIES, 0.9),
    "homogeneous .98": lambda rng, shape: (rng.binomial(TRIES, 0.98, shape) / TRIES, 0.98),
}


@pytest.mark.parametrize(("k", "n"), [(0, 7), (7, 7), (3, 10), (1, 1), (49, 50)])
def test_the_interval_of_counts_is_agresti_and_coulls(k, n):
    size = n + 1.96**2
    rate = (k + 1.96**2 / 2) / size
    half = 1.96 * np.sqrt(rate * (1 - rate) / size)
    found = rate_interval(np.array([1.0] * k + [0.0] * (n - k)))
    assert found == pytest.approx((max(0, rate - half), min(1, rate + half)), abs=1e-12)


def test_the_interval_of_rates_is_by_their_spread():
    """By hand: 4 queries of rate .5, between 1.9208 queries of rate 0 and as many of rate 1."""
    size = 4 + 1.96**2
    half = 1.96 * np.sqrt(1.96**2 * 0.25 / size) / np.sqrt(size)
    assert rate_interval(np.full(4, 0.5)) == pytest.approx((0.5 - half, 0.5 + half))
    binary = rate_interval(np.array([0.0, 0.0, 1.0, 1.0]))
    assert binary[1] - binary[0] > 2 * half


def test_a_failure_never_looks_better():
    """50 of 50 had the lower limit .929, and 49 of 50 .940."""
    assert rate_interval(np.ones(50))[0] > rate_interval(np.array([1.0] * 49 + [0.0]))[0]
    # One query far above the others: with it, the spread falls too.
    low, lower = np.append(np.full(99, 0.05), 1.0), np.append(np.full(99, 0.05), 0.9)
    assert rate_interval(low)[0] >= rate_interval(lower)[0]


@st.composite
def queries_and_one_more_failure(draw):
    """Successful tries of queries, which query fails once more, and the group of each query (or None)."""
    hits = draw(st.lists(st.integers(0, TRIES), min_size=1, max_size=30).filter(any))
    failing = draw(st.sampled_from([query for query, count in enumerate(hits) if count]))
    groups = draw(st.none() | st.lists(st.integers(0, 4), min_size=len(hits), max_size=len(hits)))
    return np.array(hits) / TRIES, failing, None if groups is None else np.array(groups)


@given(queries_and_one_more_failure())
def test_one_more_failing_try_never_raises_a_limit(case):
    rates, failing, groups = case
    worse = rates.copy()
    worse[failing] -= 1 / TRIES
    steady, group = np.linspace(0, 1, len(rates)), {"a": groups, "b": groups}
    for one, other in (
        (rate_interval(worse, groups), rate_interval(rates, groups)),
        (average_interval({"a": worse, "b": steady}, group), average_interval({"a": rates, "b": steady}, group)),
    ):
        assert one[0] <= other[0] + 1e-12
        assert one[1] <= other[1] + 1e-12


@given(queries_and_one_more_failure())
def test_the_rate_lies_in_its_interval(case):
    rates, _, groups = case
    low, high = rate_interval(rates, groups)
    assert 0 <= low <= rates.mean() + 1e-12
    assert rates.mean() - 1e-12 <= high <= 1


def coverage(interval_of, samples, rate):
    limits = np.array([interval_of(sample) for sample in samples])
    return ((limits[:, 0] <= rate) & (rate <= limits[:, 1])).mean()


@pytest.mark.parametrize("kind", PER_QUERY)
@pytest.mark.parametrize("n", [10, 20, 50])
def test_intervals_of_cells_cover_the_rate(kind, n):
    samples, rate = PER_QUERY[kind](np.random.default_rng(0), (1000, n))
    assert coverage(rate_interval, samples, rate) >= 0.93


@pytest.mark.parametrize("kind", PER_QUERY)
@pytest.mark.parametrize(("n", "least"), [(10, 0.9), (50, 0.93)])
def test_intervals_of_averages_cover_the_rate(kind, n, least):
    """Three classes; each query's mean over two targets."""
    targets, rate = PER_QUERY[kind](np.random.default_rng(0), (500, 3, n, 2))
    samples = targets.mean(-1)
    assert coverage(lambda rates: average_interval(dict(zip("abc", rates, strict=True))), samples, rate) >= least


def test_intervals_of_groups_cover_the_rate():
    """20 patients of 2 to 6 queries, most of which convert alike; intervals over queries are far too narrow."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), np.resize([2, 3, 4, 5, 6], 20))
    of_group = rng.beta(4.5, 0.5, (1000, 20))
    samples = rng.binomial(TRIES, of_group[:, groups]) / TRIES
    assert coverage(lambda rates: rate_interval(rates, groups), samples, 0.9) >= 0.93
    assert coverage(rate_interval, samples, 0.9) < 0.9


def test_n_is_the_number_of_groups():
    """Queries that repeat those of their group add nothing."""
    rates = np.array([0.2, 0.9, 1.0, 0.5])
    assert rate_interval(rates, np.array([*"abcd"])) == rate_interval(rates)
    repeated = np.repeat(rates, 5)
    assert rate_interval(repeated, np.repeat([*"abcd"], 5)) == pytest.approx(rate_interval(rates))
    assert rate_interval(repeated)[0] > rate_interval(rates)[0]
    # Unequal sizes: 5 groups, but nearly all is known from one.
    uneven = rate_interval(np.ones(104), np.array(["a"] * 100 + [*"bcde"]))
    assert uneven[0] == pytest.approx(rate_interval(np.ones(1))[0], abs=0.02)


def test_the_interval_of_an_average_is_no_surer_than_its_classes():
    """Classes of 5 and of 500 queries, all converted: pooled, the average was [.9925, 1]."""
    few, many = rate_interval(np.ones(5)), rate_interval(np.ones(500))
    low, high = average_interval({"a": np.ones(5), "b": np.ones(500)})
    assert low == pytest.approx(1 - np.sqrt((1 - few[0]) ** 2 + (1 - many[0]) ** 2) / 2)
    assert low < 0.78
    assert high == 1
    rates = np.array([0.0, 0.5, 1.0, 0.75])
    assert average_interval({"a": rates}) == pytest.approx(rate_interval(rates))


def test_a_paired_difference_is_of_the_same_queries():
    rng = np.random.default_rng(0)
    one = {"a": rng.random(40), "b": rng.random(200)}
    other = {name: rates - 0.25 for name, rates in one.items()}
    assert paired_difference(one, other) == pytest.approx((0.25, 0.25, 0.25))
    assert paired_difference(one, one) == (0, 0, 0)


def test_a_paired_difference_weighs_classes_alike():
    rng = np.random.default_rng(0)
    one, other = ({"a": rng.random(40) + shift, "b": rng.random(400)} for shift in (0.5, 0))
    difference, low, high = paired_difference(one, other)
    parts = [one[name] - other[name] for name in one]
    assert difference == pytest.approx((parts[0].mean() + parts[1].mean()) / 2)
    error = np.sqrt(sum(part.var() / len(part) for part in parts)) / 2
    assert (low, high) == pytest.approx((difference - 1.96 * error, difference + 1.96 * error), abs=0.01)
    assert paired_difference(one, other) == (difference, low, high)
    assert paired_difference(other, one)[0] == pytest.approx(-difference)
