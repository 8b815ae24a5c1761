"""The step: bit for bit the literal one, in every form that should not matter, and the options by their definition."""

import copy
from functools import partial

import pytest
import torch
from helpers.builders import random_batch, tiny_config
from helpers.literal_step import LiteralStep
from torch import nn
from torch.nn import functional as F

from quac.data.batches import TrainingBatch
from quac.models.starganv2.networks import NETWORKS, build_networks
from quac.models.starganv2.step import TrainingStep, average_weight, build_optimizers
from quac.system.device import computing_in


def in_form(b, dtype, layout, device):
    def changed(value):
        value = value.to(device, dtype if value.is_floating_point() else value.dtype)
        return value.contiguous(memory_format=layout) if value.dim() == 4 else value

    return TrainingBatch(*map(changed, vars(b).values()))


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
        optimizers = build_optimizers(networks, config.solver, config.loss.r1_every)
    step = step_class(networks, averages, optimizers, config.loss, config.solver, **options)
    for number in range(steps):
        terms = step(in_form(random_batch(number), dtype, layout, device), number)
    return networks, averages, {name: float(value) for name, value in terms.items()}


def difference(one, other):
    pairs = zip(nn.ModuleDict(one).parameters(), nn.ModuleDict(other).parameters(), strict=True)
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


def test_the_comparison_would_see_a_wrong_weight():
    assert difference(run(TrainingStep, {})[0], run(LiteralStep, {}, style_weight=0.5)[0]) > 1e-5


def test_the_style_encoder_and_the_mapping_network_are_not_stepped_by_references():
    """(Deliberately: stargan-v2, issue 44.) With every other gradient cut off, they stay as they were."""
    config = tiny_config(solver={"weight_decay": 0.0})
    networks = build_networks(config.model, 3)
    before = copy.deepcopy(networks)
    step = TrainingStep(
        networks, copy.deepcopy(networks), build_optimizers(networks, config.solver), config.loss, config.solver
    )
    step._train_only("generator")
    b = random_batch(0)
    style = networks["style_encoder"](b.x_ref, b.y_trg)
    x_fake = networks["generator"](b.x_real, style)
    total, _ = step._generator_terms("ref", b, step.weights_at(0), x_fake, style)
    total.backward()
    step._descend("generator")
    assert difference({"g": networks["generator"]}, {"g": before["generator"]}) > 0
    for name in ("style_encoder", "mapping_network", "discriminator"):
        assert difference({"n": networks[name]}, {"n": before[name]}) == 0


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


class PlainMergedStep(LiteralStep):
    """The merged schedule by its definition: every fake made anew, the two updates written out."""

    def __call__(self, b, step):
        nets, parts = self.nets, {}
        (real, reg), fake = (self.d_loss(b, "latent")[1][name] for name in ("real", "reg")), {}
        for kind in ("latent", "ref"):
            fake[kind] = self.d_loss(b, kind)[1]["fake"]
        self.reset()
        due = step % self.loss.r1_every == 0
        penalty = self.loss.r1_every * self.loss.lambda_reg * reg if due else 0
        (real + (fake["latent"] + fake["ref"]) / 2 + penalty).backward()
        self.optims["discriminator"].step()
        self.reset()
        self.g_loss(b, "latent", step)[0].backward()
        gradients = {name: [p.grad.clone() for p in nets[name].parameters()] for name in NETWORKS[:3]}
        self.reset()
        self.g_loss(b, "ref", step)[0].backward()
        for name in NETWORKS[:3]:
            for p, latent in zip(nets[name].parameters(), gradients[name], strict=True):
                p.grad = latent + p.grad if name == "generator" else latent
            self.optims[name].step()
        weight = min(0.999, (1 + step) / (10 + step))
        for name in NETWORKS[:3]:
            for average, new in zip(self.ema[name].parameters(), nets[name].parameters(), strict=True):
                average.data = torch.lerp(average.data, new.data, 1 - weight)
        return parts


@pytest.mark.parametrize("loss", [{}, {"r1_every": 3, "lambda_ds": 1.0, "lambda_sty": 2.0}])
def test_the_merged_step_is_its_definition(loss):
    options = {"loss": loss, "solver": {"schedule": "merged"}, "dtype": torch.float64, "sgd": True}
    ours, plain = run(TrainingStep, **options), run(PlainMergedStep, **options)
    assert difference(ours[0], plain[0]) < 1e-9
    assert difference(ours[1], plain[1]) < 1e-9


def test_the_comparison_would_see_a_weight_that_is_a_little_off():
    """A control: a weight that is off by a hundredth."""
    solver, options = {"schedule": "merged"}, {"dtype": torch.float64, "sgd": True}
    merged = run(TrainingStep, solver=solver, **options)
    assert difference(merged[0], run(PlainMergedStep, {"lambda_cyc": 1.01}, solver, **options)[0]) > 1e-6


def test_the_merged_step_is_another_than_the_papers():
    assert difference(run(TrainingStep, solver={"schedule": "merged"})[0], run(TrainingStep)[0]) > 1e-5


