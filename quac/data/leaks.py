"""Findings: images of one split, or one class, that occur in another, or twice."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from quac.config import Config
from quac.data.findings import DataSet, Finding, finding, join_words, tally
from quac.data.near import BITS, MIN_CORRELATION, components, near_pairs, thumbnail_correlation


def identical_across_splits(data: DataSet, _: Config) -> Iterator[Finding]:
    what = "occur in more than one split: the numbers of one are not independent of the other"
    return _identical(data, "split", what)


def identical_across_classes(data: DataSet, _: Config) -> Iterator[Finding]:
    return _identical(data, "class", "occur under more than one class: no classifier can tell them apart")


def identical_within_split(data: DataSet, _: Config) -> Iterator[Finding]:
    """Copies in one class of one split, re-encoded ones included, but not blank images, which are all alike.

    Nor do copies of one group count: it is the group that an interval counts.
    """
    usable = data.usable[data.usable["low"] < data.usable["high"]]
    usable = usable[(usable["group"] == "") | (usable.groupby("pixels")["group"].transform("nunique") > 1)]
    places = usable.groupby(["split", "class", "pixels"], sort=False)["name"]
    copies = usable[places.transform("size") > 1].assign(first=places.transform("first"))
    for split, rows in copies.groupby("split", sort=False):
        groups = rows.groupby("first", sort=False)["name"].agg(list)
        more = rows[rows["name"] != rows["first"]]
        yield finding(
            f"{data.indexes[str(split)].attrs['source']}: {len(more)} image(s) are copies of another one of their "
            f"class and split ({tally(more['class'])}): each counts again, so intervals of rates are too narrow",
            "keep one of each; or name a group for each image in a list, copies in one group",
            [" = ".join(names) for names in groups],
            more[["first", "name"]].to_numpy().tolist(),
        )


def _identical(data: DataSet, column: str, what: str) -> Iterator[Finding]:
    """Pixels that occur under two values of a column; re-encoded copies count."""
    usable = data.usable
    doubtful = usable[usable.groupby("pixels")[column].transform("nunique") > 1]
    copies: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for pixels, name, value in zip(doubtful["pixels"], doubtful["name"], doubtful[column], strict=True):
        copies[pixels].append((name, value))
    pairs: list[tuple[str, str]] = []
    between = []
    for (first, own), *rest in copies.values():
        elsewhere = next(name for name, value in rest if value != own)
        pairs += [(first, name) for name, value in rest if value != own]
        pairs += [(name, elsewhere) for name, value in rest if value == own]
        between.append(join_words(sorted({own, *(value for _, value in rest)})))
    if copies:
        yield finding(
            f"{data.sources}: {len(copies)} image(s) {what} ({tally(between)})",
            f"keep each image in one {column}",
            [" = ".join(name for name, _ in group) for group in copies.values()],
            pairs,
        )


def near_duplicates(data: DataSet, config: Config) -> Iterator[Finding]:
    usable = data.usable[data.usable["low"] < data.usable["high"]]
    distance = config.checks.near_duplicate_distance
    splits, names = usable["split"].to_numpy(), usable["name"].to_numpy()
    hashes = np.array([int(phash, 16) for phash in usable["phash"]], np.uint64)
    values, value_of = np.unique(hashes, return_inverse=True)
    near = near_pairs(values, distance)
    partners = _partners(value_of, near, pd.factorize(usable["pixels"])[0], splits)
    rows = np.flatnonzero(partners >= 0)
    pairs = np.unique(np.sort(np.stack([rows, partners[rows]], axis=1), axis=1), axis=0)
    pairs = pairs[thumbnail_correlation(usable["thumbnail"].to_numpy(), pairs) >= MIN_CORRELATION]
    rows = np.unique(pairs)
    if not len(rows):
        return
    bits = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])
    groups = len(np.unique(components(len(values), *near)[value_of[rows]]))
    between = (join_words(sorted(pair)) for pair in splits[pairs])
    yield finding(
        f"{data.sources}: {len(rows)} images, in {groups} group(s), are nearly equal to one of another split: at most "
        f"{distance} of {BITS} bits of their perceptual hashes differ, and their thumbnails are alike "
        f"({tally(between, 'pair(s)')})",
        "inspect the pairs; keep images of one object, or of one recording, in one split",
        [f"{first} ~ {second} ({differ} bits)" for (first, second), differ in zip(names[pairs], bits, strict=True)],
        names[pairs].tolist(),
    )


def _partners(value_of: np.ndarray, near: Sequence[np.ndarray], pixels: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """For each row, (n,) int: a near duplicate with other pixels in another split; -1 if there is none.

    Args:
        value_of: (n,) int, number of the hash of a row among the different hashes.
        near: pairs of different hashes, see `near_pairs`.
        pixels: (n,) int, equal for equal pixels.
        splits: (n,) names of splits.
    """
    partners = np.full(len(splits), -1)
    for split in pd.unique(splits):
        # Per hash: a row of this split that has it, one with it but other pixels, and one with a near hash; or -1.
        equal, equal_too, close = np.full((3, value_of.max() + 1), -1)
        inside = np.flatnonzero(splits == split)[::-1]  # of several rows for one hash, the last one stays
        equal[value_of[inside]] = inside
        unlike = inside[pixels[inside] != pixels[equal[value_of[inside]]]]
        equal_too[value_of[unlike]] = unlike
        for value, neighbour in (near, near[::-1]):
            present = equal[neighbour] >= 0
            close[value[present]] = equal[neighbour[present]]
        candidates = equal[value_of]
        for more in (equal_too, close):
            unfit = (candidates < 0) | (pixels[candidates] == pixels)
            candidates = np.where(unfit, more[value_of], candidates)
        partners = np.where((partners < 0) & (splits != split), candidates, partners)
    return partners


def group_across_splits(data: DataSet, _: Config) -> Iterator[Finding]:
    rows = data.rows[data.rows["group"] != ""]
    divided = rows[rows.groupby("group")["split"].transform("nunique") > 1]
    if not len(divided):
        return
    parts = divided.groupby(["group", "split"], sort=False)["name"].agg(["size", "first"])
    places: dict[str, list[str]] = defaultdict(list)
    for (group, split), size, first in zip(parts.index, parts["size"], parts["first"], strict=True):
        places[group].append(f"{size} in {split} ({first}{', ...' if size > 1 else ''})")
    between = divided.groupby("group", sort=False)["split"].agg(lambda splits: join_words(sorted(splits.unique())))
    yield finding(
        f"{data.sources}: {len(places)} group(s) have images in more than one split: the numbers of one are not "
        f"independent of the other ({tally(between, 'group(s)')})",
        "move all images of a group into one split",
        [f"{group}: {', '.join(parts)}" for group, parts in places.items()],
    )
