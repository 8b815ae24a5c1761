"""Times the report of a large run, of synthetic results; prints a Markdown table: `make bench-report`.

20 classes x 200 queries x 10 tries x 2 style kinds. The images are 128 x 128 grey with structure at every scale, 40 of
them under many names. If chromedriver is installed, the report is opened, too.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from data import texture
from measure import spread, table
from PIL import Image

from quac.classifier.adversarial_noise import LADDER
from quac.config.choices import STYLE_KINDS
from quac.config.resolve import resolve
from quac.conversion.image_folder import grid_path, typical_path
from quac.data.index import index_split
from quac.data.result_names import output_path
from quac.data.store import Store, build_store
from quac.evaluation.cells import cells_of
from quac.evaluation.metrics import METRICS
from quac.evaluation.split_conversion import TYPICAL
from quac.evaluation.style_grids import STYLES, few_queries
from quac.evaluation.tries import Tries
from quac.system.files import file_sha256, files_sha256, json_sha256, write_json, write_text
from quac.system.tables import read_table, write_table

SIZE, PICTURES = 128, 40
STEPS = range(1000, 21000, 1000)
SPLITS = ("train", "validation", "test")
MEASURED = (metric.column or metric.name for metric in METRICS.values() if metric.kind == "try")
NUMBERS = (*MEASURED, "p_source", "query_p_source", "query_p_target")
RECORD = {
    **{"stage": "convert", "keys": [json_sha256({})], "commit": "0" * 40, "versions": {}, "machine": "none"},
    **{"started": "2026-01-01T00:00:00+00:00", "seconds": 1.0, "peak_memory_mb": 1.0, "device": "cpu"},
}
CHECKPOINT: dict[str, Any] = {"step": STEPS[0], "checkpoint": "none.ckpt", "checkpoint_digest": "0"}
CHECKPOINT["provenance"] = RECORD

# Runs a command in a small process, since on Linux a process passes its own peak memory on to those that it starts.
PEAK_OF = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


class Results:
    """Synthetic results of a run: everything that its report is built from.

    Attributes:
        inputs: {name: path, or paths}, as rule `report` names them.
    """

    def __init__(self, folder: Path, classes: int = 20, queries: int = 200, tries: int = 10):
        """`queries`: of each class, in every split."""
        folder.mkdir()
        self.folder, self.queries, self.tries = folder, queries, tries
        self.classes = [f"class {number:02d}" for number in range(classes)]
        self.pictures = [folder / f"{number}.png" for number in range(PICTURES)]
        for number, path in enumerate(self.pictures):
            Image.fromarray(texture(number, SIZE, 1).squeeze()).save(path)
        sections = dict(zip(SPLITS, ("data", "validation_data", "test_data"), strict=True))
        raw: dict[str, Any] = {section: {"source": str(folder / split)} for split, section in sections.items()}
        raw["data"] |= {"img_size": SIZE, "grayscale": True}
        run = {"total_iters": STEPS[-1], "save_every": STEPS.step}
        self.config = resolve({**raw, "solver": {"root_dir": str(folder)}, "run": run})
        write_text(folder / "config.yaml", yaml.safe_dump(self.config.model_dump(mode="json")))
        write_json(folder / "key.json", {})
        self.inputs: dict[str, Any] = {"config": folder / "config.yaml", "key_files": [folder / "key.json"]}
        self.indexes = {split: self.make_split(split) for split in SPLITS}
        self.make_checks()
        self.make_training()
        self.make_conversions()
        self.make_controls()
        self.make_grids()

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Write an input of the report as JSON, with its provenance."""
        self.inputs[name] = self.folder / f"{name}.json"
        write_json(self.inputs[name], {"provenance": RECORD, **value})

    def link(self, path: Path, number: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(self.pictures[number % PICTURES])

    def make_split(self, split: str) -> pd.DataFrame:
        """Images, index and store of a split; returns the index."""
        for (number, name), query in product(enumerate(self.classes), range(self.queries)):
            self.link(self.folder / split / name / f"{query:04d}.png", number + query)
        index, facts = index_split(self.config, split)
        path, store = self.folder / f"{split}.parquet", self.folder / f"{split}.store"
        write_table(path, index, split=split, **facts, provenance=RECORD)
        index = read_table(path)
        build_store(store, index, self.config, split)
        self.inputs.setdefault("indexes", []).append(path)
        self.inputs.setdefault("stores", []).append(store)
        return index

    def make_checks(self) -> None:
        """The checks of the data and of the classifier."""
        images = len(self.classes) * self.queries
        counts = {"images": dict.fromkeys(self.classes, self.queries), "sizes": {"128x128": images}}
        summary = {**counts, "modes": {"L": images}, "source": "synthetic", "digest": "0" * 64}
        self.write("checks", {"findings": [], "one_fact_rules": [], "splits": dict.fromkeys(SPLITS, summary)})
        bins = [{"low": 0.9, "high": 1.0, "images": images, "confidence": 0.95, "accuracy": 0.9}]
        confusion = (np.eye(len(self.classes), dtype=int) * self.queries).tolist()
        accuracy = {"accuracy": 0.9, "accuracy_per_class": dict.fromkeys(self.classes, 0.9), "confusion": confusion}
        accuracy |= {"images": images, "calibration_error": 0.01, "calibration": bins}
        self.inputs["classifier"] = self.folder / "classifier.pt"
        write_text(self.inputs["classifier"], "synthetic")
        about = {"classifier": "synthetic", "outputs": "logits", "classes": self.classes}
        about["digest"] = file_sha256(self.inputs["classifier"])
        self.write("classifier_check", {**about, "splits": dict.fromkeys(SPLITS, accuracy)})
        self.inputs["classifier_fit"] = self.inputs["oracle_fit"] = []

    def make_training(self) -> None:
        """The history, the marker and the sample grids of the training."""
        checkpoints = {str(step): {"file": f"{'0' * 16}/{step:06d}_nets_ema.ckpt", "sha256": "0"} for step in STEPS}
        about = {"end": STEPS[-1], "inputs": {"index": file_sha256(self.inputs["indexes"][0])}, "sessions": [RECORD]}
        self.write("trained", {**about, "checkpoints": checkpoints})
        terms = [f"D/latent_{term}" for term in ("real", "fake", "reg")]
        terms += [f"G/latent_{term}" for term in ("adv", "sty", "cyc")]
        history = pd.DataFrame(np.random.default_rng(0).random((2000, len(terms))), columns=terms)
        history.insert(0, "step", np.arange(2000) * 10)
        self.inputs["history"], self.inputs["samples"] = self.folder / "history.csv", self.folder / "samples"
        history.assign(images_per_second=50.0, waiting_share=0.1).to_csv(self.inputs["history"], index=False)
        for step in STEPS:
            self.link(self.inputs["samples"] / f"{step:06d}.png", step)

    def make_conversions(self) -> None:
        """The scores of the checkpoints; tables, numbers and best images of the conversions of validation and test."""
        self.inputs["scores"] = str(self.folder / "scored_{step:06d}.parquet")
        for step in STEPS:
            about = {**CHECKPOINT, "step": step, "provenance": {**RECORD, "stage": "score_checkpoint"}}
            write_table(self.inputs["scores"].format(step=step), pd.DataFrame(), **about)
        self.inputs |= {name: [] for name in ("tables", "images", "cells", "averages")}
        scores = []
        for split, kind in product(SPLITS[1:], STYLE_KINDS):
            averages = self.make_conversion(split, kind)
            if split == "validation":
                scores += [{"step": step, "kind": kind, **averages} for step in STEPS]
        self.inputs["score_table"] = self.folder / "scores.csv"
        pd.DataFrame(scores).to_csv(self.inputs["score_table"], index=False)
        tables = [self.inputs["scores"].format(step=step) for step in STEPS]
        files = {"tables": files_sha256(tables), "score table": file_sha256(self.inputs["score_table"])}
        about = {"step": STEPS[0], "split": "validation", "rule": "a rule", "why": "a reason"}
        self.write("selected", {**about, "provenance": {**RECORD, "files": files}})

    def make_conversion(self, split: str, kind: str) -> dict[str, Any]:
        """The table, the numbers and the best images of a conversion; returns the averages."""
        index, path = self.indexes[split], self.folder / f"{split}_{kind}"
        frame = self.make_tries(index, kind)
        about: dict[str, Any] = {"classes": self.classes, "tries": self.tries, "max_per_class": None, "masked": None}
        about |= {"shard": [0, 1], "found": dict.fromkeys(self.classes, self.queries)}
        tries = Tries(frame, **CHECKPOINT, **about)
        real = frame[frame["source"] == frame["target"]].rename(columns={"source": "class"}).assign(split=split)
        numbers, averages = cells_of(tries, index, real, path)
        tries.write(f"{path}.parquet")
        record = {**RECORD, "files": {"table": file_sha256(f"{path}.parquet")}}
        write_table(f"{path}_cells.parquet", numbers, provenance=record)
        write_json(f"{path}_averages.json", {**averages, "provenance": record})
        names = {"tables": ".parquet", "cells": "_cells.parquet", "averages": "_averages.json", "images": ""}
        for name, ending in names.items():
            self.inputs[name].append(f"{path}{ending}")
        if split == "test":
            best = frame.loc[frame["best"] & (frame["source"] != frame["target"]), ["query", "source", "target"]]
            for number, names_of_image in enumerate(best.itertuples(index=False)):
                self.link(path / output_path(*names_of_image), number)
        return averages

    def make_tries(self, index: pd.DataFrame, kind: str) -> pd.DataFrame:
        rng, parts = np.random.default_rng(0), []
        for source, target in product(self.classes, self.classes):
            queries = index.loc[index["class"] == source, "path"].to_numpy()
            tries = 1 if source == target else self.tries
            part = pd.DataFrame({"query": np.repeat(queries, tries), "source": source, "target": target, "kind": kind})
            part["digest"] = part["query"]
            part["try"], part["style"] = np.tile(np.arange(tries), len(queries)), "a style"
            part["predicted"] = np.where(rng.random(len(part)) < 0.7, target, source)
            part = part.assign(**{name: rng.random(len(part)) for name in NUMBERS}, query_predicted=source)
            part["best"] = part["p_target"] == part.groupby("query")["p_target"].transform("max")
            parts.append(part)
        frame = pd.concat(parts, ignore_index=True)
        logits = rng.random((len(frame), len(self.classes)), np.float32)
        return pd.concat([frame, pd.DataFrame(logits, columns=[f"logit_{name}" for name in self.classes])], axis=1)

    def make_controls(self) -> None:
        """The controls of the test split, all of the same numbers."""
        pairs = [{"source": a, "target": b} for a, b in product(self.classes, self.classes) if a != b]
        average = {"queries": 5, "translation_rate": 0.7, "l1": 0.3, "l1_scaled": 0.8}
        names = (*STYLE_KINDS, "own_style", "unchanged", "nearest", "noise", "real")
        controls = [{"name": name, "average": average, "pairs": [pair | average for pair in pairs]} for name in names]
        noise = {"eps": LADDER[0], "reached": True, "wanted": 0.7, "steps": 20, "ladder": LADDER, "fault": ""}
        about = {**CHECKPOINT, "split": "test", "seed": 0, "max_queries": 5}
        tables = [path for path in self.inputs["tables"] if Path(path).name.startswith("test")]
        about["provenance"] = {**RECORD, "files": {"tables": files_sha256(tables)}}
        self.write("controls", {**about, "noise": noise, "controls": controls})
        self.inputs["explanations"] = []

    def make_grids(self) -> None:
        """Grids of styles of the test split, and their images."""
        self.inputs["style_images"] = self.folder / "style_images"
        test, grids = Store.open(self.folder / "test.store", self.folder / "test.parquet"), []
        queries = [{"query": test.paths[row], "source": test.classes[test.labels[row]]} for row in few_queries(test)]
        train = self.indexes["train"]
        for kind, target in product(STYLE_KINDS, self.classes):
            styles = train.loc[train["class"] == target, "path"].tolist()[:STYLES]
            numbers = [number for number, query in enumerate(queries) if query["source"] != target]
            judged = {"p_target": [0.7] * len(styles), "predicted": [target] * len(styles)}
            rows = [{"query": number, **judged} for number in numbers]
            grids.append({"kind": kind, "target": target, "styles": styles, "rows": rows})
            for number, style in product(numbers, range(len(styles))):
                self.link(self.inputs["style_images"] / grid_path(kind, target, number, style), number + style)
        typical = [row for kind in STYLE_KINDS for row in self.make_typical(kind)]
        about = {**CHECKPOINT, "split": "test", "references": "train"}
        self.write("styles", {"queries": queries, "grids": grids, "typical": typical, **about})

    def make_typical(self, kind: str) -> list[dict[str, Any]]:
        """Random tries of the test split, and their images."""
        frame = self.make_tries(self.indexes["test"], kind)
        frame = frame[(frame["source"] != frame["target"]) & (frame["try"] == 0)]
        frame = frame.groupby(["source", "target"]).head(TYPICAL)
        for number, names in enumerate(frame[["query", "source", "target"]].itertuples(index=False)):
            self.link(self.inputs["style_images"] / typical_path(kind) / output_path(*names), number)
        return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def load_seconds(page: Path) -> list[float]:
    """Seconds from the start of the navigation to the end of the load event, in headless Chromium, three times."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in ("headless", "no-sandbox", "disable-gpu"):
        options.add_argument(f"--{flag}")
    chrome = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    seconds = []
    for _ in range(3):
        chrome.get(page.as_uri())
        timing = "performance.getEntriesByType('navigation')[0]"
        seconds.append(chrome.execute_script(f"return {timing}.loadEventEnd") / 1000)
    chrome.quit()
    return seconds


def measure(folder: Path, classes: int = 20, queries: int = 200, tries: int = 10) -> Path:
    """Make results and render their report, and print the table; returns the page."""
    inputs, page = Results(folder / "run", classes, queries, tries).inputs, folder / "report.html"
    write_text(folder / "inputs.json", json.dumps(inputs, default=str))
    command = [str(Path(sys.executable).with_name("quac")), "report", "--inputs", str(folder / "inputs.json")]
    for option, name in {"html": "report.html", "numbers": "report.json", "cells": "report.csv"}.items():
        command += [f"--{option}", str(folder / name)]
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", PEAK_OF, *command], check=True, stdout=subprocess.PIPE)
    seconds, memory = time.perf_counter() - start, int(done.stdout) / 1024
    opening = spread(load_seconds(page)) if shutil.which("chromedriver") else "-"
    size = page.stat().st_size / 1e6
    head = ["classes", "queries of each", "rendering", "peak memory", "size", "opening"]
    table("Report", [head, [classes, queries, f"{seconds:.1f} s", f"{memory:.0f} MB", f"{size:.1f} MB", opening]])
    return page


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        page = measure(Path(folder))
        if len(sys.argv) > 1:
            shutil.copy(page, sys.argv[1])


if __name__ == "__main__":
    main()
