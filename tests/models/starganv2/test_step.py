"""The step: bit for bit the literal one, the same in every way to compute it, and the options by their definition."""

import copy
from functools import partial

import pytest
import torch
from helpers.builders import random_batch, tiny_config
from helpers.literal_step import LiteralStep
from torch import nn
from torch.nn import functional as F

from quac.data.batches import TrainingBatch
from quac.models.starganv2.networks import NETWORKS, build_networks, without_gradients
from quac.models.starganv2.step import (
    UPDATES,
    Pass,
    Terms,
    TrainingStep,
    average_weight,
    build_optimizers,
    discriminator_loss,
    generator_update,
)
from quac.system.device import autocast_for


def converted(b, dtype, layout, device):
    def convert(value):
        value = value.to(device, dtype if value.is_floating_point() else value.dtype)
        return value.contiguous(memory_format=layout) if value.dim() == 4 else value

    return TrainingBatch(*map(convert, vars(b).values()))


def run(
    step_class,
    loss=None,
    solver=None,
    steps=4,
    dtype=torch.float32,
    layout=torch.contiguous_format,
    sgd=False,
    device="cpu",
    **options,
):
    """Train a few steps; returns the networks, averages and the last step's terms."""
    config = tiny_config(loss=loss or {}, solver={"lr": 1e-3, "f_lr": 1e-3, **(solver or {})})
    torch.manual_seed(0)
    networks = build_networks(config.model, 3).to(device=device, dtype=dtype, memory_format=layout)
    averages = copy.deepcopy(networks)
    if sgd:  # Adam divides by the gradients, and makes much of the rounding of those that are zero
        optimizers = {name: torch.optim.SGD(networks[name].parameters(), lr=0.05) for name in NETWORKS}
    else:
        optimizers = build_optimizers(networks, config.solver)
    step = step_class(networks, averages, optimizers, config.loss, config.solver, **options)
    for number in range(steps):
        terms = step(converted(random_batch(number), dtype, layout, device), number)
    if isinstance(terms, Terms):
        terms = terms.by_name()
    return networks, averages, {name: float(value) for name, value in terms.items()}


def difference(first, second):
    pairs = zip(nn.ModuleDict(first).parameters(), nn.ModuleDict(second).parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "loss", [{}, {"lambda_ds": 2.0, "ds_iter": 3, "lambda_cyc": 0.5, "lambda_sty": 3.0, "lambda_reg": 2.0}]
)
def test_the_lean_step_is_the_literal_step_bit_for_bit(loss, layout):
    lean, literal = run(TrainingStep, loss, layout=layout), run(LiteralStep, loss, layout=layout)
    assert difference(lean[0], literal[0]) == 0
    assert difference(lean[1], literal[1]) == 0
    assert lean[2].keys() == literal[2].keys()
    assert lean[2] == pytest.approx(literal[2], rel=1e-6)


def test_the_comparison_detects_a_wrong_weight():
    assert difference(run(TrainingStep, {})[0], run(LiteralStep, {}, style_weight=0.5)[0]) > 1e-5


def test_the_comparison_detects_a_weight_that_is_1_percent_off():
    options = {"dtype": torch.float64, "sgd": True}
    literal = run(LiteralStep, {"lambda_cyc": 1.01}, **options)
    assert difference(run(TrainingStep, **options)[0], literal[0]) > 1e-6


def test_the_style_encoder_and_the_mapping_network_are_not_stepped_by_references():
    """(Deliberately: stargan-v2, issue 44.) With every other gradient cut off, they stay as they were."""
    config = tiny_config(solver={"weight_decay": 0.0})
    networks = build_networks(config.model, 3)
    before = copy.deepcopy(networks)
    step = TrainingStep(
        networks, copy.deepcopy(networks), build_optimizers(networks, config.solver), config.loss, config.solver
    )
    step.carry_out(UPDATES[3], [(random_batch(0), 1.0)], step.weights_at(0))
    assert difference({"g": networks["generator"]}, {"g": before["generator"]}) > 0
    for name in ("style_encoder", "mapping_network", "discriminator"):
        assert difference({"n": networks[name]}, {"n": before[name]}) == 0


def test_held_networks_follow_the_live_ones_and_record_no_gradients():
    networks = build_networks(tiny_config().model, 3).to(memory_format=torch.channels_last)
    held = without_gradients(networks)
    optimizers = build_optimizers(networks, tiny_config(solver={"lr": 0.1, "f_lr": 0.1}).solver)
    for parameter in networks.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = copy.deepcopy(networks)
    for optimizer in optimizers.values():
        optimizer.step()
    assert difference(networks, before) > 0
    assert difference(networks, held) == 0
    networks.load_state_dict(before.state_dict())
    assert difference(before, held) == 0
    assert not any(parameter.requires_grad for parameter in held.parameters())
    assert all(parameter.requires_grad for parameter in networks.parameters())


def test_the_mapping_network_has_its_own_learning_rate():
    optimizers = build_optimizers(
        build_networks(tiny_config().model, 2), tiny_config(solver={"lr": 1e-4, "f_lr": 1e-6}).solver
    )
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in optimizers.items()}
    assert rates == {"generator": 1e-4, "mapping_network": 1e-6, "style_encoder": 1e-4, "discriminator": 1e-4}


