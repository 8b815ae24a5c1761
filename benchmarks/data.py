"""Times reading, checking and storing of images, and batches for training; prints Markdown tables: `make bench-data`.

The images are textured: 128 x 128 and 256 x 256 RGB PNG for batches and stores, 32 x 32 grey PNG for the large set. One
thread per process. What is compared is measured in turns, with one side twice as a control (A/A).
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from measure import interleaved, machine, spread, table
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from quac.config.resolve import resolve
from quac.data.batches import TrainingBatches
from quac.data.checks import check_splits
from quac.data.images import read_image, resize
from quac.data.index import index_split
from quac.data.near import near_pairs
from quac.data.store import Store, build_store
from quac.system.tables import read_table, write_table

ROOT = Path(__file__).parent.parent
CORES = os.cpu_count() or 1
SIZE, BATCH = 128, 8
Rows = list[tuple[str, str, str]]


def texture(seed: int, size: int, channels: int) -> np.ndarray:
    """An image with structure at every scale, uint8 (size, size, channels)."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size, channels))
    for cells in (4, 16, size):
        grid = rng.normal(size=(cells, cells, channels))
        total += np.kron(grid, np.ones((size // cells, size // cells, 1))) / cells**0.3
    return ((np.tanh(total / 2) + 1) * 127.5).astype(np.uint8)


def write_image(folder: Path, size: int, channels: int, number: int) -> None:
    path = folder / f"class{number % 4}" / f"{number:06d}.png"
    Image.fromarray(texture(number, size, channels).squeeze()).save(path)


def write_set(folder: Path, count: int, size: int, channels: int) -> dict[str, Any]:
    """Write images of four classes; returns a config whose splits all have them as their source."""
    for name in range(4):
        (folder / f"class{name}").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(write_image, folder, size, channels), range(count), chunksize=256))
    splits: dict[str, Any] = {name: {"source": str(folder)} for name in ("data", "validation_data", "test_data")}
    splits["data"] |= {"img_size": SIZE, "batch_size": BATCH}
    return {**splits, "solver": {"root_dir": "out"}}


def make_index(config: Any, path: Path) -> pd.DataFrame:
    index, facts = index_split(config, "train", CORES)
    write_table(path, index, split="train", **facts)
    return read_table(path)


def batches(folder: Path, rounds: int, count: int = 2000, steps: int = 400) -> Rows:
    """Batches as the networks take them: from the store, and from a DataLoader that decodes."""
    config = resolve(write_set(folder / "images", count, SIZE, 3))
    build_store(folder / "pixels.store", make_index(config, folder / "index.parquet"), config, "train", CORES)
    store = Store.open(folder / "pixels.store", folder / "index.parquet")
    ours = TrainingBatches(store, config.data, config.model.latent_dim, 0, torch.device("cpu"))
    steps_of_transform = [transforms.Resize((SIZE, SIZE)), transforms.ToTensor(), transforms.Normalize([0.5], [0.5])]
    images = datasets.ImageFolder(str(folder / "images"), transforms.Compose(steps_of_transform))
    loader = DataLoader(images, BATCH, shuffle=True)

    def from_store() -> None:
        for step in range(steps // 2):  # a step draws queries and references: two batches
            ours[step]

    def by_decoding() -> None:
        for _, _ in zip(range(steps), loader, strict=False):
            pass

    sides = {"store": from_store, "DataLoader": by_decoding, "store again (A/A)": from_store}
    seconds = interleaved(sides, rounds)
    drawn = {"store": steps, "DataLoader": min(steps, len(loader)), "store again (A/A)": steps}
    rate = {name: drawn[name] * BATCH / median(values) for name, values in seconds.items()}
    rows = [(name, f"{rate[name]:.0f} images/s", spread(values)) for name, values in seconds.items()]
    return [*rows, ("store / DataLoader", f"{rate['store'] / rate['DataLoader']:.1f}", "target: at least 5")]


def stores(folder: Path, rounds: int, count: int = 4000, sample: int = 300) -> Rows:
    """The stage store_images, and decoding and resizing alone, of a sample."""
    config = resolve(write_set(folder / "images", count, 256, 3))
    index = make_index(config, folder / "index.parquet")
    files = [folder / "images" / path for path in index["path"][:sample]]

    def alone() -> None:
        for file in files:
            resize(read_image(file, config.data)[0], SIZE, SIZE)

    def at_once() -> None:  # what the cores can do together: they may share parts
        processes = [multiprocessing.get_context("fork").Process(target=alone) for _ in range(CORES)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()

    def stage() -> None:
        build_store(folder / "pixels.store", index, config, "train", CORES)

    sides = {"alone": alone, "stage": stage, "alone again (A/A)": alone, "at once": at_once}
    images = (sample, count, sample, CORES * sample)
    rates = [
        number / median(values) for number, values in zip(images, interleaved(sides, rounds).values(), strict=True)
    ]
    single, whole, again, together = (f"{rate:.0f}" for rate in rates)
    share = f"{rates[1] / (CORES * rates[0]):.2f}"
    return [
        ("decode and resize, one process", f"{single} images/s", f"again: {again}"),
        (f"store_images, {CORES} processes", f"{whole} images/s", f"256 to {SIZE} px, RGB"),
        (f"decode and resize, {CORES} processes at once", f"{together} images/s", "nothing written"),
        ("store_images / (cores x one process)", share, "target: at least 0.9"),
    ]


def large(folder: Path, count: int) -> Rows:
    """Index, checks and start of the workflow, with many small images."""
    raw = write_set(folder / "images", count, 32, 1)
    config = resolve(raw)
    start = time.perf_counter()
    for path in (folder / "images").rglob("*.png"):
        path.read_bytes()
    reading = time.perf_counter() - start

    start = time.perf_counter()
    index = make_index(config, folder / "index.parquet")
    indexing = time.perf_counter() - start

    parts = {"train": index.iloc[::2], "validation": index.iloc[1::4], "test": index.iloc[3::4]}
    for split, part in parts.items():
        part.attrs = index.attrs | {"split": split}
    start = time.perf_counter()
    check_splits(parts, config)
    checking = time.perf_counter() - start
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    rows = [
        (f"read {count} files", f"{reading:.0f} s", "one process, warm"),
        (f"index_images of them, {CORES} processes", f"{indexing:.0f} s", "decoding included"),
        ("check_splits", f"{checking:.1f} s", ""),
        ("index and checks, beyond reading", f"{indexing + checking - reading:.0f} s", "target: at most 120"),
        ("peak memory of a process", f"{peak / 2**20:.2f} GiB", "target: below 2"),
    ]

    hashes = np.array([int(value, 16) for value in index["phash"]], np.uint64)
    for number in (count // 4, count // 2, count):
        start = time.perf_counter()
        first, _ = near_pairs(hashes[:number], config.checks.near_duplicate_distance)
        rows.append((f"near duplicates among {number}", f"{time.perf_counter() - start:.2f} s", f"{len(first)} pairs"))

    (folder / "config.yaml").write_text(yaml.safe_dump(raw))
    command = [str(Path(sys.executable).with_name("snakemake")), "-n", "-s", str(ROOT / "Snakefile"), "-d", str(folder)]
    for what, note in (("first time", "reads every file once"), ("later", "target: at most 10")):
        start = time.perf_counter()
        subprocess.run([*command, "--configfile", folder / "config.yaml"], check=True, capture_output=True)
        rows.append((f"`snakemake -n`, {what}", f"{time.perf_counter() - start:.1f} s", note))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000, help="Size of the large set.")
    parser.add_argument("--rounds", type=int, default=7, help="Turns of what is compared.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(machine() + "\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        head = ("", "", "")
        table(f"Batches of {BATCH} at {SIZE} px, one process", [head, *batches(folder / "batches", options.rounds)])
        table("Storing", [head, *stores(folder / "stores", options.rounds)])
        table("Many images", [head, *large(folder / "large", options.images)])


if __name__ == "__main__":
    main()
