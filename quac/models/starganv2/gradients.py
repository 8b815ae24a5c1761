"""The gradients of a step, without the step: to count what it takes, and to compare two ways of carrying it out."""

import torch

from quac.models.starganv2.networks import NETWORKS


def gradients_of(train_step, batch, step, passes):
    """What a TrainingStep would descend by, {network: list of tensors}, in all its updates. Changes nothing.

    `passes`: see `quac.models.starganv2.step.passes_of`.
    """
    kept = train_step.optimizers, train_step.passes
    noted = {name: _Noted(train_step.networks[name]) for name in NETWORKS}
    train_step.optimizers, train_step.passes = noted, passes
    try:
        train_step.update(batch, train_step.weights_at(step))
        return {name: network.gradients for name, network in noted.items()}
    finally:
        train_step.optimizers, train_step.passes = kept
        train_step.networks.zero_grad(set_to_none=True)


def difference(found, expected):
    """Of two {network: list of tensors} the norm of the difference, relative to that of the second.

    Of the network where it is largest; NaN where anything is.
    """
    norms = [
        _norm(torch._foreach_sub(found[name], expected[name])) / _norm(expected[name])
        for name in NETWORKS
        if found[name] or expected[name]  # else nothing of this network has a weight
    ]
    return torch.stack(norms).max().item()


def _norm(tensors):
    return torch.stack(torch._foreach_norm(tensors)).norm()


class _Noted:
    """In the place of an optimiser."""

    def __init__(self, network):
        self.network, self.gradients = network, []

    def step(self):
        self.gradients += [p.grad.clone() for p in self.network.parameters() if p.grad is not None]

    def zero_grad(self, set_to_none):
        self.network.zero_grad(set_to_none)
