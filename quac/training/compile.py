"""The networks of a training step, compiled: fewer kernels, and less traffic between them."""

from contextlib import nullcontext, suppress
from functools import partial

import torch
from torch import Tensor, nn

from quac.data.batches import TrainingBatch
from quac.models.starganv2.gradients import Gradients, gradients_of, relative_difference
from quac.models.starganv2.step import Forward, TrainingStep, discriminator_loss
from quac.system.console import log
from quac.system.errors import error_lines

# Differences of gradients are relative to the norm of those of the eager networks in float32. In a lower precision
# rounding alone gives 0.15 and more (bfloat16), in compiled and in eager networks alike: compiled ones may be at most
# that much farther from float32 than eager ones are.
RATIO = 1.25
# Always accepted: in float32, compiled networks differ by 0.004, since rounding moves values across the bends of leaky
# ReLUs (as float64 does), while eager ones do not differ.
ALWAYS = 0.03

# Of one function: up to eight combinations of which inputs need gradients, for two sizes of chunks.
RECOMPILE_LIMIT = 16


def compile_step(
    train_step: TrainingStep, batch: TrainingBatch, precision: str, backend: str | Forward = "inductor"
) -> None:
    """Compile the forward passes of a step. Falls back to eager if that fails or its gradients are less exact.

    Less exact: farther from the eager networks' gradients in float32 than ALWAYS, and than RATIO times the distance
    of the eager networks' own gradients, in the `precision` of the training (fp32, tf32, bf16).

    It is tried on a batch, with all terms that ever have a weight, and without changing any parameter. The loss of the
    discriminator is compiled together with its gradient penalty: compiled networks cannot be differentiated twice.
    """
    log.info("compiling the networks; this takes minutes. solver.compile: never skips it")
    live, held = _compiled(train_step.networks, backend), _compiled(train_step.held_networks, backend)
    weights = train_step.trial_weights()
    try:
        gradients = gradients_of(train_step, batch, weights, live, held)
        eager = gradients_of(train_step, batch, weights, train_step.live, train_step.held)
        exact = eager if precision == "fp32" else _in_float32(train_step, batch, weights)
        difference, of_eager = relative_difference(gradients, exact), relative_difference(eager, exact)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a compiler, a driver or a missing header may raise any error
        log.debug("compiling", exc_info=error)
        log.warning("compiling failed (%s); training continues without", " ".join(error_lines(error)[:2]))
        return
    differences = f"gradients differ by {difference:.2g} of their norm from float32, those without by {of_eager:.2g}"
    if not difference <= max(ALWAYS, RATIO * of_eager):  # NaN is not
        log.warning("compiled %s; training continues without compiling", differences)
        return
    log.info("compiled; %s", differences)
    train_step.live, train_step.held = live, held


def _in_float32(train_step: TrainingStep, batch: TrainingBatch, weights: dict[str, Tensor]) -> Gradients:
    """The gradients of the eager networks in float32; in twice the chunks, since activations take twice the memory."""
    allowed = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    original = train_step.autocast, train_step.accumulate
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    train_step.autocast, train_step.accumulate = nullcontext, 2 * train_step.accumulate
    try:
        return gradients_of(train_step, batch, weights, train_step.live, train_step.held)
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = allowed
        train_step.autocast, train_step.accumulate = original


def _compiled(networks: nn.ModuleDict, backend: str | Forward) -> dict[str, Forward]:
    """As `forward_functions`, compiled."""
    with suppress(AttributeError):  # older versions of torch cannot compile the gradient penalty
        torch._dynamo.config.trace_autograd_ops = True
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, RECOMPILE_LIMIT)
    compiled = partial(torch.compile, backend=backend, dynamic=False)
    functions = {name: compiled(network) for name, network in networks.items()}
    return {**functions, "discriminator_loss": partial(compiled(discriminator_loss), networks["discriminator"])}
