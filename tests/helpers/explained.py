"""Explanations made by code, without a run: the table, the folders, and the store that they name."""

from itertools import permutations

import numpy as np
import pandas as pd
from helpers.builders import make_index, storing
from PIL import Image

from quac.data.store import build_store
from quac.system.tables import write_table

METHODS = ["d_ig", "random"]
QUERY, GENERATED = 60, 200  # the pixels of every query, and of every generated image


def mask_of(channels, height, width):
    """The left half in the first channel, the right half in the second, nothing in the third."""
    mask = np.zeros((channels, height, width), np.uint8)
    mask[0, :, : width // 2] = 255
    mask[1:2, :, width // 2 :] = 255
    return mask


def write_explained(folder, classes, conversions=2, kind="latent", channels=1, size=(32, 32), groups=False):
    """Write `<folder>/<kind>.parquet`, and what it names; returns the path.

    Scores fall from 1 to 0 in equal steps in the order of pairs, conversions and methods. The last conversion of a pair
    is of a query that the classifier gets wrong; the oracle contradicts the counterfactuals of the control.

    Args:
        conversions: of each pair, of queries with hostile names.
    """
    width, height = size
    folder.mkdir(parents=True, exist_ok=True)
    names = [f'images/=1+{number} "q" <b>&\'.png' for number in range(conversions)]
    for name in names:
        _write(folder / "queries" / name, QUERY, size, channels)
    index = make_index(folder / "index.parquet", folder / "queries")
    about = {name: value for name, value in index.attrs.items() if name != "split"}
    index["group"] = [f"=group {number % 2}" if groups else "" for number in range(len(index))]
    write_table(folder / "index.parquet", index, split="train", **about)
    build_store(folder / "pixels.store", index, storing(max(size), channels, preprocess="none"), "train")
    rows = []
    for pair, (source, target) in enumerate(permutations(classes, 2)):
        for number, query in enumerate(names):
            file = f"{pair}/{number}"
            for place in ("generated", *(f"counterfactuals/{method}" for method in METHODS)):
                _write(folder / kind / place / f"{file}.png", GENERATED, size, channels)
            about = {"query": query, "digest": f"{number:064x}", "source": source, "target": target, "kind": kind}
            about |= {"try": number, "style": "s", "file": file, "right": number < conversions - 1}
            for method in METHODS:
                mask = folder / kind / "masks" / method / f"{file}.npy"
                mask.parent.mkdir(parents=True, exist_ok=True)
                np.save(mask, mask_of(channels, height, width))
                rows.append({**about, "method": method, **_numbers(about, number, method)})
    table = pd.DataFrame(rows)
    table["quac_score"] = np.linspace(1, 0, len(table))
    paths = {name: f"{kind}/{name}" for name in ("generated", "masks", "counterfactuals")}
    paths |= {"store": "pixels.store", "index": "index.parquet"}
    attributes = {"methods": METHODS, "classes": classes, "max_per_pair": None, "paths": paths}
    attributes |= {"mistakes": {"queries": conversions, "corrected": 1}, "noise": None}
    write_table(folder / f"{kind}.parquet", table, **attributes)
    return folder / f"{kind}.parquet"


def _numbers(about, number, method):
    """The columns of an explanation that are judged or measured."""
    source, target, right = about["source"], about["target"], about["right"]
    verdicts = {  # class, and probability of the target; by the classifier, and by the oracle
        "query": [(source, 0.1 if right else 0.6), (source, 0.125)],
        "generated": [(target, 0.875), (target, 0.75)],
        "counterfactual": [(target, round(0.9 - 0.01 * number, 2)), (source if method == "random" else target, 0.5)],
    }
    columns = {"class": source if right else target, "curve": np.linspace(0, 0.75, 101).astype(np.float32)}
    for name, judged in verdicts.items():
        for judge, (predicted, p) in zip(("", "_by_oracle"), judged, strict=True):
            columns |= {f"{name}_predicted{judge}": predicted, f"{name}_p_target{judge}": p}
    columns |= {"mask_size": round(0.25 + 0.01 * number, 2), "threshold": 0.5, "best": method == METHODS[0]}
    return columns | {"cout": 0.1, "aupc_target": 0.8, "aupc_source": 0.7}


def _write(path, level, size, channels):
    """An image of one colour; `size`: width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if channels == 1 else "RGB", size, level if channels == 1 else (level,) * 3).save(path)
