"""Findings: images of one split, or one class, that occur in another."""

from collections import defaultdict

import numpy as np
import pandas as pd

from quac.data.findings import conjoined, finding, sources_of, tally
from quac.data.near import ALIKE, BITS, groups, likeness, near_pairs


def identical_across_splits(data, _):
    return _identical(
        data,
        "split",
        "occur in more than one split: the numbers of one are not independent of the other",
        "keep each image in one split",
    )


def identical_across_classes(data, _):
    return _identical(
        data,
        "class",
        "occur under more than one class: no classifier can tell them apart",
        "keep each image in one class",
    )


def _identical(data, column, what, remedy):
    """Pixels that occur under two values of a column; re-encoded copies count."""
    usable = data.usable
    doubtful = usable[usable.groupby("pixels")[column].transform("nunique") > 1]
    copies = defaultdict(list)
    for pixels, name, value in zip(doubtful["pixels"], doubtful["name"], doubtful[column], strict=True):
        copies[pixels].append((name, value))
    pairs, between = [], []
    for group in copies.values():
        first, *rest = group
        other = next(image for image in rest if image[1] != first[1])
        pairs += [(first[0], image[0]) for image in rest if image[1] != first[1]]
        pairs += [(image[0], other[0]) for image in rest if image[1] == first[1]]
        between.append(conjoined(sorted({value for _, value in group})))
    if copies:
        yield finding(
            f"{sources_of(data)}: {len(copies)} image(s) {what} ({tally(between)})",
            remedy,
            [" = ".join(name for name, _ in group) for group in copies.values()],
            pairs,
        )


def near_duplicates(data, settings):
    usable = data.usable[data.usable["low"] < data.usable["high"]]
    distance, splits, names = settings.near_duplicate_distance, usable["split"].to_numpy(), usable["name"].to_numpy()
    hashes = np.array([int(phash, 16) for phash in usable["phash"]], np.uint64)
    values, value_of = np.unique(hashes, return_inverse=True)
    near = near_pairs(values, distance)
    partners = _partners(value_of, near, pd.factorize(usable["pixels"])[0], splits)
    rows = np.flatnonzero(partners >= 0)
    if not len(rows):
        return
    pairs = np.unique(np.sort(np.stack([rows, partners[rows]], axis=1), axis=1), axis=0)
    pairs = pairs[likeness(usable["thumbnail"].to_numpy(), pairs) >= ALIKE]
    rows = np.unique(pairs)
    if not len(rows):
        return
    bits = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])
    alike = len(np.unique(groups(len(values), *near)[value_of[rows]]))
    between = (conjoined(sorted(pair)) for pair in splits[pairs])
    yield finding(
        f"{sources_of(data)}: {len(rows)} images, in {alike} group(s), look nearly like one of another split: at most "
        f"{distance} of {BITS} bits of their perceptual hashes differ, and their thumbnails are alike "
        f"({tally(between, 'pair(s)')})",
        "look at the pairs; keep images of one object, or of one recording, in one split",
        [f"{one} ~ {other} ({differ} bits)" for (one, other), differ in zip(names[pairs], bits, strict=True)],
        names[pairs].tolist(),
    )


def _partners(value_of, near, pixels, splits):
    """For each row, (n,) int: a row of another split that is a near duplicate, but has other pixels; -1 where none is.

    Args:
        value_of: (n,) int, which of the different hashes a row has.
        near: pairs of different hashes, see `near_pairs`.
        pixels: (n,) int, equal for equal pixels.
        splits: (n,) names of splits.
    """
    partners = np.full(len(splits), -1)
    for split in pd.unique(splits):
        # Per hash a row of this split that has it, one with other pixels than that, and one with a near hash; or -1.
        equal, equal_too, close = np.full((3, value_of.max() + 1), -1)
        inside = np.flatnonzero(splits == split)[::-1]  # of several rows assigned to one place, the last stays
        equal[value_of[inside]] = inside
        unlike = inside[pixels[inside] != pixels[equal[value_of[inside]]]]
        equal_too[value_of[unlike]] = unlike
        for one, other in (near, near[::-1]):
            held = equal[other] >= 0
            close[one[held]] = equal[other[held]]
        candidates = equal[value_of]
        for more in (equal_too, close):
            unfit = (candidates < 0) | (pixels[candidates] == pixels)
            candidates = np.where(unfit, more[value_of], candidates)
        partners = np.where((partners < 0) & (splits != split), candidates, partners)
    return partners


def group_across_splits(data, _):
    rows = data.rows[data.rows["group"] != ""]
    torn = rows[rows.groupby("group")["split"].transform("nunique") > 1]
    if not len(torn):
        return
    parts = torn.groupby(["group", "split"], sort=False)["name"].agg(["size", "first"])
    said, between = defaultdict(list), defaultdict(list)
    for (group, split), size, first in zip(parts.index, parts["size"], parts["first"], strict=True):
        said[group].append(f"{size} in {split} ({first}{', ...' if size > 1 else ''})")
        between[group].append(split)
    yield finding(
        f"{sources_of(data)}: {len(said)} group(s) have images in more than one split: the numbers of one are not "
        f"independent of the other ({tally((conjoined(sorted(splits)) for splits in between.values()), 'group(s)')})",
        "move all images of a group into one split",
        [f"{group}: {', '.join(places)}" for group, places in said.items()],
    )
