"""The networks of a training with all that changes from step to step: what a whole state holds."""

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from quac.config import Config
from quac.data.batches import TrainingBatch, TrainingBatches
from quac.data.store import Store
from quac.models.starganv2.checkpoint_info import KEY, CheckpointInfo
from quac.models.starganv2.networks import AVERAGED, build_networks
from quac.models.starganv2.samples import sample_grid, step_grids
from quac.models.starganv2.step import TrainingStep, build_optimizers
from quac.models.starganv2.warm_start import first_blocks, initialise
from quac.system.console import log
from quac.system.device import autocast_for, precision_of
from quac.system.errors import QuacError, bullet_list
from quac.training.finite import FiniteCheck
from quac.training.state import host_copy


class Trainer:
    """Networks, averages and optimisers, after `steps_done` steps."""

    def __init__(
        self,
        config: Config,
        store: Store,
        device: torch.device,
        judge: Callable[[torch.Tensor], torch.Tensor] | None = None,
        init: Path | None = None,
        accumulate: int = 1,
        device_cache: str = "auto",
    ):
        """
        Args:
            config: the settings of the stage `train`.
            store: the training split.
            judge: images -> probabilities (B, classes), for the classifier loss.
            init: checkpoint with the initial weights; None: random weights.
            accumulate: number of chunks of a batch; changes nothing but the rounding.
            device_cache: see `quac.data.batches.TrainingBatches`.
        """
        store.require(config.model, store.classes, squares=True)
        torch.manual_seed(config.run.seed)  # the initial weights are the only draw that is not a function of the step
        self.config, self.store, self.device = config, store, device
        self.networks = build_networks(config.model, len(store.classes))
        if init:
            initialise(self.networks, init, config.init, store.classes)
        self.networks.to(device).to(memory_format=torch.channels_last)
        self.averages = copy.deepcopy(self.networks).requires_grad_(False)
        del self.averages["discriminator"]
        for parameter in first_blocks(self.networks["discriminator"], config.init.freeze_d):
            parameter.requires_grad_(False)
        self.precision = precision_of(config.solver.precision, device)
        self.optimizers = build_optimizers(self.networks, config.solver)
        parts = self.networks, self.averages, self.optimizers
        autocast = autocast_for(self.precision, device)
        self.train_step = TrainingStep(*parts, config.loss, config.solver, judge, accumulate, autocast)
        pairs, latent_dim = config.loss.is_used("ds"), config.model.latent_dim
        self.batches = TrainingBatches(store, config.data, latent_dim, config.run.seed, device, pairs, device_cache)
        self.batch: TrainingBatch | None = None  # of the last step
        self.steps_done = 0
        self.data_wait = 0.0  # seconds of waiting for images since the last row of the history
        self.sums = torch.zeros(len(self.train_step.names), device=device)  # of the terms since then
        self.counts = torch.zeros(len(self.train_step.names), dtype=torch.int64)
        self.finite = FiniteCheck(self.train_step.names, device)

    def step(self) -> None:
        """Carry out one training step."""
        start = time.perf_counter()
        self.batch = self.batches[self.steps_done]
        self.data_wait += time.perf_counter() - start
        terms = self.train_step(self.batch, self.steps_done)
        self.steps_done += 1
        self.finite.update(terms, self.steps_done)
        self.sums += terms.values
        self.counts += terms.present

    def pop_means(self) -> dict[str, float]:
        """The means of the terms since the last call, which starts them again. Waits for the device."""
        numbers = zip(self.train_step.names, self.sums.tolist(), self.counts.tolist(), strict=True)
        means = {name: total / count for name, total, count in numbers if count}
        self.sums, self.counts, self.data_wait = torch.zeros_like(self.sums), torch.zeros_like(self.counts), 0.0
        return means

    def grids(self, level: int) -> dict[str, np.ndarray]:
        """Image grids by name, as `log.level` selects them."""
        grids = {}
        if level >= 1:
            grids["samples"] = sample_grid(self.averages, self.store, self.config, self.device)
        if level >= 2 and self.batch:
            grids |= step_grids(self.networks, self.averages, self.batch, self.config.data)
        return grids

    def require_finite(self) -> None:
        """Raise QuacError before a state with NaN or infinity replaces a good one. Waits for the device."""
        step, bad = self.finite.first_bad() or (self.steps_done, [])
        for name, network in self.networks.items():
            if not torch.stack(torch._foreach_norm(list(network.parameters()))).isfinite().all():
                bad.append(f"the weights of the {name.replace('_', ' ')}")
        if bad:
            raise QuacError(
                f"training diverged at step {step}: not finite: {', '.join(bad)}. The states before it are kept. Lower "
                "solver.lr, or check the images of that step for blank or odd ones:\n"
                + bullet_list([str(path) for path in self.batches.paths(step - 1)], 20)
            )

    def checkpoint(self) -> dict[str, Any]:
        """The content of a checkpoint, {network: state_dict, "quac": CheckpointInfo as a dict}, in host memory."""
        weights = host_copy({name: self.averages[name].state_dict() for name in AVERAGED})
        return {**weights, KEY: CheckpointInfo.of(self.config, self.store.classes, self.steps_done).as_dict()}

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, in host memory."""
        weights = {"networks": self.networks.state_dict(), "averages": self.averages.state_dict()}
        optimizers = {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}
        means = {"sums": self.sums, "counts": self.counts}
        done = {"step": self.steps_done, "precision": self.precision}
        return host_copy({**done, **weights, "optimizers": optimizers, **means})

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a whole state. One of another version raises an error of any type."""
        self.steps_done = state["step"]
        if state["precision"] != self.precision:
            message = "continuing in %s what was started in %s (solver.precision)"
            log.warning(message, self.precision, state["precision"])
        self.networks.load_state_dict(state["networks"])
        self.averages.load_state_dict(state["averages"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
            for parameter, moments in optimizer.state.items():  # in the layout of the weights, as the fused Adam wants
                for moment in ("exp_avg", "exp_avg_sq"):
                    moments[moment] = torch.empty_like(parameter).copy_(moments[moment])
        if (state["sums"].shape, state["counts"].shape) != (self.sums.shape, self.counts.shape):
            raise ValueError("it has other terms")
        self.sums, self.counts = state["sums"].to(self.device), state["counts"]
