"""Floating-point operations of a training step."""

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from quac.data.batches import TrainingBatch
from quac.models.starganv2.gradients import gradients_of
from quac.models.starganv2.step import TrainingStep, forward_functions


class FlopCounter(TorchDispatchMode):
    """Counts the floating-point operations of matrix products and convolutions, a multiply-add as two.

    torch's own FlopCounterMode also records their modules, by hooks that fail on a gradient penalty.
    """

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function, _, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if count := flop_registry.get(function._overloadpacket):
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def flops_of(train_step: TrainingStep, batch: TrainingBatch, step: int) -> int:
    """Floating-point operations of a step, which is carried out eagerly without changing any weight."""
    live, held = forward_functions(train_step.networks), forward_functions(train_step.held_networks)
    with FlopCounter() as counter:
        gradients_of(train_step, batch, train_step.weights_at(step), live, held)
    return counter.total