@pytest.mark.parametrize("schedule", ["paper", "merged"])
@pytest.mark.parametrize("parts", [2, 3, 4, 9])  # of 4 images: alike, uneven, single, and more than there are
def test_a_batch_in_parts_is_the_whole_batch(schedule, parts):
    options = {"loss": {"lambda_ds": 1.0, "lambda_id": 1.0}, "solver": {"schedule": schedule}}
    options |= {"dtype": torch.float64, "sgd": True}
    whole, in_parts = run(TrainingStep, **options), run(TrainingStep, **options, accumulate=parts)
    assert difference(whole[0], in_parts[0]) < 1e-9
    assert in_parts[2] == pytest.approx(whole[2], rel=1e-9)


def test_a_lazy_penalty_is_taken_when_due_and_counts_as_often():
    config = tiny_config(loss={"r1_every": 4, "lambda_reg": 2.0}, solver={"lr": 1e-3, "beta1": 0.5, "beta2": 0.99})
    networks = build_networks(config.model, 3)
    optimizers = build_optimizers(networks, config.solver, config.loss.r1_every)
    groups = {name: optimizer.param_groups[0] for name, optimizer in optimizers.items()}
    assert groups["discriminator"]["lr"] == pytest.approx(1e-3 * 4 / 5)
    assert groups["discriminator"]["betas"] == pytest.approx((0.5 ** (4 / 5), 0.99 ** (4 / 5)))
    assert (groups["generator"]["lr"], groups["generator"]["betas"]) == (1e-3, (0.5, 0.99))
    step = TrainingStep(networks, copy.deepcopy(networks), optimizers, config.loss, config.solver)
    b, gradients = random_batch(0), {}
    for number in (0, 1, 4):
        step._discriminate(b, 1.0, step.weights_at(number), {"latent": b.x_ref}, "")
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


@pytest.mark.parametrize("schedule", ["paper", "merged"])
def test_bfloat16_is_near_full_precision_and_keeps_full_weights(schedule):
    full, half = (
        run(TrainingStep, solver={"schedule": schedule}, steps=1, **options) for options in ({}, {"autocast": BF16})
    )
    assert half[2] == pytest.approx(full[2], rel=0.1, abs=0.02)
    assert half[2] != full[2]
    assert {parameter.dtype for parameter in half[0].parameters()} == {torch.float32}


class Weighed:
    """Counts the gradients that reach each network."""

    def __init__(self, optimizer, seen):
        self.optimizer, self.seen = optimizer, seen

    def step(self):
        self.seen.append([p.grad.clone() for p in self.optimizer.param_groups[0]["params"] if p.grad is not None])

    def zero_grad(self, set_to_none):
        self.optimizer.zero_grad(set_to_none=set_to_none)


@pytest.mark.parametrize("autocast", [None, BF16])
def test_references_do_not_train_the_style_encoder_in_the_merged_step_either(autocast):
    """The gradients of the style encoder are the same whatever the references are."""
    options, found = {"autocast": autocast} if autocast else {}, []
    config = tiny_config(solver={"schedule": "merged"})
    for seed in (1, 2):
        torch.manual_seed(0)
        networks, seen = build_networks(config.model, 3), []
        optimizers = build_optimizers(networks, config.solver)
        optimizers["discriminator"] = Weighed(optimizers["discriminator"], [])  # not stepped: references would tell
        optimizers["style_encoder"] = Weighed(optimizers["style_encoder"], seen)
        b = random_batch(0)
        other = TrainingBatch(**{**vars(b), "x_ref": random_batch(seed).x_ref})
        TrainingStep(networks, copy.deepcopy(networks), optimizers, config.loss, config.solver, **options)(other, 0)
        found.append(seen[0])
    assert len(found[0]) > 5
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_further_terms_are_those_of_the_definition():
    """One generator update with latent styles, its loss written out."""
    config = tiny_config(loss={"lambda_id": 2.0, "lambda_cls": 3.0, "lambda_cyc": 0.0, "lambda_sty": 0.0})
    networks = build_networks(config.model, 3)
    judge = lambda x: torch.stack([x.mean((1, 2, 3)), -x.mean((1, 2, 3)), x.amax((1, 2, 3))], 1).softmax(1)  # noqa: E731
    step = TrainingStep(networks, copy.deepcopy(networks), {}, config.loss, config.solver, judge)
    b, (G, _, E, D) = random_batch(0), (networks[name] for name in NETWORKS)
    fake, style = step._fake("latent", b)
    total, terms = step._generator_terms("latent", b, step.weights_at(0), fake, style)
    adv = F.softplus(-D(fake, b.y_trg)).mean()
    identity = (G(b.x_real, E(b.x_real, b.y_org)) - b.x_real).abs().mean()
    cls = -judge(fake)[torch.arange(4), b.y_trg].log().mean()
    torch.testing.assert_close(total, adv + 2 * identity + 3 * cls)
    assert set(terms) == {"G/latent_adv", "G/latent_id", "G/latent_cls"}
    assert "G/ref_id" not in step._generator_terms("ref", b, step.weights_at(0), *step._fake("ref", b))[1]


@pytest.mark.gpu
@pytest.mark.parametrize("schedule", ["paper", "merged"])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("tf32", 1e-2), ("bf16", 0.1)])
def test_a_step_on_a_gpu_is_that_of_the_cpu(schedule, layout, precision, tolerance):
    options = {"solver": {"schedule": schedule}, "steps": 1}
    autocast = computing_in(precision, torch.device("cuda"))
    gpu = run(TrainingStep, **options, device="cuda", layout=layout, autocast=autocast)
    assert gpu[2] == pytest.approx(run(TrainingStep, **options)[2], rel=tolerance, abs=tolerance / 5)
