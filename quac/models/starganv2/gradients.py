"""The gradients of a step without the step: to compare two ways of computing it."""

from typing import Any

import torch
from torch import Tensor, nn

from quac.data.batches import TrainingBatch
from quac.models.starganv2.networks import NETWORKS
from quac.models.starganv2.step import Forward, TrainingStep

Gradients = dict[str, list[Tensor]]
Forwards = dict[str, Forward]


def gradients_of(
    train_step: TrainingStep, batch: TrainingBatch, weights: dict[str, Tensor], live: Forwards, held: Forwards
) -> Gradients:
    """The gradients of all updates of a step, {network: tensors}, without changing any weight.

    `weights`: see `TrainingStep.weights_at`. `live`, `held`: the forward functions to use, see `forward_functions`.
    """
    original = train_step.optimizers, train_step.live, train_step.held
    recorders = {name: GradientRecorder(train_step.networks[name]) for name in NETWORKS}
    train_step.optimizers, train_step.live, train_step.held = recorders, live, held
    try:
        train_step.update(batch, weights)
        return {name: recorder.gradients for name, recorder in recorders.items()}
    finally:
        train_step.optimizers, train_step.live, train_step.held = original
        train_step.networks.zero_grad(set_to_none=True)


def relative_difference(gradients: Gradients, expected: Gradients) -> float:
    """The norm of the difference relative to the norm of `expected`, of the network with the largest; NaN if any is."""
    differences = [
        _norm(torch._foreach_sub(gradients[name], expected[name])) / _norm(expected[name])
        for name in NETWORKS
        if gradients[name] or expected[name]  # else no term of this network has a weight
    ]
    return torch.stack(differences).max().item()


def _norm(tensors: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    return torch.stack(torch._foreach_norm(tensors)).norm()


class GradientRecorder(torch.optim.Optimizer):
    """Records the gradients instead of using them."""

    def __init__(self, network: nn.Module):
        super().__init__(network.parameters(), {})
        self.gradients = list[Tensor]()

    def step(self, closure: Any = None) -> Any:
        self.gradients += [p.grad.clone() for p in self.param_groups[0]["params"] if p.grad is not None]
