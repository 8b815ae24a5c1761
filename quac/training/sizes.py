"""Model size, disk use and estimated time of a training, for the log."""

import torch

from quac.system.console import log
from quac.system.provenance import peak_memory_mb
from quac.training.plan import Plan
from quac.training.trainer import Trainer


def log_sizes(trainer: Trainer, plan: Plan) -> None:
    """Log the memory of the networks, and the disk use up to the end of a plan."""
    counts = {name: sum(p.numel() for p in network.parameters()) for name, network in trainer.networks.items()}
    log.info("parameters: %s", ", ".join(f"{name} {count / 1e6:.2f} M" for name, count in counts.items()))
    weights = 4 * sum(counts.values())
    averaged = weights - 4 * counts["discriminator"]
    # Each weight has a gradient and two moments of Adam.
    log.info("weights, gradients, optimisers and averages take %s, activations more", _gib(4 * weights + averaged))
    state = 3 * weights + averaged
    log.info("on disk a whole state takes %s, a checkpoint %s", _gib(state), _gib(averaged))
    states = plan.options.keep_states + 1  # while one is written
    total = _gib(len(plan.steps) * averaged + states * state)
    log.info("up to step %d: %d checkpoint(s), at most %d whole states, %s", plan.end, len(plan.steps), states, total)


def log_eta(trainer: Trainer, end: int, rate: float) -> None:
    """Log the estimated time up to step `end` at `rate` images per second, and the peak memory so far."""
    seconds = (end - trainer.steps_done) * trainer.config.data.batch_size / rate
    cuda = trainer.device.type == "cuda"
    peak = torch.cuda.max_memory_reserved(trainer.device) if cuda else 1e6 * peak_memory_mb()
    log.info("%.1f images/s: step %d in about %s; peak memory %s", rate, end, format_duration(seconds), _gib(peak))


def format_duration(seconds: float) -> str:
    """Such as `2 h 5 min`."""
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min" if minutes else "a minute"


def _gib(size: float) -> str:
    return f"{size / 2**30:.2f} GiB"
