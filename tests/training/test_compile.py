"""A compiled step: the same updates but for rounding, or none that is compiled."""

import copy
import logging
import math

import pytest
import torch
from helpers.builders import random_batch, training_step

from quac.models.starganv2.gradients import difference
from quac.models.starganv2.networks import NETWORKS
from quac.models.starganv2.step import passes_of
from quac.training.compile import compile_step

LOSS = {"lambda_ds": 1.0, "lambda_id": 1.0}


def weights_of(step):
    return torch.cat([p.detach().flatten() for p in step.networks.parameters()])


def broken(graph, inputs):
    raise RuntimeError("no compiler\nanywhere")


def wrong(graph, inputs):
    return lambda *inputs: [out * 1.1 if torch.is_tensor(out) else out for out in graph(*inputs)]


# With it the style encoder is frozen where it was tried, and trained later, on inputs of the same shape.
BEGINS = {"lambda_cyc": 0.0, "ramps": {"cyc": {"start_step": 0, "end_step": 1, "end": 3.0}}}


@pytest.mark.parametrize(
    "options", [{"loss": LOSS}, {"loss": LOSS, "solver": {"schedule": "merged"}}, {"loss": BEGINS}]
)
def test_a_compiled_step_is_the_step_but_for_rounding(options):
    torch._dynamo.reset()
    plain, compiled = training_step(**options), training_step(**options)
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


def test_a_weight_that_changes_with_the_step_compiles_nothing_anew():
    torch._dynamo.reset()
    compiled = []

    def counting(graph, inputs):
        compiled.append(graph)
        return graph

    ramp = {"start": 1.0, "end_step": 10, "end": 2.0}
    step = training_step(loss={"lambda_ds": 1.0, "ds_iter": 10, "ramps": {"reg": ramp, "cyc": ramp}})
    compile_step(step, random_batch(0), 0, "fp32", backend=counting)
    assert step.passes["generator"] is not step.networks["generator"]
    step(random_batch(0), 1)
    count = len(compiled)
    for number in range(2, 6):
        step(random_batch(number), number)
    assert len(compiled) == count


@pytest.mark.parametrize("bad", NETWORKS)
def test_the_largest_difference_counts_and_nan_is_the_largest(bad):
    expected = {name: [torch.ones(3), torch.ones(2)] for name in NETWORKS}
    assert difference(copy.deepcopy(expected), expected) == 0
    found = copy.deepcopy(expected)
    found[bad][1][0] += 5**0.5 / 2
    assert difference(found, expected) == pytest.approx(0.5)
    found[bad][0][2] = torch.nan
    assert math.isnan(difference(found, expected))
    empty = {**expected, bad: []}
    assert difference(empty, empty) == 0


@pytest.mark.parametrize(("backend", "said"), [(broken, "no compiler"), (wrong, "the gradients differ by")])
def test_what_does_not_compile_or_not_truly_is_left_alone_and_said(backend, said, caplog):
    torch._dynamo.reset()
    step = training_step(LOSS)
    with caplog.at_level(logging.WARNING):
        compile_step(step, random_batch(0), 0, "fp32", backend=backend)
    assert said in caplog.text
    assert "goes on without" in caplog.text
    assert step.passes.keys() == passes_of(step.networks).keys()
    assert step.passes["generator"] is step.networks["generator"]
    step(random_batch(0), 0)
