"""A compiled step: the same updates but for rounding, or none that is compiled."""

import copy
import logging

import pytest
import torch
from builders import random_batch, tiny_config

from quac.stargan.compiled import compile_step
from quac.stargan.networks import build_networks
from quac.stargan.step import TrainingStep, build_optimizers, passes_of


def training_step(**solver):
    config = tiny_config(loss={"lambda_ds": 1.0, "lambda_id": 1.0}, solver={"lr": 1e-3, "f_lr": 1e-3, **solver})
    torch.manual_seed(0)
    networks = build_networks(config.model, 3)
    averages = copy.deepcopy(networks)
    optimizers = build_optimizers(networks, config.solver)
    return TrainingStep(networks, averages, optimizers, config.loss, config.solver)


def weights_of(step):
    return torch.cat([p.detach().flatten() for p in step.networks.parameters()])


def broken(graph, inputs):
    raise RuntimeError("no compiler\nanywhere")


def wrong(graph, inputs):
    return lambda *inputs: [out * 1.1 if torch.is_tensor(out) else out for out in graph(*inputs)]


@pytest.mark.parametrize("schedule", ["paper", "merged"])
def test_a_compiled_step_is_the_step_but_for_rounding(schedule):
    torch._dynamo.reset()
    plain, compiled = training_step(schedule=schedule), training_step(schedule=schedule)
    before = weights_of(compiled)
    compile_step(compiled, random_batch(0), 0, "fp32", backend="aot_eager")
    assert compiled.passes["generator"] is not compiled.networks["generator"]
    assert torch.equal(weights_of(compiled), before)
    assert all(p.grad is None for p in compiled.networks.parameters())
    for number in range(2):
        terms = [step(random_batch(number), number) for step in (plain, compiled)]
    assert terms[0].keys() == terms[1].keys()
    for name, value in terms[0].items():
        torch.testing.assert_close(terms[1][name], value, rtol=1e-3, atol=1e-4)
    moved = (weights_of(plain) - before).norm()
    assert (weights_of(compiled) - weights_of(plain)).norm() < 0.05 * moved


@pytest.mark.parametrize(("backend", "said"), [(broken, "no compiler"), (wrong, "the gradients differ by")])
def test_what_does_not_compile_or_not_truly_is_left_alone_and_said(backend, said, caplog):
    torch._dynamo.reset()
    step = training_step()
    with caplog.at_level(logging.WARNING):
        compile_step(step, random_batch(0), 0, "fp32", backend=backend)
    assert said in caplog.text
    assert "goes on without" in caplog.text
    assert step.passes.keys() == passes_of(step.networks).keys()
    assert step.passes["generator"] is step.networks["generator"]
    step(random_batch(0), 0)