def test_the_average_warms_up():
    solver = tiny_config().solver
    assert average_weight(solver, 0) == 1 / 10
    assert average_weight(solver, 90) == 91 / 100
    assert average_weight(solver, 10**6) == 0.999
    assert average_weight(tiny_config(solver={"ema_warmup": False}).solver, 0) == 0.999


@pytest.mark.parametrize("chunks", [2, 3, 4, 9])  # of 4 images: equal, uneven, single, and more than there are
def test_gradient_accumulation_gives_the_step_of_the_whole_batch(chunks):
    options = {"loss": {"lambda_ds": 1.0, "lambda_id": 1.0}, "dtype": torch.float64, "sgd": True}
    whole, accumulated = run(TrainingStep, **options), run(TrainingStep, **options, accumulate=chunks)
    assert difference(whole[0], accumulated[0]) < 1e-9
    assert accumulated[2] == pytest.approx(whole[2], rel=1e-9)


def test_a_lazy_penalty_is_computed_every_n_steps_at_n_times_its_weight():
    config = tiny_config(loss={"r1_every": 4, "lambda_reg": 2.0}, solver={"lr": 1e-3, "beta1": 0.5, "beta2": 0.99})
    networks = build_networks(config.model, 3)
    optimizers = build_optimizers(networks, config.solver)
    groups = {name: optimizer.param_groups[0] for name, optimizer in optimizers.items()}
    for name in ("discriminator", "generator"):  # every step is one of Adam's, with or without the penalty
        assert (groups[name]["lr"], groups[name]["betas"]) == (1e-3, (0.5, 0.99))
    step = TrainingStep(networks, copy.deepcopy(networks), optimizers, config.loss, config.solver)
    b, gradients = random_batch(0), {}
    for number in (0, 1, 4):
        penalty = step.weights_at(number).get("reg")
        x_real = b.x_real.clone().requires_grad_()
        loss, _ = discriminator_loss(networks["discriminator"], x_real, b.y_org, b.x_ref, b.y_trg, penalty)
        loss.backward()
        gradients[number] = [p.grad.clone() for p in networks["discriminator"].parameters()]
        optimizers["discriminator"].zero_grad()
    x = b.x_real.clone().requires_grad_()
    (grad,) = torch.autograd.grad(networks["discriminator"](x, b.y_org).sum(), x, create_graph=True)
    (4 * 2.0 * 0.5 * grad.square().flatten(1).sum(1).mean()).backward()
    for due, between, again, p in zip(*gradients.values(), networks["discriminator"].parameters(), strict=True):
        penalty = torch.zeros_like(p) if p.grad is None else p.grad
        torch.testing.assert_close(due - between, penalty, rtol=1e-3, atol=1e-4)
        assert torch.equal(due, again)


def test_the_memory_layout_does_not_matter():
    options = {"dtype": torch.float64, "sgd": True}
    plain, last = run(TrainingStep, **options), run(TrainingStep, **options, layout=torch.channels_last)
    assert difference(plain[0], last[0]) < 1e-9


BF16 = partial(torch.autocast, "cpu", torch.bfloat16, cache_enabled=False)


def test_bfloat16_is_near_full_precision_and_keeps_full_weights():
    full, half = (run(TrainingStep, steps=1, **options) for options in ({}, {"autocast": BF16}))
    assert half[2] == pytest.approx(full[2], rel=0.1, abs=0.02)
    assert half[2] != full[2]
    assert {parameter.dtype for parameter in half[0].parameters()} == {torch.float32}


def test_optional_terms_match_their_definitions():
    """One generator update with latent styles, its loss written out."""
    config = tiny_config(loss={"lambda_id": 2.0, "lambda_cls": 3.0, "lambda_cyc": 0.0, "lambda_sty": 0.0})
    networks = build_networks(config.model, 3)
    judge = lambda x: torch.stack([x.mean((1, 2, 3)), -x.mean((1, 2, 3)), x.amax((1, 2, 3))], 1).softmax(1)  # noqa: E731
    step = TrainingStep(networks, copy.deepcopy(networks), {}, config.loss, config.solver, judge)
    b, (G, _, E, D) = random_batch(0), (networks[name] for name in NETWORKS)
    style = networks["mapping_network"](b.z_trg, b.y_trg)
    fake = G(b.x_real, style)
    images = Pass(networks, networks, b, fake, style, "latent", "l1", judge)
    total, terms = generator_update(images, {name: step.weights_at(0)[name] for name in ("id", "cls")})
    adv = F.softplus(-D(fake, b.y_trg)).mean()
    identity = (G(b.x_real, E(b.x_real, b.y_org)) - b.x_real).abs().mean()
    cls = -judge(fake)[torch.arange(4), b.y_trg].log().mean()
    torch.testing.assert_close(total, adv + 2 * identity + 3 * cls)
    assert set(terms) == {"adv", "id", "cls"}
    further = {name for name in step.names if name.endswith(("_id", "_cls"))}
    assert further == {"G/latent_id", "G/latent_cls", "G/reference_cls"}


@pytest.mark.gpu
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("tf32", 1e-2), ("bf16", 0.1)])
def test_a_step_on_a_gpu_is_that_of_the_cpu(layout, precision, tolerance):
    autocast = autocast_for(precision, torch.device("cuda"))
    gpu = run(TrainingStep, steps=1, device="cuda", layout=layout, autocast=autocast)
    assert gpu[2] == pytest.approx(run(TrainingStep, steps=1)[2], rel=tolerance, abs=tolerance / 5)
