"""Times the explorer, on synthetic explanations; prints a Markdown table: `make bench-explorer`.

Images with structure at every scale, 40 of them under many names, and masks of a few smooth spots. The page is opened
in headless Chromium.
"""

import shutil
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from data import texture
from measure import spread, table
from PIL import Image
from scipy.ndimage import gaussian_filter

from quac.config.resolve import resolve
from quac.data.index import index_split
from quac.data.result_names import output_path
from quac.data.store import build_store
from quac.report.explorer import write_explorer
from quac.system.tables import read_table, write_table
from quac.system.threads import default_threads

METHODS = ["d_ig", "d_ingrad", "residual", "random"]
PICTURES = 40


class Explanations:
    """Synthetic explanations of a style kind.

    Attributes:
        path: their table.
    """

    def __init__(self, folder: Path, classes: int, queries: int, size: int, channels: int = 3):
        """`queries`: converted ones of each pair of classes."""
        self.names = [f"class {number:02d}" for number in range(classes)]
        self.folder, self.path = folder, folder / "latent.parquet"
        rng = np.random.default_rng(0)
        self.make_queries(queries, size, channels)
        numbers = range(PICTURES)
        pictures = [folder / f"{number}.png" for number in numbers]
        masks = [folder / f"{number}.npy" for number in numbers]
        for number in numbers:
            Image.fromarray(texture(PICTURES + number, size, channels).squeeze()).save(pictures[number])
            spots = gaussian_filter(rng.normal(size=(channels, size, size)), (0, size / 10, size / 10))
            inside = (spots > np.quantile(spots, 0.93)).astype(np.float32)
            np.save(masks[number], (255 * gaussian_filter(inside, (0, size / 64, size / 64))).astype(np.uint8))
        rows = []
        for source, target in product(self.names, self.names):
            for number in range(queries if source != target else 0):
                query = f"{source}/{number:04d}.png"
                file = output_path(query, source, target)
                picture = int(rng.integers(PICTURES))
                self.link(folder / "generated" / file, pictures[picture])
                about = {"query": query, "digest": query, "source": source, "target": target, "kind": "latent"}
                about |= {"try": 0, "style": "a style", "right": rng.random() < 0.9, "file": file.removesuffix(".png")}
                about |= self.verdicts("query", source, rng) | self.verdicts("generated", target, rng)
                about |= {"cout": rng.random(), "aupc_target": rng.random(), "aupc_source": rng.random()}
                for method in METHODS:
                    self.link(
                        folder / f"masks/{method}/{file.removesuffix('.png')}.npy",
                        masks[(picture + len(rows)) % PICTURES],
                    )
                    scores = {"mask_size": rng.random(), "threshold": rng.random(), "quac_score": rng.random()}
                    curve = np.sort(rng.random(101)).astype(np.float32)
                    judged = self.verdicts("counterfactual", target, rng)
                    rows.append(
                        {**about, "method": method, **judged, **scores, "curve": curve, "best": method == "d_ig"}
                    )
        self.count = len(rows)
        paths = {"generated": "generated", "masks": "masks", "store": "test.store", "index": "test.parquet"}
        write_table(self.path, pd.DataFrame(rows), methods=METHODS, classes=self.names, max_per_pair=None, paths=paths)

    def link(self, path: Path, to: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.hardlink_to(to)

    def verdicts(self, what: str, name: str, rng: np.random.Generator) -> dict[str, Any]:
        """What the classifier and an oracle say: mostly the same."""
        columns: dict[str, Any] = {}
        for judge in ("", "_by_oracle"):
            columns[f"{what}_predicted{judge}"] = name if rng.random() < 0.9 else self.names[0]
            columns[f"{what}_p_target{judge}"] = rng.random()
        return columns

    def make_queries(self, queries: int, size: int, channels: int) -> None:
        """The index and the store of the queries."""
        pictures = [self.folder / f"query {number}.png" for number in range(PICTURES)]
        for number, path in enumerate(pictures):
            Image.fromarray(texture(number, size, channels).squeeze()).save(path)
        for label, name in enumerate(self.names):
            for number in range(queries):
                self.link(self.folder / f"images/{name}/{number:04d}.png", pictures[(label + number) % PICTURES])
        source = {"source": str(self.folder / "images")}
        config = resolve(
            {
                "data": {**source, "img_size": size, "grayscale": channels == 1},
                **{"validation_data": source, "test_data": source, "solver": {"root_dir": str(self.folder)}},
            }
        )
        index, facts = index_split(config, "test")
        write_table(self.folder / "test.parquet", index, split="test", **facts)
        build_store(self.folder / "test.store", read_table(self.folder / "test.parquet"), config, "test")


# Sets a filter; returns the milliseconds until the cards are laid out, and until their pictures are painted.
FILTER = """
const [name, value, done] = arguments, field = document.querySelector(`[name=${name}]`);
const start = performance.now();
field.value = value;
field.dispatchEvent(new Event("input", { bubbles: true }));
document.body.offsetHeight;
const cards = performance.now() - start;
const wait = () => {
  const canvases = [...document.querySelectorAll(".explanation canvas")];
  if (canvases.every((canvas) => canvas.dataset.painted)) done([cards, performance.now() - start]);
  else setTimeout(wait);
};
wait();
"""
FILTERS = (("method", ""), ("source", "class 01"), ("source", ""), ("score-min", "0.5"), ("score-min", ""))
FILTERS += (("sort", "mask_size+"), ("query", "wrong"), ("query", ""))


def opened(page: Path) -> tuple[int, list[float], list[float], list[float]]:
    """How many explanations the page has; and seconds in headless Chromium, three times: from the navigation until the
    first pictures are painted; of each of FILTERS until the cards are there, and until their pictures are painted."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in ("headless", "no-sandbox", "disable-gpu"):
        options.add_argument(f"--{flag}")
    chrome = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    opening, cards, painted = [], [], []
    for _ in range(3):
        start = time.perf_counter()
        chrome.get(page.as_uri())
        chrome.execute_async_script(FILTER, "sort", "quac_score-")
        opening.append(time.perf_counter() - start)
        for name, value in FILTERS:
            times = chrome.execute_async_script(FILTER, name, value)
            cards.append(times[0] / 1000)
            painted.append(times[1] / 1000)
    shown = chrome.execute_script("return table.count")
    chrome.quit()
    return shown, opening, cards, painted


def measure(folder: Path, classes: int, queries: int, size: int, channels: int = 3) -> list[object]:
    """A row of the table."""
    folder.mkdir()
    made, page = Explanations(folder, classes, queries, size, channels), folder / "run-explorer.html"
    start = time.perf_counter()
    write_explorer([made.path], "test", "run.html", page, 30, default_threads())
    seconds, megabytes = time.perf_counter() - start, page.stat().st_size / 1e6
    shown, opening, cards, painted = opened(page)
    share = f"{1000 * megabytes / shown:.2f} kB"
    times = [spread(opening), spread(cards, "ms"), spread(painted, "ms")]
    return [f"{made.count} of {size} px", shown, f"{seconds:.1f} s", f"{megabytes:.1f} MB", share, *times]


def main() -> None:
    head = ["explanations", "in the page", "rendering", "size", "of each", "opening", "a filter: cards", "pictures"]
    rows: list[list[object]] = [head]
    with tempfile.TemporaryDirectory() as folder:
        rows.append(measure(Path(folder, "small"), classes=5, queries=50, size=64))
        rows.append(measure(Path(folder, "large"), classes=10, queries=100, size=64))
        table("Explorer", rows)
        if len(sys.argv) > 1:
            shutil.copy(Path(folder, "small/run-explorer.html"), sys.argv[1])


if __name__ == "__main__":
    main()
