"""How soon does a conversion network convert? Schedules of training on the digits: `make bench-schedules`.

Every side trains with several seeds, one thread, until the average translation rate of the validation split (latent
styles, one try) reaches the target twice running. The clock counts training steps only.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import copy
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import torch
import yaml
from measure import machine, table

from quac.classifier.fit import fit_classifier, save_torchscript
from quac.classifier.judge import Judge
from quac.config.resolve import resolve
from quac.config.training import Solver
from quac.conversion.engine import convert
from quac.data.demo import write_demo
from quac.data.index import build_index
from quac.data.sources import list_source
from quac.data.store import Store, build_store
from quac.evaluation.scores import score
from quac.models.starganv2.styles import open_styles
from quac.system.tables import write_table
from quac.training.loop import Trainer

CPU = torch.device("cpu")
CONFIGS = Path(__file__).parent.parent / "config"


def fast():
    """The demo's learning rates, raised by the factors by which the preset `fast` raises the defaults."""
    preset, demo = (yaml.safe_load((CONFIGS / name).read_text())["solver"] for name in ("fast.yaml", "config.yaml"))
    return {name: demo[name] * rate / Solver.model_fields[name].default for name, rate in preset.items()}


# Changes to the demo's config, by section.
SIDES = {
    "paper": {},
    "fast": {"solver": fast()},
    "fast, merged": {"solver": {"schedule": "merged", **fast()}},
    "fast, merged, r1_every 8": {"solver": {"schedule": "merged", **fast()}, "loss": {"r1_every": 8}},
}


def config_of(changes):
    raw = yaml.safe_load((CONFIGS / "config.yaml").read_text())
    for section, values in changes.items():
        raw[section] = {**raw.get(section, {}), **values}
    return resolve(raw)


def prepare(folder):
    """The demo's images as stores, and a classifier."""
    write_demo(folder / "digest.json", 0)
    config, stores = config_of({}), {}
    for split in ("train", "validation"):
        index, facts = build_index(list_source(str(folder / split), split), config.data, os.cpu_count())
        write_table(folder / f"{split}.parquet", index, split=split, **facts)
        index.attrs = facts
        settings = SimpleNamespace(img_size=32, channels=1, preprocess="resize", load_size=None, reading=config.data)
        build_store(folder / f"{split}.store", index, settings, os.cpu_count())
        stores[split] = Store.open(folder / f"{split}.store", folder / f"{split}.parquet")
    settings = SimpleNamespace(
        classifier=config.classifier,
        judge=config.validation_config,
        data=config.data,
        model=config.model,
        seed=config.run.seed,
    )
    network, _ = fit_classifier(stores["train"], stores["validation"], settings, CPU)
    save_torchscript(network, folder / "classifier.pt")
    return stores, Judge(folder / "classifier.pt", config.validation_config, config.model, stores["train"].classes, CPU)


def rates(trainer, config, stores, judge):
    """{kind: averages} of the validation split."""
    networks = copy.deepcopy(trainer.averages).eval()
    settings = SimpleNamespace(tries=1, batch_size=64, seed=0, data=config.data, model=config.model)
    styles = open_styles(["latent", "reference"], networks, stores["train"], settings, CPU)
    tries = convert(networks["generator"], judge, stores["validation"], styles, settings, CPU)
    classes = stores["train"].classes
    return {kind: score(tries[tries["kind"] == kind], classes)[1] for kind in styles}


def train(changes, seed, stores, judge, target, every, most):
    """Steps and seconds to the target, and the rates of then."""
    config = config_of({**changes, "run": {"seed": seed}})
    settings = SimpleNamespace(
        **{name: getattr(config, name) for name in ("data", "model", "loss", "solver", "init")}, seed=seed
    )
    trainer, seconds, reached = Trainer(settings, stores["train"], CPU), 0.0, None
    while trainer.step < most:
        start = time.perf_counter()
        for _ in range(every):
            trainer.advance()
        seconds += time.perf_counter() - start
        found = rates(trainer, config, stores, judge)
        if found["latent"]["translation_rate"] < target:
            reached = None
        elif reached is None:
            reached = (trainer.step, seconds)
        else:
            return {"steps": reached[0], "seconds": reached[1], **_numbers(found)}
    return {"steps": None, "seconds": float("inf"), **_numbers(found)}


def _numbers(found):
    return {kind: {name: averages[name] for name in ("translation_rate", "l1")} for kind, averages in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--target", type=float, default=0.95)
    parser.add_argument("--every", type=int, default=20, help="steps between evaluations")
    parser.add_argument("--most", type=int, default=400, help="steps after which a side has not reached the target")
    parser.add_argument("--side", action="append", choices=SIDES, help="only this; may be repeated")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sides = {name: SIDES[name] for name in options.side or SIDES}
    runs = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as name:
        stores, judge = prepare(Path(name))
        for seed in range(options.seeds):  # in turns, so that what else runs on the machine falls on all
            for side, changes in sides.items():
                run = train(changes, seed, stores, judge, options.target, options.every, options.most)
                runs[side].append(run)
                print(json.dumps({"side": side, "seed": seed, **run}), flush=True)
    print("\n" + machine() + "\n")
    rows = [["", "steps", "seconds", "median", "reference", "l1 latent", "l1 reference"]]
    for side, done in runs.items():
        rows.append(
            [
                side,
                " ".join(str(run["steps"]) for run in done),
                " ".join(f"{run['seconds']:.0f}" for run in done),
                f"{median([run['seconds'] for run in done]):.0f} s",
                f"{median([run['reference']['translation_rate'] for run in done]):.3f}",
                *(f"{median([run[kind]['l1'] for run in done]):.3f}" for kind in ("latent", "reference")),
            ]
        )
    table(f"To {options.target:.0%} average translation (latent, validation), {options.seeds} seeds", rows)


if __name__ == "__main__":
    main()
