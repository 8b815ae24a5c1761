"""The passes of a training step, compiled: fewer kernels, and less traffic between them."""

from functools import partial

import torch

from quac.models.starganv2.gradients import difference, gradients_of
from quac.models.starganv2.step import discriminate, passes_of
from quac.system.console import log
from quac.system.errors import lines_of

FORMS = 32  # of one function, at most: which parameters are trained, which inputs need gradients
# By how much gradients may differ from those of the networks as written, relative to their norm. Rounding alone gives
# 0.004 in float32, where it moves values across the bends of leaky ReLUs (as float64 does), and 0.04 in bfloat16.
TOLERANCE = {"fp32": 0.03, "tf32": 0.1, "bf16": 0.2}


def compile_step(train_step, batch, step, precision, backend="inductor"):
    """Let a TrainingStep run compiled, where that works and gives the gradients that it should.

    It is tried on a batch, which changes no weight. Otherwise the step stays as it is, and the log says why. The
    gradient penalty is compiled with the backward pass around it: compiled networks cannot be differentiated twice.
    """
    log.info("compiling the networks; this takes minutes, solver.compile: never does without")
    passes = _compiled(train_step.networks, backend)
    try:
        expected = gradients_of(train_step, batch, step, train_step.passes)
        worst = difference(gradients_of(train_step, batch, step, passes), expected)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a compiler, a driver or a missing header may raise
        log.debug("compiling", exc_info=error)
        reason = " ".join(lines_of(error)[:2])
        log.warning("compiling does not work here (%s); training goes on without", reason)
        return
    if not worst <= TOLERANCE[precision]:  # (NaN is not)
        log.warning("compiled, the gradients differ by %.2g of their norm; training goes on without compiling", worst)
        return
    log.info("compiled; the gradients differ by %.2g of their norm from those of the networks as written", worst)
    train_step.passes = passes


def _compiled(networks, backend):
    config = torch._dynamo.config
    if hasattr(config, "trace_autograd_ops"):  # torch.autograd.grad inside a compiled function, see pull request 169493
        config.trace_autograd_ops = True
    # Else torch 2.11 overlooks that a network is trained in one pass and frozen in the next, see issue 139476.
    config.skip_tensor_guards_with_matching_dict_tags = False
    config.recompile_limit = max(config.recompile_limit, FORMS)
    compiled = partial(torch.compile, backend=backend, dynamic=False)
    passes = {name: compiled(function) for name, function in passes_of(networks).items() if name != "discriminate"}
    return {**passes, "discriminate": partial(compiled(discriminate), networks["discriminator"])}
