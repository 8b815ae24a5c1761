import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quac.data.draws import ClassSampler
from quac.system.errors import QuacError


class Labels:
    """What ClassSampler needs of a store."""

    def __init__(self, labels, weights=None, classes="abc"):
        self.labels, self.classes = np.array(labels), list(classes)
        self.weights = np.ones(len(labels)) if weights is None else np.array(weights, float)

    def rows_of(self, label):
        return np.flatnonzero(self.labels == label)


STORE = Labels([0] * 12 + [1] * 3 + [2] * 5)


def shares(values, number):
    return np.bincount(values, minlength=number) / len(values)


def draw(store, sampling, size=20_000):
    return ClassSampler(store, sampling)(np.random.default_rng(0), size)


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        ("balanced", [1 / 3, 1 / 3, 1 / 3]),
        ("natural", [0.6, 0.15, 0.25]),
        ({"a": 1, "b": 3, "c": 0}, [0.25, 0.75, 0]),
    ],
)
def test_classes_are_drawn_by_the_sampling(sampling, expected):
    _, _, labels = draw(STORE, sampling)
    assert np.abs(shares(labels, 3) - expected).max() < 0.015


def test_images_are_drawn_by_their_weights_and_the_second_among_the_others():
    store = Labels([0] * 4, [4, 4, 1, 1], "a")
    one, other, _ = draw(store, "balanced")
    assert np.abs(shares(one, 4) - [0.4, 0.4, 0.1, 0.1]).max() < 0.015
    after_first = shares(other[one == 0], 4)
    assert np.abs(after_first - [0, 4 / 6, 1 / 6, 1 / 6]).max() < 0.02


@given(
    counts=st.lists(st.integers(2, 6), min_size=1, max_size=4),
    seed=st.integers(0, 10**6),
    weights=st.lists(st.floats(1e-3, 1e3), min_size=24, max_size=24),
)
def test_a_draw_is_two_different_images_of_the_class(counts, seed, weights):
    labels = np.repeat(np.arange(len(counts)), counts)[np.random.default_rng(seed).permutation(sum(counts))]
    store = Labels(labels, weights[: len(labels)], "abcd"[: len(counts)])
    one, other, drawn = ClassSampler(store, "natural")(np.random.default_rng(seed), 200)
    assert (one != other).all()
    assert (labels[one] == drawn).all()
    assert (labels[other] == drawn).all()


def test_a_class_without_a_weight_is_named():
    with pytest.raises(
        QuacError, match=r"data\.sampling: does not fit the data in c; give a weight to each of a, b, c"
    ):
        ClassSampler(STORE, {"a": 1, "b": 1})


def test_a_class_without_images_is_named():
    with pytest.raises(QuacError, match="b: no images to train with"):
        ClassSampler(Labels([0, 0, 2, 2]), "balanced")
