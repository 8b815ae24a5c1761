"""Each term against a value computed by hand."""

import math

import pytest
import torch
from helpers.builders import tiny_config

from quac.models.starganv2.losses import (
    adversarial_loss,
    classifier_loss,
    cycle_loss,
    diversity_loss,
    identity_loss,
    r1_penalty,
    style_loss,
)


def test_adversarial_loss_by_hand():
    logits = torch.tensor([0.0, math.log(3)])  # D = 1/2 and 3/4
    assert adversarial_loss(logits, real=True).item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)
    assert adversarial_loss(logits, real=False).item() == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_r1_penalty_by_hand():
    """D(x) = sum(w x) has the gradient w everywhere; D(x) = sum(x^2) has 2x."""
    x = torch.tensor([[[[1.0, 2.0]]], [[[3.0, 0.0]]]], requires_grad=True)
    w = torch.tensor([3.0, 4.0])
    assert r1_penalty((x * w).sum((1, 2, 3)), x).item() == pytest.approx(0.5 * 25)
    assert r1_penalty(x.square().sum((1, 2, 3)), x).item() == pytest.approx(0.5 * (4 + 16 + 36) / 2)


def test_r1_penalty_trains_the_discriminator():
    x, w = torch.ones(1, 1, 1, 2, requires_grad=True), torch.tensor([3.0, 4.0], requires_grad=True)
    r1_penalty((x * w).sum((1, 2, 3)), x).backward()
    assert w.grad.tolist() == [3.0, 4.0]  # d/dw of |w|^2 / 2


def test_distances_by_hand():
    a, b = torch.tensor([[1.0, -2.0], [0.0, 4.0]]), torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    for loss in (style_loss, diversity_loss, cycle_loss):
        assert loss(a, b).item() == (0 + 2 + 1 + 3) / 4


def test_the_second_image_of_the_diversity_loss_gets_no_gradients():
    a, b = (torch.rand(2, 3, requires_grad=True) for _ in range(2))
    diversity_loss(a, b).backward()
    assert b.grad is None
    assert a.grad is not None


def test_the_diversity_weight_falls_linearly_to_zero():
    loss = tiny_config(loss={"lambda_ds": 2.0, "ds_iter": 4}).loss
    assert [loss.weight("ds", step) for step in range(6)] == [2.0, 1.5, 1.0, 0.5, 0.0, 0.0]


def test_cycle_norms_by_hand():
    a, b = torch.tensor([[[[1.0, -2.0], [0.0, 4.0]]]]), torch.tensor([[[[1.0, 0.0], [1.0, 1.0]]]])  # by 0 -2 | -1 3
    assert cycle_loss(a, b, "l2").item() == (0 + 4 + 1 + 9) / 4
    assert cycle_loss(a, b, "gradient").item() == (2 + 4) / 2 + (1 + 5) / 2
    assert cycle_loss(a + 5, b, "gradient").item() == cycle_loss(a, b, "gradient").item()  # a shift of all is no change


def test_identity_and_classifier_loss_by_hand():
    assert identity_loss(torch.tensor([1.0, 3.0]), torch.tensor([2.0, 1.0])).item() == 1.5
    probabilities = torch.tensor([[0.25, 0.75], [0.5, 0.5]])
    expected = (math.log(4) + math.log(2)) / 2
    assert classifier_loss(probabilities, torch.tensor([0, 1])).item() == pytest.approx(expected)
    assert classifier_loss(torch.tensor([[0.0, 1.0]]), torch.tensor([0])).isfinite()


def test_a_ramp_replaces_the_weight():
    ramp = {"start_step": 2, "start": 1.0, "end_step": 6, "end": 3.0}
    loss = tiny_config(loss={"lambda_cyc": 9.0, "ramps": {"cyc": ramp, "cls": {"end_step": 2, "end": 1.0}}}).loss
    assert [loss.weight("cyc", step) for step in (0, 2, 3, 4, 6, 99)] == [1.0, 1.0, 1.5, 2.0, 3.0, 3.0]
    assert [loss.weight("cls", step) for step in (0, 1, 2)] == [0.0, 0.5, 1.0]
    assert loss.weight("sty", 3) == 1.0
    assert [loss.is_used(term) for term in ("cyc", "cls", "ds", "id")] == [True, True, False, False]


def test_terms_of_half_precision_are_computed_in_full():
    a, b = torch.full((1000,), 1.0, dtype=torch.bfloat16), torch.full((1000,), 1.0078125, dtype=torch.bfloat16)
    assert style_loss(a, b).dtype == torch.float32
    assert style_loss(a, b).item() == pytest.approx(0.0078125)
    assert adversarial_loss(a, real=True).dtype == torch.float32
