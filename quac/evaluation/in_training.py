"""Evaluation of the networks while they are trained: for monitoring only. It does not affect training."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from quac.classifier.judge import Judge
from quac.config import Config
from quac.config.choices import STYLE_KINDS
from quac.conversion.chosen import drawn_targets
from quac.conversion.engine import TryBatch, convert
from quac.data.masks import Masks, masks_of_stage
from quac.data.store import Store
from quac.evaluation.metrics import EVALUATION_IMAGES, EVALUATION_QUERIES, EVALUATION_TRIES, RATES
from quac.evaluation.scores import rates_of
from quac.models import MODELS
from quac.models.starganv2.checkpoint_info import CheckpointInfo
from quac.system.console import log
from quac.system.errors import error_lines
from quac.system.tables import read_table

METRICS = (*RATES, "l1")
EVALUATED_PAIRS = EVALUATION_IMAGES // (EVALUATION_TRIES * len(STYLE_KINDS))


class TrainingEvaluation:
    """Averaged networks -> how they convert a few queries of the validation split, the same at every evaluation.

    No random state is touched. The first failure, of any kind, ends the evaluations until the next start, with a
    warning; training continues.
    """

    def __init__(
        self, config: Config, classifier: Path, store: Path, index: Path, references: Store, device: torch.device
    ):
        """
        Args:
            config: a whole resolved Config.
            classifier: its file.
            store, index: files of the validation split; opened at the first evaluation, as the classifier is.
            references: the training split.
        """
        self.config, self.classifier, self.files = config, classifier, (store, index)
        self.references, self.device, self.failed = references, device, False

    def __call__(
        self, networks: nn.ModuleDict, stopped: Callable[[], bool]
    ) -> tuple[dict[str, float], dict[str, float]]:
        """`({name: mean over the class pairs}, {name/source/target: number})`, see `rates_of`.

        Both are empty if it failed, or was `stopped`, which is asked after each batch.
        """
        if self.failed:
            return {}, {}
        try:
            rates = self._evaluate(networks, stopped)
        except _Stopped:
            return {}, {}
        except Exception as error:
            self.failed, message = True, "\n".join(error_lines(error))
            log.warning("evaluation failed; training continues without it until the next start: %s", message)
            return {}, {}
        pairs = {name: rate for name, rate in rates.items() if "/" in name}
        return {name: rate for name, rate in rates.items() if "/" not in name}, pairs

    def _evaluate(self, networks: nn.ModuleDict, stopped: Callable[[], bool]) -> dict[str, float]:
        config, (judge, queries, masks), classes = self.config, self._opened, self.references.classes
        size, seed = min(EVALUATION_QUERIES, config.validation_config.val_batch_size), config.run.seed
        info = CheckpointInfo.of(config, classes, step=0)  # any step: it changes nothing
        converter = MODELS[config.model.kind]()(info, networks, self.device)
        kinds = converter.style_kinds
        styles = {kind: converter.styles(kind, self.references, seed=seed, batch_size=size) for kind in kinds}
        limits: dict[str, Any] = {
            "tries": EVALUATION_TRIES,
            "max_per_class": max_queries(len(classes)),
            "targets": drawn_targets(len(classes), EVALUATED_PAIRS, seed),
            "batch_size": size,
        }

        def measure(tries: TryBatch) -> list[dict[str, Tensor]]:
            if stopped():
                raise _Stopped
            return [{} for _ in tries.images]

        how: dict[str, Any] = {"seed": seed, "masks": masks, "measure": measure, "quiet": True}
        table = convert(converter, judge, queries, styles, **limits, **how)
        return rates_of(table, METRICS)

    @cached_property
    def _opened(self) -> tuple[Judge, Store, Masks | None]:
        config, classes = self.config, self.references.classes
        queries = Store.open(*self.files)
        queries.require(config.model, classes)
        judge = Judge(self.classifier, config.validation_config, config.model, classes, self.device)
        return judge, queries, masks_of_stage(read_table(self.files[1]), config, "validation")


class _Stopped(Exception):
    """The training is to stop."""


def max_queries(classes: int) -> int:
    """Queries of a class that are evaluated at most, for a number of classes."""
    images = EVALUATION_TRIES * len(STYLE_KINDS) * classes * (classes - 1)  # of one query of each class
    return max(1, min(EVALUATION_QUERIES, EVALUATION_IMAGES // images))
