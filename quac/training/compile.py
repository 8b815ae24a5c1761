"""The networks of a training step, compiled: fewer kernels, and less traffic between them."""

from contextlib import suppress
from functools import partial

import torch
from torch import nn

from quac.data.batches import TrainingBatch
from quac.models.starganv2.gradients import gradients_of, relative_difference
from quac.models.starganv2.step import Forward, TrainingStep, discriminator_loss
from quac.system.console import log
from quac.system.errors import error_lines

# Largest difference of the gradients from those of the eager networks, relative to their norm. Rounding alone gives
# 0.004 in float32, where it moves values across the bends of leaky ReLUs (as float64 does), and 0.04 in bfloat16.
TOLERANCE = {"fp32": 0.03, "tf32": 0.1, "bf16": 0.2}

# Of one function: up to eight combinations of which inputs need gradients, for two sizes of chunks.
RECOMPILE_LIMIT = 16


def compile_step(
    train_step: TrainingStep, batch: TrainingBatch, precision: str, backend: str | Forward = "inductor"
) -> None:
    """Compile the forward passes of a step. Falls back to eager if that fails or gradients differ by over TOLERANCE.

    It is tried on a batch, with all terms that ever have a weight, and without changing any parameter. The loss of the
    discriminator is compiled together with its gradient penalty: compiled networks cannot be differentiated twice.
    """
    log.info("compiling the networks; this takes minutes. solver.compile: never skips it")
    live, held = _compiled(train_step.networks, backend), _compiled(train_step.held_networks, backend)
    weights = train_step.trial_weights()
    try:
        expected = gradients_of(train_step, batch, weights, train_step.live, train_step.held)
        difference = relative_difference(gradients_of(train_step, batch, weights, live, held), expected)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a compiler, a driver or a missing header may raise any error
        log.debug("compiling", exc_info=error)
        log.warning("compiling failed (%s); training continues without", " ".join(error_lines(error)[:2]))
        return
    if not difference <= TOLERANCE[precision]:  # NaN is not
        log.warning("compiled gradients differ by %.2g of their norm; training continues without compiling", difference)
        return
    log.info("compiled; gradients differ by %.2g of their norm from those of the eager networks", difference)
    train_step.live, train_step.held = live, held


def _compiled(networks: nn.ModuleDict, backend: str | Forward) -> dict[str, Forward]:
    """As `forward_functions`, compiled."""
    with suppress(AttributeError):  # older versions of torch cannot compile the gradient penalty
        torch._dynamo.config.trace_autograd_ops = True
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, RECOMPILE_LIMIT)
    compiled = partial(torch.compile, backend=backend, dynamic=False)
    functions = {name: compiled(network) for name, network in networks.items()}
    return {**functions, "discriminator_loss": partial(compiled(discriminator_loss), networks["discriminator"])}
