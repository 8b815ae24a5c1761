"""How soon does a conversion network convert the digits, with which learning rates? `make bench-learning-rates`.

Every side trains with several seeds, one thread, until the average translation rate of the validation split (latent
styles, one try) reaches the target in two successive evaluations. The clock counts training steps only.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
import yaml
from measure import machine, table

from quac.classifier.fit import fit_classifier, save_torchscript
from quac.classifier.judge import Judge
from quac.config import Config
from quac.config.resolve import resolve
from quac.config.runs import merged
from quac.conversion.engine import convert
from quac.data.demo import write_demo
from quac.data.index import index_split
from quac.data.store import Store, build_store
from quac.evaluation.scores import rates_of
from quac.models.starganv2.checkpoint_info import CheckpointInfo
from quac.models.starganv2.converter import StarGANv2Converter
from quac.system.tables import read_table, write_table
from quac.training.trainer import Trainer

CPU = torch.device("cpu")
DEMO = yaml.safe_load((Path(__file__).parent.parent / "config/config.yaml").read_text())
DOUBLED = {name: 2 * DEMO["solver"][name] for name in ("lr", "f_lr")}
SIDES = {  # changes to the demo's config
    "the demo's rates": {},
    "twice these rates": {"solver": DOUBLED},
    "twice these rates, r1_every 8": {"solver": DOUBLED, "loss": {"r1_every": 8}},
}


class Digits:
    """The demo's images as stores, and a classifier."""

    def __init__(self, folder: Path, **changes: Any):
        """`changes`: to sections of the demo's config."""
        write_demo(folder / "digest.json", 0)
        sections = {"train": "data", "validation": "validation_data", "test": "test_data"}
        sources = {section: {"source": str(folder / split)} for split, section in sections.items()}
        self.raw = merged(merged(DEMO, sources), changes)
        config = resolve(self.raw)
        self.train, self.validation = (self._store(folder, split, config) for split in ("train", "validation"))
        network, _ = fit_classifier(self.train, self.validation, config, CPU)
        save_torchscript(network, folder / "classifier.pt")
        parts = config.validation_config, config.model, self.train.classes
        self.judge = Judge(folder / "classifier.pt", *parts, CPU)

    def _store(self, folder: Path, split: str, config: Config) -> Store:
        index, facts = index_split(config, split)
        path = folder / f"{split}.parquet"
        write_table(path, index, split=split, **facts)
        build_store(folder / f"{split}.store", read_table(path), config, split)
        return Store.open(folder / f"{split}.store", path)

    def rates(self, trainer: Trainer) -> dict[str, float]:
        """{`<metric>_<style kind>`: average over the class pairs} of the validation split."""
        info = CheckpointInfo.of(trainer.config, self.train.classes, trainer.steps_done)
        converter = StarGANv2Converter(info, trainer.averages, CPU)
        styles = {kind: converter.styles(kind, self.train, seed=0, batch_size=64) for kind in converter.style_kinds}
        tries = convert(converter, self.judge, self.validation, styles, tries=1, batch_size=64, quiet=True)
        return {name: rate for name, rate in rates_of(tries, ("translation_rate", "l1")).items() if "/" not in name}

    def train_until(self, target: float, changes: dict[str, Any], seed: int, every: int, most: int) -> dict[str, Any]:
        """Steps and seconds until the target is reached (None, infinite: not at all), and the rates at the end."""
        config = resolve(merged(self.raw, {**changes, "run": {"seed": seed}}))
        trainer, seconds, reached, rates = Trainer(config, self.train, CPU), 0.0, None, {}
        while trainer.steps_done < most:
            start = time.perf_counter()
            for _ in range(every):
                trainer.step()
            seconds += time.perf_counter() - start
            rates = self.rates(trainer)
            if rates["translation_rate_latent"] < target:
                reached = None
            elif reached:
                return {**reached, **rates}
            else:
                reached = {"steps": trainer.steps_done, "seconds": seconds}
        return {"steps": None, "seconds": float("inf"), **rates}


def print_table(title: str, runs: dict[str, list[dict[str, Any]]]) -> None:
    rows = [["", "steps", "seconds", "median", "reference", "l1 latent", "l1 reference"]]
    for side, done in runs.items():
        steps, seconds = ([run[name] for run in done] for name in ("steps", "seconds"))
        names = ("translation_rate_reference", "l1_latent", "l1_reference")
        medians = [f"{median(run[name] for run in done):.3f}" for name in names]
        times = ", ".join(f"{value:.0f}" for value in seconds), f"{median(seconds):.0f} s"
        rows.append([side, ", ".join(map(str, steps)), *times, *medians])
    table(title, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--target", type=float, default=0.95)
    parser.add_argument("--every", type=int, default=20, help="Steps between evaluations.")
    parser.add_argument("--most", type=int, default=400, help="Steps after which a side has not reached the target.")
    parser.add_argument("--side", action="append", choices=SIDES, help="Only this; may be repeated.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in options.side or SIDES}
    with tempfile.TemporaryDirectory() as folder:
        digits = Digits(Path(folder))
        for seed in range(options.seeds):  # in turns, so that other work on the machine slows down all sides
            for side, done in runs.items():
                done.append(digits.train_until(options.target, SIDES[side], seed, options.every, options.most))
                print(json.dumps({"side": side, "seed": seed, **done[-1]}), flush=True)
    print("\n" + machine() + "\n")
    print_table(f"To {options.target:.0%} average translation (latent, validation), {options.seeds} seeds", runs)


if __name__ == "__main__":
    main()
