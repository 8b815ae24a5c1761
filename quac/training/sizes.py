"""What a training takes: said before it, and when the first steps have been measured."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from quac.models.starganv2.gradients import gradients_of
from quac.models.starganv2.step import passes_of
from quac.system.console import log
from quac.system.provenance import peak_memory_mb


class FlopCounter(TorchDispatchMode):
    """Counts the floating-point operations of matrix products and convolutions, a multiply-add as two.

    (torch's own FlopCounterMode also tells which module they are of, by hooks that do not stand a gradient penalty.)
    """

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function, _, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if count := flop_registry.get(function._overloadpacket):
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def describe(trainer, plan, keep):
    """Say what the networks take in memory, and on disk up to the end of a plan, where `keep` whole states are kept."""
    counts = {name: sum(p.numel() for p in network.parameters()) for name, network in trainer.networks.items()}
    log.info("parameters: %s", ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in counts.items()))
    every = 4 * sum(counts.values())
    averaged = every - 4 * counts["discriminator"]
    # Of each weight a gradient and two moments of Adam.
    log.info("weights, gradients, optimisers and averages take %s, activations more", _gib(4 * every + averaged))
    state = 3 * every + averaged
    log.info("on disk a whole state takes %s, a checkpoint %s", _gib(state), _gib(averaged))
    states = keep + 1  # while one is written
    total = _gib(len(plan.steps) * averaged + states * state)
    log.info("up to step %d: %d checkpoint(s), at most %d whole states, %s", plan.end, len(plan.steps), states, total)


def flops_of_next(trainer):
    """Floating-point operations of the next step; says them."""
    batch, step = trainer.batches[trainer.step], trainer.step
    with FlopCounter() as counter:  # it sees nothing of what is compiled
        gradients_of(trainer.train_step, batch, step, passes_of(trainer.networks))
    log.info("step %d, of %d images: %.3f TFLOP", step + 1, trainer.settings.data.batch_size, counter.total / 1e12)
    return counter.total


def outlook(trainer, end, rate):
    """Say how long the rest will take, and the most memory that was needed so far."""
    seconds = (end - trainer.step) * trainer.settings.data.batch_size / rate
    if trainer.device.type == "cuda":
        peak = torch.cuda.max_memory_reserved(trainer.device)  # (what a captured step takes counts as free after it)
    else:
        peak = 1e6 * peak_memory_mb()
    log.info("%.1f images/s: up to step %d in about %s; peak memory %s", rate, end, _spoken(seconds), _gib(peak))


def _gib(size):
    return f"{size / 2**30:.2f} GiB"


def _spoken(seconds):
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min" if minutes else "a minute"
