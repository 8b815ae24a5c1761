"""Distances of distributions, against closed forms and plain sums."""

import numpy as np
import pandas as pd
import pytest

from quac.evaluation.distances import add_distances, frechet_distance, kernel_distance


def test_the_frechet_distance_of_normal_samples():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (50_000, 1))
    # of N(m, s^2): (m1 - m2)^2 + (s1 - s2)^2
    assert frechet_distance(x, 3 + 2 * x) == pytest.approx(9 + 1, rel=0.03)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)


def test_the_frechet_distance_of_correlated_samples():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(400, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0.2], [0, 0, 2]])
    b = rng.normal(size=(300, 3)) + 0.3
    c, d = np.cov(a.T), np.cov(b.T)
    roots = np.sqrt(np.linalg.eigvals(c @ d)).real  # the trace of a root is the sum of the roots of the eigenvalues
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(c) + np.trace(d) - 2 * roots.sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_a_dimension_that_never_varies_is_no_trouble():
    a = np.random.default_rng(0).normal(size=(50, 2))
    a[:, 1] = 4
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, a + np.array([0, 1])) == pytest.approx(1, abs=1e-6)


def test_the_kernel_distance_is_the_plain_sum_over_pairs():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(5, 2)), rng.normal(size=(4, 2)) + 1

    def kernel(x, y):
        return (x @ y / 2 + 1) ** 3

    within = [sum(kernel(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j) for s in (a, b)]
    between = np.mean([kernel(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(within[0] / 20 + within[1] / 12 - 2 * between)


def test_one_image_has_no_distance():
    assert frechet_distance(np.zeros((1, 2)), np.zeros((5, 2))) is None
    assert kernel_distance(np.zeros((5, 2)), np.zeros((1, 2))) is None


def test_generated_images_are_compared_with_real_ones_of_the_target():
    rng = np.random.default_rng(0)
    levels = {"a": 0.0, "b": 10.0}

    def rows(name, level, **more):
        x = rng.normal(level, 1, (200, 2))
        return pd.DataFrame({"logit_a": x[:, 0], "logit_b": x[:, 1], "class": name, "query": range(200), **more})

    real = pd.concat([rows(name, level) for name, level in levels.items()])
    table = pd.concat([rows("", 10.0, source="a", target="b"), rows("", 10.0, source="b", target="a")])
    cells = pd.DataFrame({"source": ["a", "b"], "target": ["b", "a"]})
    found = add_distances(cells, table, real, ["a", "b"]).set_index("target")
    assert found["real"].tolist() == [200, 200]
    assert found.loc["b", "frechet"] < 1 < 150 < found.loc["a", "frechet"]
    assert abs(found.loc["b", "kernel"]) < found.loc["a", "kernel"] / 10


def test_the_kernel_distance_allows_for_dependent_tries():
    """Correlated samples of the same distribution are not farther from it."""
    rng, found = np.random.default_rng(0), []
    for _ in range(100):
        shared = rng.normal(size=(30, 1, 5)) * 0.9**0.5
        tries = (shared + rng.normal(size=(30, 10, 5)) * 0.1**0.5).reshape(300, 5)
        real = rng.normal(size=(100, 5))
        found.append((kernel_distance(tries, real, np.repeat(np.arange(30), 10)), kernel_distance(tries, real)))
    grouped, plain = np.mean(found, axis=0)
    assert abs(grouped) < 0.04 < 0.1 < plain
    assert kernel_distance(np.zeros((4, 2)), np.zeros((5, 2)), np.zeros(4)) is None
