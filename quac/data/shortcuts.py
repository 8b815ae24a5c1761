"""Findings: a trivial fact about the images that alone tells the classes apart.

Each fact gets a one-feature rule (1R; Holte, Machine Learning 11, 1993): its values are cut into intervals, and each
interval, or each category, stands for the class that is most frequent in it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from quac.config import Config
from quac.data.findings import DataSet, Finding, finding

FOLDS = 5
MAX_SKILL = 0.9  # (accuracy - chance) / (1 - chance); a warning if the lower limit of the interval is above
MIN_CATEGORIES = 5  # of a class; with fewer of them, what they have in common is not told from the class
Z = 1.96


@dataclass(frozen=True)
class Fact:
    """`values`: of the rows of an index; None if they have none. Categories are text, "" where one is missing."""

    values: Callable[[pd.DataFrame], pd.Series | None]
    remedy: str
    categorical: bool = False


def _plate(rows: pd.DataFrame) -> pd.Series | None:
    return next((rows[name].fillna("") for name in rows if str(name).lower() == "manifest.plate"), None)


_SIZES = "crop the images of all classes to the same sizes; scaling them leaves traces of the size"
FACTS = {
    "mean intensity": Fact(
        lambda rows: rows["mean"],
        "if the brightness does not belong to the classes, take all images in one way, or normalise their intensities",
    ),
    "width": Fact(lambda rows: rows["width"], _SIZES),
    "height": Fact(lambda rows: rows["height"], _SIZES),
    "bit depth": Fact(lambda rows: rows["bits"], "save all images with the same number of bits, on one scale"),
    "bytes a pixel": Fact(
        lambda rows: rows["bytes"] / (rows["width"] * rows["height"]),
        "save the images of all classes in one format, with one quality, from originals that were never compressed; "
        "if the amount of detail belongs to the classes, ignore this",
    ),
    "group": Fact(
        lambda rows: rows["group"],
        "use groups with images of several classes, or at least five groups of each class",
        categorical=True,
    ),
    "plate": Fact(_plate, "use plates with images of several classes", categorical=True),
}


def one_fact_rules(index: pd.DataFrame) -> list[dict[str, Any]]:
    """How well each fact alone tells the classes apart.

    Args:
        index: of the training split, see `quac.data.index.build_index`; files that cannot be used do not count.

    Returns:
        For each fact that the images have, a dict: `fact`, its name; `accuracy`, of a rule on held-out images,
        the unweighted mean over classes; `accuracy_low` and `accuracy_high`, its 95 % interval if the held-out images
        were independent (those of five folds share a rule: near chance it covers about 90 %); `chance`; `images`, how
        many have the fact. Groups are kept apart, except by the rule on the group itself, and n of the interval is
        their number. The accuracy is None where a class has fewer than two images, or groups. No dicts if there are
        fewer than two classes.
    """
    rows = index[index["error"] == ""]
    labels, classes = pd.factorize(rows["class"], sort=True)
    if len(classes) < 2:
        return []
    images = np.arange(len(rows))
    groups = np.where(rows["group"] == "", len(rows) + images, pd.factorize(rows["group"])[0])
    rules = []
    for name, fact in FACTS.items():
        column = fact.values(rows)
        if column is None or column.eq("").all():
            continue
        if fact.categorical:
            column = pd.Series(pd.factorize(column)[0]).where(column.to_numpy() != "")
        values = column.to_numpy(float)
        known = ~np.isnan(values)
        units = images if name == "group" else groups
        measured = _accuracy(values[known], labels[known], units[known], len(classes), fact.categorical)
        accuracies = dict(zip(("accuracy", "accuracy_low", "accuracy_high"), measured, strict=True))
        rules.append({"fact": name, **accuracies, "chance": 1 / len(classes), "images": int(known.sum())})
    return rules


def shortcut(data: DataSet, _: Config) -> Iterator[Finding]:
    index = data.indexes["train"]
    for rule in one_fact_rules(index):
        name, low, chance = rule["fact"], rule["accuracy_low"], rule["chance"]
        if low is None or (low - chance) / (1 - chance) <= MAX_SKILL or _only_nested(data, FACTS[name]):
            continue
        yield finding(
            f"{index.attrs['source']}: the {name} alone tells the classes apart, with an accuracy of "
            f"{rule['accuracy']:.2f} [{low:.2f}, {rule['accuracy_high']:.2f}] where chance is {chance:.2f}: "
            "it may be the reason, or a shortcut",
            FACTS[name].remedy,
        )


def _only_nested(data: DataSet, fact: Fact) -> bool:
    """Whether categories tell the classes as those of patients do: many in each class, and each in one split.

    A classifier that has learnt them fails on the other splits, so its accuracy shows that they are no shortcut.
    """
    column = fact.values(data.usable)
    if not fact.categorical or column is None:
        return False
    rows = data.usable.assign(category=column)[column != ""]
    per_class = rows[rows["split"] == "train"].groupby("class")["category"].nunique()
    return per_class.min() >= MIN_CATEGORIES and rows.groupby("category")["split"].nunique().max() == 1


def _accuracy(
    values: np.ndarray, labels: np.ndarray, units: np.ndarray, classes: int, categorical: bool
) -> tuple[float, float, float] | tuple[None, None, None]:
    """Cross-validated balanced accuracy of the rule on a fact, and its interval.

    Args:
        values: (images,) float; of a category: its number.
        labels: (images,) int, below `classes`.
        units: (images,) int; images of one unit are in one fold.
    """
    counts = np.bincount(np.unique(units * classes + labels) % classes, minlength=classes)  # units of each class
    if counts.min() < 2:
        return None, None, None
    folds = _folds(units, labels)
    right = np.empty(len(values))
    for fold in range(FOLDS):
        held = folds == fold
        right[held] = _right(values, labels, held, classes, categorical)
    recalls = np.bincount(labels, right) / np.bincount(labels)
    # Agresti and Coull, 1998, for each class; MOVER (Zou and Donner, 2008) for their mean.
    n = counts + Z**2
    center = (recalls * counts + Z**2 / 2) / n
    margin = Z * np.sqrt(center * (1 - center) / n)
    below, above = recalls - np.maximum(center - margin, 0), np.minimum(center + margin, 1) - recalls
    mean = recalls.mean()
    low, high = mean - np.linalg.norm(below) / classes, mean + np.linalg.norm(above) / classes
    return float(mean), float(max(low, 0)), float(min(high, 1))


def _folds(units: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The fold of each image, (images,) int: those of a unit in one, and those of a class in all."""
    _, first, unit_of = np.unique(units, return_index=True, return_inverse=True)
    folds = np.empty(len(first), int)
    folds[np.lexsort((np.random.default_rng(0).permutation(len(first)), labels[first]))] = np.arange(len(first)) % FOLDS
    return folds[unit_of]


