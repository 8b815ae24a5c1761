"""A compiled step: the same updates up to rounding, or else the eager ones."""

import copy
import logging
import math
import re

import pytest
import torch
from helpers.builders import random_batch, training_step

from quac.models.starganv2.gradients import relative_difference
from quac.models.starganv2.networks import NETWORKS
from quac.system.device import autocast_for
from quac.training.compile import compile_step

LOSS = {"lambda_ds": 1.0, "lambda_id": 1.0}


def weights_of(step):
    return torch.cat([p.detach().flatten() for p in step.networks.parameters()])


def broken(graph, inputs):
    raise RuntimeError("no compiler\nanywhere")


def wrong(graph, inputs):
    return lambda *inputs: [out * 1.1 if torch.is_tensor(out) else out for out in graph(*inputs)]


# With it the style encoder records no gradients when it is compiled, and later does, on inputs of the same shape.
BEGINS = {"lambda_cyc": 0.0, "ramps": {"cyc": {"start_step": 0, "end_step": 1, "end": 3.0}}}


@pytest.mark.parametrize("loss", [LOSS, BEGINS])
def test_a_compiled_step_is_the_eager_one_up_to_rounding(loss):
    torch._dynamo.reset()
    plain, compiled = training_step(loss), training_step(loss)
    before = weights_of(compiled)
    compile_step(compiled, random_batch(0), "fp32", backend="aot_eager")
    assert compiled.live["generator"] is not compiled.networks["generator"]
    assert torch.equal(weights_of(compiled), before)
    assert all(p.grad is None for p in compiled.networks.parameters())
    for number in range(2):
        terms = [step(random_batch(number), number).by_name() for step in (plain, compiled)]
    assert terms[0].keys() == terms[1].keys()
    for name, value in terms[0].items():
        torch.testing.assert_close(terms[1][name], value, rtol=1e-3, atol=1e-4)
    moved = (weights_of(plain) - before).norm()
    assert (weights_of(compiled) - weights_of(plain)).norm() < 0.05 * moved


def test_a_weight_that_changes_with_the_step_does_not_recompile():
    torch._dynamo.reset()
    compiled = []

    def counting(graph, inputs):
        compiled.append(graph)
        return graph

    ramp = {"start": 1.0, "end_step": 10, "end": 2.0}
    step = training_step(loss={"lambda_ds": 1.0, "ds_iter": 10, "ramps": {"reg": ramp, "cyc": ramp}})
    compile_step(step, random_batch(0), "fp32", backend=counting)
    assert step.live["generator"] is not step.networks["generator"]
    step(random_batch(0), 1)
    count = len(compiled)
    for number in range(2, 6):
        step(random_batch(number), number)
    assert len(compiled) == count


@pytest.mark.parametrize("bad", NETWORKS)
def test_the_relative_difference_is_that_of_the_worst_network_and_nan_is_the_worst(bad):
    expected = {name: [torch.ones(3), torch.ones(2)] for name in NETWORKS}
    assert relative_difference(copy.deepcopy(expected), expected) == 0
    gradients = copy.deepcopy(expected)
    gradients[bad][1][0] += 5**0.5 / 2
    assert relative_difference(gradients, expected) == pytest.approx(0.5)
    gradients[bad][0][2] = torch.nan
    assert math.isnan(relative_difference(gradients, expected))
    empty = {**expected, bad: []}
    assert relative_difference(empty, empty) == 0


def rounded_otherwise(graph, inputs):
    """Equal up to rounding: the last place of bfloat16, 1/128 of a value at most, is another one."""

    def nudged(out):
        if not torch.is_tensor(out) or out.dtype != torch.bfloat16:
            return out
        return (out.float() * (1 + (torch.rand(out.shape) - 0.5) / 64)).bfloat16()

    return lambda *inputs: [nudged(out) for out in graph(*inputs)]


@pytest.mark.parametrize(("backend", "accepted"), [(rounded_otherwise, True), (wrong, False)])
def test_in_bf16_compiled_gradients_are_as_near_to_float32_as_eager_ones(backend, accepted, caplog):
    """The difference between the two, here 0.22, says nothing: both round."""
    torch._dynamo.reset()
    step = training_step(LOSS, autocast=autocast_for("bf16", torch.device("cpu")))
    original = step.autocast, step.accumulate
    with caplog.at_level(logging.INFO):
        compile_step(step, random_batch(0), "bf16", backend=backend)
    assert (step.live["generator"] is not step.networks["generator"]) == accepted
    assert ("training continues without compiling" not in caplog.text) == accepted
    assert (step.autocast, step.accumulate) == original
    difference, of_eager = (float(number) for number in re.findall(r"by ([\d.e-]+)", caplog.text))
    assert of_eager > 0.01
    assert (difference <= max(0.03, 1.25 * of_eager)) == accepted


@pytest.mark.parametrize(("backend", "reason"), [(broken, "no compiler"), (wrong, "gradients differ by")])
def test_compilation_falls_back_to_eager_on_failure_or_wrong_gradients(backend, reason, caplog):
    torch._dynamo.reset()
    step = training_step(LOSS)
    with caplog.at_level(logging.WARNING):
        compile_step(step, random_batch(0), "fp32", backend=backend)
    assert reason in caplog.text
    assert "continues without" in caplog.text
    assert step.live["generator"] is step.networks["generator"]
    assert step.held["generator"] is step.held_networks["generator"]
    step(random_batch(0), 0)
