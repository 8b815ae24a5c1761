"""Counterfactuals and scores against literal slow versions, hand-counted cases, and a classifier that is understood."""

import numpy as np
import pytest
import torch
from helpers.literal_explanation import literal

from quac.explanation.attribution import CONTROL, METHODS, attribute
from quac.explanation.counterfactual import find_counterfactuals
from quac.explanation.scores import PERTURBATIONS, aupc, perturbation_curves, quac_score

SIDE = 32
REGION = (slice(8, 16), slice(10, 20))  # what the classifier looks at


class LocalJudge:
    """A classifier of two classes that looks at one region: a bright one is class 1."""

    def logits(self, images):
        brightness = images[..., REGION[0], REGION[1]].mean((1, 2, 3))
        return torch.stack([-4 * brightness, 4 * brightness], 1)

    def __call__(self, images):
        return self.logits(images).softmax(1)


@pytest.fixture
def batch():
    """Queries of class 0, and conversions in which the region and, as a nuisance, another one is brighter."""
    rng = np.random.default_rng(0)
    queries = torch.from_numpy(rng.uniform(-0.9, -0.7, (3, 2, SIDE, SIDE)).astype(np.float32))
    generated = queries.clone()
    generated[..., REGION[0], REGION[1]] += 1.5
    generated[..., 20:30, 2:12] += 1.2
    return queries, generated


def labels(value, count=3):
    return torch.full((count,), value)


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_as_the_literal_definition(batch, method):
    queries, generated = batch
    a = attribute(method, LocalJudge(), queries, generated, labels(0), ["a", "b", "c"])
    found = find_counterfactuals(LocalJudge(), queries, generated, a, labels(1))
    for row in range(3):
        sizes, changes, hybrids = literal(LocalJudge(), queries[row], generated[row], a[row], 1)
        best = int(np.argmin(sizes - changes))
        assert found.mask_sizes[row] == pytest.approx(sizes[best], abs=1e-9)
        torch.testing.assert_close(found.images[row], hybrids[best], atol=1e-5, rtol=0)
        assert found.scores[row] == pytest.approx(quac_score(sizes, changes), abs=1e-5)
        np.testing.assert_allclose(found.changes[row, 1:], changes[100:], atol=1e-5)


@pytest.mark.parametrize("method", ["d_ig", "d_ingrad", "occlusion"])
def test_the_mask_finds_what_the_classifier_looks_at(batch, method):
    queries, generated = batch
    a = attribute(method, LocalJudge(), queries, generated, labels(0), ["a", "b", "c"])
    found = find_counterfactuals(LocalJudge(), queries, generated, a, labels(1))
    inside = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    inside[REGION] = True
    masks = found.masks > 0.5
    assert (masks & inside).flatten(1).sum(1).gt(0.8 * 2 * inside.sum()).all()
    assert (masks[..., 20:30, 2:12].flatten(1).float().mean(1) < 0.05).all()  # the nuisance is left as it was
    assert (LocalJudge()(found.images).argmax(1) == 1).all()
    control = attribute(CONTROL, LocalJudge(), queries, generated, labels(0), ["a", "b", "c"])
    noise = find_counterfactuals(LocalJudge(), queries, generated, control, labels(1))
    assert (found.scores > noise.scores + 0.2).all()


def test_attributions_are_between_0_and_1_and_of_the_query_alone(batch):
    queries, generated = batch
    for method in METHODS:
        a = attribute(method, LocalJudge(), queries, generated, labels(0), ["a", "b", "c"])
        assert a.amin((1, 2, 3)).tolist() == [0, 0, 0]
        assert a.amax((1, 2, 3)).tolist() == [1, 1, 1]
        one = attribute(method, LocalJudge(), queries[1:2], generated[1:2], labels(0, 1), ["b"])
        torch.testing.assert_close(one[0], a[1], atol=1e-4, rtol=0)


def test_a_conversion_that_changes_nothing_scores_0(batch):
    queries, _ = batch
    for method in METHODS:
        a = attribute(method, LocalJudge(), queries, queries, labels(0), ["a", "b", "c"])
        found = find_counterfactuals(LocalJudge(), queries, queries, a, labels(1))
        assert a.isfinite().all()
        assert found.scores.tolist() == pytest.approx([0, 0, 0], abs=1e-6)
        torch.testing.assert_close(found.images, queries, atol=1e-6, rtol=0)


def test_a_hand_counted_score():
    # From (0, 0) to (.25, .5) to (1, 1): .0625 + .5625.
    assert quac_score(np.array([1.0, 0.25]), np.array([1.0, 0.5])) == pytest.approx(0.625)
    assert quac_score(np.array([1.0]), np.array([-1.0])) == pytest.approx(-0.5)


class Counting:
    """P(class 1) is the share of the bright pixels."""

    def __call__(self, images):
        share = images.gt(0.5).float().mean((1, 2, 3))
        return torch.stack([1 - share, share], 1)


def test_hand_counted_perturbation_curves():
    queries, generated = torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 3, 3)
    generated[0, 0, 0] = torch.tensor([1.0, 0.9, 0.2])  # the third does not count as bright
    curves = perturbation_curves(Counting(), queries, generated, torch.tensor([[1, 0]]))
    inserted = np.rint(np.linspace(0, 9, PERTURBATIONS + 1))  # pixels, the most different first
    np.testing.assert_allclose(curves[0, :, 0], np.minimum(inserted, 2) / 9, atol=1e-6)
    np.testing.assert_allclose(curves[0, :, 1], 1 - np.minimum(inserted, 2) / 9, atol=1e-6)
    area = np.trapezoid(np.minimum(inserted, 2) / 9) / PERTURBATIONS
    assert aupc(curves)[0].tolist() == pytest.approx([area, 1 - area])
