"""Times reading, checking and storing of images, and batches for training; prints Markdown tables: `make bench-data`.

Images are made here: textured, 128 x 128 RGB PNG for batches and stores, 32 x 32 grey PNG for the large set. Everything
runs with OMP_NUM_THREADS=1. What is compared is measured in turns, with one side twice as a control (A/A).
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from measure import interleaved, machine, table
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from quac.config.data import Checks, Data
from quac.data.batches import TrainingBatches
from quac.data.checks import check_splits
from quac.data.images import read_image, resize
from quac.data.index import build_index
from quac.data.near import near_pairs
from quac.data.sources import list_source
from quac.data.store import Store, build_store
from quac.system.tables import read_table, write_table

ROOT = Path(__file__).parent.parent
READING = Data()
SIZE, BATCH = 128, 8
SQUARES = SimpleNamespace(preprocess="resize", load_size=None, img_size=SIZE)


def texture(seed, size, channels):
    """An image with structure at every scale, as bytes (size, size, channels)."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size, channels))
    for cells in (4, 16, size):
        grid = rng.normal(size=(cells, cells, channels))
        total += np.kron(grid, np.ones((size // cells, size // cells, 1))) / cells**0.3
    return ((np.tanh(total / 2) + 1) * 127.5).astype(np.uint8)


def write_image(folder, size, channels, number):
    path = folder / f"class{number % 4}" / f"{number:06d}.png"
    Image.fromarray(texture(number, size, channels).squeeze()).save(path)


def write_set(folder, count, size, channels):
    for name in range(4):
        (folder / f"class{name}").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        list(pool.map(partial(write_image, folder, size, channels), range(count), chunksize=256))


def indexed(folder, workers=1):
    index, facts = build_index(list_source(str(folder), "train"), READING, workers)
    write_table(f"{folder}.parquet", index, split="train", **facts)
    return read_table(f"{folder}.parquet")


def batches(folder, rounds, steps=400):
    """Batches of 8 at 128 px, float, in the networks' range: out of the store, and by a DataLoader that decodes."""
    write_set(folder / "batches", 2000, SIZE, 3)
    index = indexed(folder / "batches", os.cpu_count())
    settings = SimpleNamespace(**vars(SQUARES), channels=3, reading=READING)
    build_store(folder / "batches.store", index, settings, os.cpu_count())
    store = Store.open(folder / "batches.store", folder / "batches.parquet")
    data = Data(batch_size=BATCH)
    ours = TrainingBatches(store, data, 16, 0, torch.device("cpu"))
    change = transforms.Compose(
        [transforms.Resize((SIZE, SIZE)), transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)]
    )
    images = datasets.ImageFolder(folder / "batches", change)
    loader = DataLoader(images, BATCH, shuffle=True)

    def from_store():  # a step draws queries and references: two batches
        for step in range(steps // 2):
            ours[step]

    def by_decoding():
        for _, _ in zip(range(steps), loader, strict=False):
            pass

    seconds = interleaved({"store": from_store, "DataLoader": by_decoding, "store again (A/A)": from_store}, rounds)
    rate = {name: steps * BATCH / statistics.median(values) for name, values in seconds.items()}
    spread = {name: f"{min(values):.3f} to {max(values):.3f} s" for name, values in seconds.items()}
    rows = [(name, f"{value:.0f} images/s", spread[name]) for name, value in rate.items()]
    return [*rows, ("store / DataLoader", f"{rate['store'] / rate['DataLoader']:.1f}", "at least 5 is wanted")]


def stores(folder, rounds):
    """The store stage against decoding and resizing alone, on one core."""
    count, cores = 4000, os.cpu_count()
    write_set(folder / "stores", count, 256, 3)
    index = indexed(folder / "stores", cores)
    files = [folder / "stores" / path for path in index["path"]]
    settings = SimpleNamespace(**vars(SQUARES), channels=3, reading=READING)

    def alone():
        for file in files[:300]:
            resize(read_image(file, READING)[0], SIZE, SIZE)

    def at_once():  # what the cores give together, without the stage: they may share their parts
        processes = [multiprocessing.get_context("fork").Process(target=alone) for _ in range(cores)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()

    def stage():
        build_store(folder / "stores.store", index, settings, cores)

    sides = {"alone": alone, "stage": stage, "alone again (A/A)": alone, "at once": at_once}
    single, whole, again, together = (statistics.median(values) for values in interleaved(sides, rounds).values())
    return [
        ("decode and resize, one process", f"{300 / single:.0f} images/s", f"again {300 / again:.0f}"),
        (f"store_images, {cores} processes", f"{count / whole:.0f} images/s", "256 to 128 px, RGB"),
        (f"decode and resize, {cores} processes at once", f"{cores * 300 / together:.0f} images/s", "nothing written"),
        (
            "store_images / (cores x one process)",
            f"{count / whole / (cores * 300 / single):.2f}",
            "at least 0.9 is wanted",
        ),
    ]


def large(folder, count):
    """Index, checks and start of the workflow, with many small images."""
    write_set(folder / "large", count, 32, 1)
    rows, cores = [], os.cpu_count()

    start = time.perf_counter()
    for path in (folder / "large").rglob("*.png"):
        path.read_bytes()
    reading = time.perf_counter() - start
    rows.append((f"reading {count} files", f"{reading:.0f} s", "one process, warm"))

    start = time.perf_counter()
    index = indexed(folder / "large", cores)
    indexing = time.perf_counter() - start
    rows.append((f"index_images, {cores} processes", f"{indexing:.0f} s", "decoding included"))

    parts = {"train": index.iloc[::2], "validation": index.iloc[1::4], "test": index.iloc[3::4]}
    for split, part in parts.items():
        part.attrs = index.attrs | {"split": split}
    sizes = SimpleNamespace(train=SQUARES, validation=SQUARES, test=SQUARES)
    options = {"num_domains": None, "sampling": None, "severity": {}, "sizes": sizes}
    settings = SimpleNamespace(**options, near_duplicate_distance=Checks().near_duplicate_distance)
    start = time.perf_counter()
    check_splits(parts, settings)
    checking = time.perf_counter() - start
    rows.append(("check_splits", f"{checking:.1f} s", ""))
    rows.append(("index and checks beyond reading", f"{indexing + checking - reading:.0f} s", "at most 120 is wanted"))
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    rows.append(("peak memory of a process", f"{peak / 2**20:.2f} GiB", "below 2 is wanted"))

    hashes = np.array([int(value, 16) for value in index["phash"]], np.uint64)
    for part in (count // 4, count // 2, count):
        start = time.perf_counter()
        first, _ = near_pairs(hashes[:part], Checks().near_duplicate_distance)
        rows.append((f"near duplicates among {part}", f"{time.perf_counter() - start:.2f} s", f"{len(first)} pairs"))

    (folder / "config.yaml").write_text(
        "data: {source: large}\nvalidation_data: {source: large}\nsolver: {root_dir: out}\nmodel: {conv_dim: 4}\n"
    )
    command = [Path(sys.executable).with_name("snakemake"), "-n", "-s", ROOT / "Snakefile", "-d", folder]
    for what in ("first", "later"):
        start = time.perf_counter()
        subprocess.run([*command, "--configfile", folder / "config.yaml"], check=True, capture_output=True)
        wanted = "reads every file once" if what == "first" else "at most 10 is wanted"
        rows.append((f"`snakemake -n`, {what} time", f"{time.perf_counter() - start:.1f} s", wanted))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000, help="size of the large set")
    parser.add_argument("--rounds", type=int, default=7, help="turns of what is compared")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables = {
            f"Batches of {BATCH} at {SIZE} px, one process": batches(folder, options.rounds),
            "Storing": stores(folder, options.rounds),
            "Many images": large(folder, options.images),
        }
    print(machine() + "\n")
    for title, rows in tables.items():
        table(title, [["", "", ""], *rows])


if __name__ == "__main__":
    main()