def _right(values: np.ndarray, labels: np.ndarray, held: np.ndarray, classes: int, categorical: bool) -> np.ndarray:
    """Whether the rule from the other images is right, for each held-out one; 1 / classes for an unknown category."""
    others = labels[~held]
    weights = 1 / np.maximum(np.bincount(others, minlength=classes), 1)[others]  # each class counts the same
    known, cell = np.unique(values[~held], return_inverse=True)
    if categorical:
        nearest = np.minimum(np.searchsorted(known, values[held]), len(known) - 1)
        held_cell = nearest
    else:
        # Intervals of equal shares, for each class as many as the Rice rule gives the rarest. Equal values share one.
        intervals = classes * int(np.ceil(2 * np.cbrt(np.bincount(labels).min())))
        share = np.bincount(cell, weights) / weights.sum()
        interval = ((np.cumsum(share) - share / 2) * intervals).astype(int)
        nearest = np.searchsorted((known[1:] + known[:-1]) / 2, values[held])
        cell, held_cell = interval[cell], interval[nearest]
    votes = np.bincount(cell * classes + others, weights, (cell.max() + 1) * classes).reshape(-1, classes)
    chosen = votes.round(9).argmax(axis=1)[held_cell]  # rounded, so that of equal classes the first one is chosen
    return np.where(categorical & (known[nearest] != values[held]), 1 / classes, chosen == labels[held])
