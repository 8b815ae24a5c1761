"""Times the report of a large run, of made-up results: `make bench-report`.

20 classes x 200 queries x 10 tries x 2 kinds. The images are 128 x 128 grey with structure at every scale, 40 of them
under many names. Where chromedriver is there, the report is opened too.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import yaml
from data import texture
from PIL import Image

from quac.config.data import Data
from quac.config.resolve import resolve
from quac.conversion.image_folder import grid_path, output_path
from quac.data.index import build_index
from quac.data.sources import list_source
from quac.data.store import Store, build_store
from quac.evaluation.distances import add_distances
from quac.evaluation.scores import average, score
from quac.evaluation.style_grids import STYLES, few_queries
from quac.system.files import digest_of, write_json, write_text
from quac.system.tables import read_table, write_table

CLASSES, QUERIES, TRIES, SIZE, PICTURES = [f"class {n:02d}" for n in range(20)], 200, 10, 128, 40
KINDS, STEPS = ("latent", "reference"), range(1000, 21000, 1000)
RECORD = {
    **{
        "stage": "convert",
        "keys": [digest_of({})],
        "commit": "0" * 40,
        "versions": {},
        "machine": "none",
        "device": "cpu",
    },
    **{"started": "2026-01-01T00:00:00+00:00", "seconds": 1.0, "peak_memory_mb": 1.0},
}


def make_results(folder):
    """Results of a run, all but the report; returns the inputs of the rule `report`."""
    folder.mkdir()
    pictures = []
    for number in range(PICTURES):
        pictures.append(folder / f"{number}.png")
        Image.fromarray(texture(number, SIZE, 1).squeeze()).save(pictures[-1])
    config = {
        "data": {"source": str(folder / "train"), "img_size": SIZE, "grayscale": True},
        "validation_data": {"source": str(folder / "validation")},
        "test_data": {"source": str(folder / "test")},
        "solver": {"root_dir": str(folder)},
        "run": {"total_iters": STEPS[-1]},
    }
    write_text(folder / "config.yaml", yaml.safe_dump(resolve(config).model_dump()))
    inputs = {"config": folder / "config.yaml", "key_files": [folder / "key.json"], "classifier_fit": []}
    write_json(folder / "key.json", {})
    indexes = {split: make_split(folder, split, pictures) for split in ("train", "validation", "test")}
    inputs |= {"indexes": [folder / f"{split}.parquet" for split in indexes]}
    inputs |= {"stores": [folder / f"{split}.store" for split in indexes]}
    checks = {"images": dict.fromkeys(CLASSES, QUERIES), "sizes": {"128x128": 4000}, "modes": {"L": 4000}}
    checks |= {"source": "made up", "digest": "0" * 64}
    inputs["checks"] = write(folder / "checks.json", {"findings": [], "splits": dict.fromkeys(indexes, checks)})
    judged = {"images": 4000, "accuracy": 0.9, "accuracy_per_class": dict.fromkeys(CLASSES, 0.9)}
    judged |= {"confusion": (np.eye(len(CLASSES), dtype=int) * QUERIES).tolist(), "calibration_error": 0.01}
    judged["calibration"] = [{"low": 0.9, "high": 1.0, "images": 4000, "confidence": 0.95, "accuracy": 0.9}]
    check = {"classifier": "made up", "digest": "0" * 64, "outputs": "logits", "channels": 1, "judges": {}}
    check |= {"splits": dict.fromkeys(indexes, judged), "classes": CLASSES}
    inputs["classifier_check"] = write(folder / "check.json", check)
    checkpoints = {str(step): {"file": str(folder / "none.ckpt"), "sha256": "0"} for step in STEPS}
    marker = {"end": STEPS[-1], "checkpoints": checkpoints, "sessions": [RECORD]}
    inputs["markers"] = [write(folder / "marker.json", marker)]
    rng = np.random.default_rng(0)
    names = [f"{part}_{term}" for part, terms in {"D/latent": "real fake reg", "G/latent": "adv sty cyc"}.items()
             for term in terms.split()]  # fmt: skip
    history = pd.DataFrame(rng.random((2000, len(names))), columns=names)
    history.insert(0, "step", np.arange(2000) * 10)
    history = history.assign(images_per_second=50.0, waiting_share=0.1)
    inputs["history"] = folder / "history.csv"
    history.to_csv(inputs["history"], index=False)
    inputs |= {name: [] for name in ("scores", "tables", "images", "cells", "averages")}
    rows = []
    for split, kind in product(("validation", "test"), KINDS):
        table, cells, averages = make_tries(indexes[split], kind)
        path = folder / f"{split}_{kind}"
        write_table(
            f"{path}.parquet",
            table,
            classes=CLASSES,
            step=STEPS[0],
            checkpoint_digest="0",
            provenance=RECORD,
            tries=TRIES,
        )
        write_text(f"{path}_cells.csv", cells.to_csv(index=False))
        write_json(f"{path}_averages.json", averages)
        inputs["tables"].append(f"{path}.parquet")
        inputs["cells"].append(f"{path}_cells.csv")
        inputs["averages"].append(f"{path}_averages.json")
        inputs["images"].append(path)
        if split == "test":
            for number, (query, source, target) in enumerate(
                table.loc[table["best"], ["query", "source", "target"]].itertuples(index=False)
            ):
                image = path / output_path(query, source, target)
                image.parent.mkdir(parents=True, exist_ok=True)
                image.symlink_to(pictures[number % PICTURES])
        rows += [{"step": step, "kind": kind, **averages} for step in STEPS] if split == "validation" else []
    inputs["score_table"] = folder / "scores.csv"
    pd.DataFrame(rows).to_csv(inputs["score_table"], index=False)
    selected = {"step": STEPS[0], "split": "validation", "rule": "a rule", "why": "a reason"}
    inputs["selected"] = write(folder / "selected.json", selected)
    inputs["style_images"] = folder / "styles"
    inputs["styles"] = write(folder / "styles.json", make_grids(folder, indexes["train"], pictures))
    return inputs


def write(path, value):
    write_json(path, {**value, "provenance": RECORD})
    return path


def make_split(folder, split, pictures):
    for number, name in enumerate(CLASSES):
        (folder / split / name).mkdir(parents=True)
        for query in range(QUERIES):
            (folder / split / name / f"{query:04d}.png").symlink_to(pictures[(number + query) % PICTURES])
    index, facts = build_index(list_source(str(folder / split), split), Data())
    write_table(folder / f"{split}.parquet", index, split=split, **facts, provenance=RECORD)
    index = read_table(folder / f"{split}.parquet")
    settings = SimpleNamespace(preprocess="resize", load_size=None, img_size=SIZE, channels=1, reading=Data())
    build_store(folder / f"{split}.store", index, settings)
    return index


def make_grids(folder, references, pictures):
    """Grids of styles, and their images."""
    test, grids = Store.open(folder / "test.store", folder / "test.parquet"), []
    queries = [{"query": test.paths[row], "source": CLASSES[test.labels[row]]} for row in few_queries(test)]
    for number, (kind, target) in enumerate(product(KINDS, CLASSES)):
        rows = [
            {"query": n, "p_target": [0.7] * STYLES, "predicted": [target] * STYLES}
            for n, query in enumerate(queries)
            if query["source"] != target
        ]
        names = references.loc[references["class"] == target, "path"].tolist()[:STYLES]
        grids.append({"kind": kind, "target": target, "styles": names, "rows": rows})
        for row, style in product(rows, range(STYLES)):
            image = folder / "styles" / grid_path(kind, target, row["query"], style)
            image.parent.mkdir(parents=True, exist_ok=True)
            image.symlink_to(pictures[(number + row["query"] + style) % PICTURES])
    made_of = {"split": "test", "references": "train", "step": STEPS[0], "checkpoint_digest": "0"}
    return {"queries": queries, "grids": grids, **made_of}


def make_tries(index, kind):
    """A table of tries, its cells and averages."""
    rng = np.random.default_rng(0)
    parts = []
    for source, target in product(CLASSES, CLASSES):
        own = index[index["class"] == source]
        tries = 1 if source == target else TRIES
        n = len(own) * tries
        part = pd.DataFrame({"query": np.repeat(own["path"].to_numpy(), tries), "source": source, "target": target})
        part = part.assign(**{"kind": kind, "try": np.tile(np.arange(tries), len(own)), "style": "a style"})
        hit = rng.random(n) < 0.7
        part["predicted"] = np.where(hit, target, source)
        numbers = ("p_source", "p_target", "l1", "ssim", "cycle", "diversity", "query_p_source", "query_p_target")
        part = part.assign(**{name: rng.random(n) for name in numbers}, query_predicted=source)
        part["best"] = part["p_target"] == part.groupby("query")["p_target"].transform("max")
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    logits = pd.DataFrame(rng.random((len(table), len(CLASSES)), np.float32), columns=[f"logit_{c}" for c in CLASSES])
    cells, averages = score(table, CLASSES)
    table = pd.concat([table, logits], axis=1)
    real = table[table["source"] == table["target"]].rename(columns={"source": "class"})
    cells = add_distances(cells, table, real, CLASSES)
    averages |= average(cells.loc[cells["source"] != cells["target"], ["frechet", "kernel"]])
    cells.insert(2, "expected", QUERIES)
    cells.insert(3, "found", QUERIES)
    return table, cells, averages


def load_seconds(page):
    """From the start of the navigation to the end of the load event, in headless Chromium, of three."""
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


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with ProcessPoolExecutor(1) as other:  # a process passes on its own peak memory to those that it starts
            inputs = other.submit(make_results, folder / "run").result()
        words = [Path(sys.executable).with_name("quac"), "report", "--inputs", json.dumps(inputs, default=str)]
        words += ["--html", folder / "r.html", "--numbers", folder / "r.json", "--cells", folder / "r.csv"]
        started = time.perf_counter()
        process = subprocess.Popen(words)
        _, status, usage = os.wait4(process.pid, 0)
        seconds, memory = time.perf_counter() - started, usage.ru_maxrss / 1024
        if status:
            sys.exit("the report failed")
        print("| classes | queries of each | rendering, s | peak memory, MB | size, MB | opening, s |")
        print("|---|---|---|---|---|---|")
        opening = "-"
        if shutil.which("chromedriver"):
            opening = ", ".join(f"{value:.2f}" for value in load_seconds(folder / "r.html"))
        size = (folder / "r.html").stat().st_size / 1e6
        print(f"| {len(CLASSES)} | {QUERIES} | {seconds:.1f} | {memory:.0f} | {size:.1f} | {opening} |")
        if len(sys.argv) > 1:
            shutil.copy(folder / "r.html", sys.argv[1])


if __name__ == "__main__":
    main()
