"""Controls: what the classifiers say of images that are no conversions, beside what they say of the conversions.

All are of the same few queries of a split: the query as it is; the nearest real training image of the target class;
adversarial noise that reaches the translation rate of the conversion; and the query's own-style reconstruction. Real
images of the target class, of the same split, are judged as well. What is judged is what would be written: clamped to
the range of the data, rounded to the depth of the queries, and outside of a mask the query itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from quac.classifier.adversarial_noise import LADDER, STEPS, fault_of_gradients, smallest_eps, targeted_pgd
from quac.classifier.judge import Judge, open_oracles
from quac.config import Config
from quac.conversion.chosen import chosen_queries
from quac.data.batches import as_written, batches_of, depth_of, load
from quac.data.masks import masks_of_stage
from quac.data.store import Store
from quac.evaluation.distances import scaled
from quac.evaluation.nearest import mean_distances, nearest_images
from quac.evaluation.scores import per_query
from quac.evaluation.tries import Tries
from quac.system.console import log
from quac.system.tables import read_table

MAX_QUERIES, MAX_IMAGES = 50, 1000  # queries of a class pair, and of all pairs together; at least MIN_QUERIES of each
MIN_QUERIES = 5
MAX_PIXELS = 2**18  # of a batch, if `validation_config.val_batch_size` is not more
RATE = "translation_rate"


@dataclass(frozen=True)
class ControlFiles:
    """The files of the controls; `oracles` in the alphabetical order of their names."""

    classifier: Path
    oracles: Sequence[Path]
    store: Path
    index: Path
    train_store: Path
    train_index: Path
    tables: Sequence[Path]  # of the tries of the split, one for each style kind


@dataclass(frozen=True)
class Queries:
    """Queries of one class and one size."""

    label: int
    paths: np.ndarray
    x: Tensor  # (B, C, H, W) in the range of the networks
    mask: Tensor | None  # (B, 1, H, W), 1 inside


def max_queries(classes: int) -> int:
    """Queries of a class pair at most, for a number of classes: gradients are computed for those of all pairs."""
    return max(MIN_QUERIES, min(MAX_QUERIES, MAX_IMAGES // (classes * (classes - 1))))


class Controls:
    """The controls of a split, opened."""

    def __init__(self, config: Config, files: ControlFiles, device: torch.device):
        """`config`: as the stage reads it. Raises QuacError if the files do not belong together."""
        self.config, self.device = config, device
        self.store, self.train = Store.open(files.store, files.index), Store.open(files.train_store, files.train_index)
        classes, model = self.store.classes, config.model
        for store in (self.store, self.train):
            store.require(model, classes)
        self.judge = Judge(files.classifier, config.validation_config, model, classes, device)
        oracles = open_oracles(config.oracles, files.oracles, model, classes, device)
        self.judges = {RATE: self.judge, **{f"{RATE}_by_{name}": oracle for name, oracle in oracles.items()}}
        self.tables = [Tries.read(path) for path in files.tables]
        self.max_queries, seed = max_queries(len(classes)), config.run.seed
        self.chosen = [chosen_queries(self.store, label, seed, self.max_queries) for label in range(len(classes))]
        index = read_table(files.index)
        self.split, self.masks = index.attrs["split"], masks_of_stage(index, config, index.attrs["split"])
        if self.masks:
            self.masks.read(np.concatenate(self.chosen))

    def measure(self) -> dict[str, Any]:
        """Measure all controls.

        Returns JSON values: `split`, `seed`, `max_queries` of a class pair, `step` and `checkpoint_digest` of the
        conversions, `noise` (see `_noise`), and `controls`, see `summarize`.
        """
        conversions = {tries.frame["kind"].iloc[0]: self._tries(tries.frame) for tries in self.tables}
        wanted = float(np.mean([rate_over_pairs(frame) for frame in conversions.values()]))
        real = self._real_images()
        noise, images = self._noise(wanted)
        frames = {**conversions, "own_style": self._own_style(), "unchanged": real["unchanged"]}
        frames |= {"nearest": real["nearest"], "noise": images, "real": real["real"]}
        about = {"step": self.tables[0].step, "checkpoint_digest": self.tables[0].checkpoint_digest}
        about |= {"split": self.split, "seed": self.config.run.seed, "max_queries": self.max_queries}
        return {**about, "noise": noise, "controls": summarize(frames)}

    def _tries(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The tries of the chosen queries: their means of each query."""
        chosen = [
            (self.store.classes[n], path) for n, rows in enumerate(self.chosen) for path in self.store.paths[rows]
        ]
        keys = pd.MultiIndex.from_frame(frame[["source", "query"]])
        frame = frame[keys.isin(chosen) & (frame["source"] != frame["target"])]
        return per_query(frame)[["source", "target", "query", *self.judges, "l1"]]

    def _own_style(self) -> pd.DataFrame:
        """The reconstructions of the chosen queries by their own style, with each other class as the target.

        Empty if no table has them.
        """
        for tries in self.tables:
            own = tries.frame[(tries.frame["source"] == tries.frame["target"]) & (tries.frame["style"] == "own")]
            if len(own):
                return self._tries(pd.concat([own.assign(target=target) for target in self.store.classes]))
        return pd.DataFrame()

    def _real_images(self) -> dict[str, pd.DataFrame]:
        """Of real images: `unchanged` queries, the `nearest` training images, and the `real` ones of the split."""
        data = self.config.data
        parts: dict[str, list[pd.DataFrame]] = {"unchanged": [], "nearest": [], "real": []}
        for queries in self._queries():
            for other in self._others(queries):
                rows = self.train.rows_of(other)
                near, _ = nearest_images(queries.x, self.train, rows, data.scale, data.shift, queries.mask)
                parts["unchanged"].append(self._numbers(queries, other, queries.x))
                parts["nearest"].append(self._numbers(queries, other, self._pasted(queries, near)))
                real = self._numbers(queries, queries.label, queries.x).assign(source=self.store.classes[other])
                distances = mean_distances(queries.x, self.store, self.chosen[other], data.scale, data.shift)
                parts["real"].append(real.assign(l1=distances.cpu().numpy()))
        return {name: pd.concat(frames, ignore_index=True) for name, frames in parts.items()}

    def _noise(self, wanted: float) -> tuple[dict[str, Any], pd.DataFrame]:
        """Noise by the smallest change of LADDER that reaches a translation rate, or else by the largest.

        Returns `(about, frame)`. About: `eps`, the largest change of a value as a share of the range, None if there
        could be no noise; `reached`; `wanted`; `steps`, `ladder`; and `fault`, why there could be none, or "".
        """
        about = {"eps": None, "reached": False, "wanted": wanted, "steps": STEPS, "ladder": LADDER}
        if fault := fault_of_gradients(self.judge, next(self._queries()).x):
            return {**about, "fault": fault}, pd.DataFrame()
        frames: dict[float, pd.DataFrame | None] = {}

        def reaches(eps: float) -> bool:
            frames[eps] = self._noise_of(eps, wanted)
            log.info("noise of at most %.3f of the range: %s", eps, "too little" if frames[eps] is None else "enough")
            return frames[eps] is not None

        eps, reached = smallest_eps(reaches)
        frame = frames[eps] if reached else self._noise_of(eps)
        return {**about, "eps": eps, "reached": reached, "fault": ""}, cast(pd.DataFrame, frame)

    def _noise_of(self, eps: float, wanted: float = 0.0) -> pd.DataFrame | None:
        """Noise by a change of at most `eps`, a share of the range; None as soon as its rate cannot be the wanted."""
        scale, shift, parts, missed = self.config.data.scale, self.config.data.shift, [], 0.0
        limits = min(shift, shift + scale), max(shift, shift + scale)
        for queries in self._queries():
            others = self._others(queries)
            for other in others:
                targets = torch.full((len(queries.x),), other, device=self.device)
                images = targeted_pgd(self.judge, queries.x, targets, eps * abs(scale), limits, queries.mask)
                numbers = self._numbers(queries, other, self._pasted(queries, images))
                # Each query counts by its share of its pair, and each pair alike.
                weight = len(self.chosen[queries.label]) * len(self.chosen) * len(others)
                missed += float((1 - numbers[RATE]).sum()) / weight
                if missed > 1 - wanted + 1e-9:
                    return None
                parts.append(numbers)
        return pd.concat(parts, ignore_index=True)

    def _queries(self) -> Iterator[Queries]:
        data, size = self.config.data, cast(int, self.config.model.img_size)  # filled in when resolved
        most = max(self.config.validation_config.val_batch_size, MAX_PIXELS // size**2)
        for label, chosen in enumerate(self.chosen):
            for rows in batches_of(self.store, chosen, most):
                mask = torch.from_numpy(self.masks[rows]).to(self.device) if self.masks else None
                x = load(self.store, rows, self.device, data.scale, data.shift)
                yield Queries(label, self.store.paths[rows], x, mask)

    def _others(self, queries: Queries) -> list[int]:
        return [label for label in range(len(self.store.classes)) if label != queries.label]

    def _pasted(self, queries: Queries, images: Tensor) -> Tensor:
        """Images in place of queries, as they would be written."""
        images = images if queries.mask is None else torch.lerp(queries.x, images, queries.mask)
        return as_written(images, self.config.data.scale, self.config.data.shift, depth_of(self.store.flat.dtype))

    @torch.inference_mode()
    def _numbers(self, queries: Queries, target: int, images: Tensor) -> pd.DataFrame:
        """A row for each image in place of a query: whether each classifier calls it the target, and its `l1`."""
        numbers = {name: (judge.logits(images).argmax(1) == target).double() for name, judge in self.judges.items()}
        numbers["l1"] = (images - queries.x).abs().mean((1, 2, 3))
        classes = {"source": self.store.classes[queries.label], "target": self.store.classes[target]}
        columns = {name: values.cpu().numpy() for name, values in numbers.items()}
        return pd.DataFrame({**classes, "query": queries.paths, **columns})


def rate_over_pairs(frame: pd.DataFrame) -> float:
    """The translation rate of a table with a row for each query: the mean over the pairs."""
    return float(frame.groupby(["source", "target"])[RATE].mean().mean())


def summarize(frames: dict[str, pd.DataFrame]) -> list[dict[str, Any]]:
    """The numbers of controls, {name: table with a row for each source, target and query}; empty tables are left out.

    Returns a dict for each: `name`; `average`, the unweighted means over the pairs; and `pairs`, with `source` and
    `target`. Both have `queries`; the rates; `l1`; and `l1_scaled`, (l1 - own style) / (nearest - own style) of the
    pair or of the averages, None if nearest <= own style.
    """
    pairs: dict[str, pd.DataFrame] = {}
    for name, frame in frames.items():
        if len(frame):
            groups = frame.groupby(["source", "target"], sort=False)
            pairs[name] = groups.mean(numeric_only=True).assign(queries=groups.size())
    # {control: {pair: its mean, None: the average}}
    l1: dict[str, dict[Any, float]] = {
        name: {**table["l1"].to_dict(), None: float(table["l1"].mean())} for name, table in pairs.items()
    }

    def numbers(row: dict[Any, Any], pair: tuple[str, str] | None) -> dict[str, Any]:
        anchors = (l1.get(name, {}).get(pair) for name in ("own_style", "nearest"))
        return {**row, "queries": int(row["queries"]), "l1_scaled": scaled(row["l1"], *anchors)}

    controls = []
    for name, table in pairs.items():
        rows = table.reset_index().to_dict("records")
        average = {**table.mean().to_dict(), "queries": frames[name]["query"].nunique()}
        of_pairs = [numbers(row, (row["source"], row["target"])) for row in rows]
        controls.append({"name": name, "average": numbers(average, None), "pairs": of_pairs})
    return controls
