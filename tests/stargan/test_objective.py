"""Each term against a value worked out by hand, and the lean step against the literal one."""

import copy
import math

import pytest
import torch
from builders import tiny_config
from torch import nn
from torch.nn import functional as F

from quac.data.batches import TrainingBatch
from quac.stargan.networks import NETWORKS, build_networks
from quac.stargan.objective import (
    TrainingStep,
    adversarial_loss,
    average_weight,
    build_optimizers,
    cycle_loss,
    diversity_loss,
    diversity_weight,
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


def test_the_second_image_of_the_diversity_loss_is_held_fixed():
    a, b = (torch.rand(2, 3, requires_grad=True) for _ in range(2))
    diversity_loss(a, b).backward()
    assert b.grad is None
    assert a.grad is not None


def test_the_diversity_weight_falls_linearly_to_zero():
    loss = tiny_config(loss={"lambda_ds": 2.0, "ds_iter": 4}).loss
    assert [diversity_weight(loss, step) for step in range(6)] == [2.0, 1.5, 1.0, 0.5, 0.0, 0.0]


def test_the_average_warms_up():
    solver = tiny_config().solver
    assert average_weight(solver, 0) == 1 / 10
    assert average_weight(solver, 90) == 91 / 100
    assert average_weight(solver, 10**6) == 0.999
    assert average_weight(tiny_config(solver={"ema_warmup": False}).solver, 0) == 0.999


# ---- The step, as the paper and the published code perform it: every fake made anew where it is used, the second fake
# ---- always made, gradients into everything, all gradients cleared before each update.


class LiteralStep:
    def __init__(self, networks, averages, optimizers, loss, solver, style_weight=1.0):
        self.nets, self.ema, self.optims, self.loss, self.solver = networks, averages, optimizers, loss, solver
        self.style_weight = style_weight

    def __call__(self, b, step):
        terms = {}
        for kind in ("latent", "ref"):
            loss, parts = self.d_loss(b, kind)
            self.reset()
            loss.backward()
            self.optims["discriminator"].step()
            terms |= {f"D/{kind}_{name}": value.item() for name, value in parts.items()}
        for kind, stepped in (("latent", NETWORKS[:3]), ("ref", NETWORKS[:1])):
            loss, parts = self.g_loss(b, kind, step)
            self.reset()
            loss.backward()
            for name in stepped:
                self.optims[name].step()
            terms |= {f"G/{kind}_{name}": value.item() for name, value in parts.items()}
        weight = min(0.999, (1 + step) / (10 + step))
        for name in NETWORKS[:3]:
            for average, new in zip(self.ema[name].parameters(), self.nets[name].parameters(), strict=True):
                average.data = torch.lerp(average.data, new.data, 1 - weight)
        return terms

    def reset(self):
        for optimizer in self.optims.values():
            optimizer.zero_grad()

    def style(self, b, kind, second=False):
        if kind == "latent":
            return self.nets["mapping_network"](b.z_trg2 if second else b.z_trg, b.y_trg)
        return self.nets["style_encoder"](b.x_ref2 if second else b.x_ref, b.y_trg)

    def d_loss(self, b, kind):
        x_real = b.x_real.clone().requires_grad_()
        out = self.nets["discriminator"](x_real, b.y_org)
        real = F.binary_cross_entropy_with_logits(out, torch.ones_like(out))
        (grad,) = torch.autograd.grad(outputs=out.sum(), inputs=x_real, create_graph=True, retain_graph=True)
        reg = 0.5 * grad.pow(2).reshape(len(grad), -1).sum(1).mean(0)
        with torch.no_grad():
            x_fake = self.nets["generator"](b.x_real, self.style(b, kind))
        out = self.nets["discriminator"](x_fake, b.y_trg)
        fake = F.binary_cross_entropy_with_logits(out, torch.zeros_like(out))
        return real + fake + self.loss.lambda_reg * reg, {"real": real, "fake": fake, "reg": reg}

    def g_loss(self, b, kind, step):
        s_trg = self.style(b, kind)
        x_fake = self.nets["generator"](b.x_real, s_trg)
        out = self.nets["discriminator"](x_fake, b.y_trg)
        adv = F.binary_cross_entropy_with_logits(out, torch.ones_like(out))
        sty = torch.mean(torch.abs(self.nets["style_encoder"](x_fake, b.y_trg) - s_trg))
        x_fake2 = self.nets["generator"](b.x_real, self.style(b, kind, second=True)).detach()
        ds = torch.mean(torch.abs(x_fake - x_fake2))
        s_org = self.nets["style_encoder"](b.x_real, b.y_org)
        cyc = torch.mean(torch.abs(self.nets["generator"](x_fake, s_org) - b.x_real))
        lambda_ds = self.loss.lambda_ds * max(0.0, 1 - step / self.loss.ds_iter)
        loss = adv + self.style_weight * self.loss.lambda_sty * sty - lambda_ds * ds + self.loss.lambda_cyc * cyc
        parts = {"adv": adv, "sty": sty, "cyc": cyc}
        return loss, parts | ({"ds": ds} if lambda_ds else {})


def batch(seed):
    torch.manual_seed(seed)
    images = [torch.rand(4, 1, 32, 32) * 2 - 1 for _ in range(3)]
    y_org, y_trg = torch.randint(3, (2, 4))
    return TrainingBatch(images[0], y_org, images[1], images[2], y_trg, torch.randn(4, 4), torch.randn(4, 4))


def run(step_class, loss, steps=4, **options):
    """Train a few steps; returns the networks, averages and the last step's terms."""
    config = tiny_config(loss=loss, solver={"lr": 1e-3, "f_lr": 1e-3})
    torch.manual_seed(0)
    networks = build_networks(config.model, 3)
    averages = copy.deepcopy(networks)
    step = step_class(
        networks, averages, build_optimizers(networks, config.solver), config.loss, config.solver, **options
    )
    for number in range(steps):
        terms = step(batch(number), number)
    return networks, averages, {name: float(value) for name, value in terms.items()}


def difference(one, other):
    pairs = zip(nn.ModuleDict(one).parameters(), nn.ModuleDict(other).parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


@pytest.mark.parametrize(
    "loss", [{}, {"lambda_ds": 2.0, "ds_iter": 3, "lambda_cyc": 0.5, "lambda_sty": 3.0, "lambda_reg": 2.0}]
)
def test_the_lean_step_is_the_literal_step_bit_for_bit(loss):
    lean, literal = run(TrainingStep, loss), run(LiteralStep, loss)
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
    b = batch(0)
    style = networks["style_encoder"](b.x_ref, b.y_trg)
    x_fake = networks["generator"](b.x_real, style)
    step._update_generator("ref", b, 0, x_fake, style)
    assert difference({"g": networks["generator"]}, {"g": before["generator"]}) > 0
    for name in ("style_encoder", "mapping_network", "discriminator"):
        assert difference({"n": networks[name]}, {"n": before[name]}) == 0


def test_the_mapping_network_has_its_own_learning_rate():
    optimizers = build_optimizers(
        build_networks(tiny_config().model, 2), tiny_config(solver={"lr": 1e-4, "f_lr": 1e-6}).solver
    )
    rates = {name: optimizer.param_groups[0]["lr"] for name, optimizer in optimizers.items()}
    assert rates == {"generator": 1e-4, "mapping_network": 1e-6, "style_encoder": 1e-4, "discriminator": 1e-4}
