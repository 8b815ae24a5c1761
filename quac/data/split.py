"""Splits of one set of images: stratified by class, without dividing units of images."""

import csv
import hashlib
import io
import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np

from quac.config.data import Data, SplitMaker
from quac.data.index import build_index
from quac.data.near import MIN_CORRELATION, components, near_pairs, thumbnail_correlation
from quac.data.sources import Image, Listing, list_source
from quac.system.console import log
from quac.system.errors import QuacError, bullet_list
from quac.system.files import write_text
from quac.system.spreadsheets import csv_safe

SPLITS = ("train", "validation", "test")
ATTEMPTS = 30

Shares = dict[str, float]  # by split


def write_splits(out: Path, maker: SplitMaker, data: Data, distance: int, workers: int = 0) -> None:
    """Split the images of a source, and write a manifest of each split into the folder `out`.

    Args:
        data: how images are decoded; `classes` of the source, to split.
        distance: near duplicates differ in at most this many of 64 bits of their perceptual hashes.
        workers: processes that decode; 0: this one.

    Raises QuacError, before anything is written, if the shares or groups are faulty or an image cannot be read.
    """
    listing = list_source(maker.source, None, classes=data.classes)
    if not listing.images:
        others = [*listing.strays, *(f"{name} ({count} times)" for name, count in listing.passed_over.items())]
        raise QuacError(
            f"{listing.source}: holds images of 0 classes; put the images of each class into a folder of its own"
            + (f". Passed over are {len(others)} other name(s):\n{bullet_list(others)}" if others else "")
        )
    shares = _used_shares({split: getattr(maker, split) for split in SPLITS})
    if not {"train", "validation"} <= shares.keys():
        raise QuacError("the shares of train and validation must be above 0")
    groups = _groups(listing, maker)
    index, _ = build_index(listing, data, workers)
    unusable = index[index["error"] != ""]
    if len(unusable):
        files = [f"{path}: {error}" for path, error in zip(unusable["path"], unusable["error"], strict=True)]
        raise QuacError(f"{listing.source}: {len(unusable)} file(s) cannot be used\n{bullet_list(files)}")
    paths, classes = index["path"].tolist(), index["class"].tolist()
    units = split_units(paths, groups, index["phash"].tolist(), distance, index["thumbnail"].tolist())
    splits = assign_splits(paths, classes, units, shares, maker.seed)
    images = [image | {"group": group} for image, group in zip(listing.images, groups, strict=True)]
    write_manifests(out, listing.base, images, splits)
    for name in SPLITS:
        log.info("%s: %d images", out / f"{name}.csv", splits.count(name))


def refuse_existing_manifests(folder: Path) -> None:
    """Raise QuacError if a manifest that `write_splits` would write exists already."""
    for name in SPLITS:
        if (folder / f"{name}.csv").exists():
            raise QuacError(f"{folder / name}.csv: exists already; remove it, or choose another folder")


def _groups(listing: Listing, maker: SplitMaker) -> list[str]:
    if maker.group_by is not None:
        return group_by([image["path"] for image in listing.images], maker.group_by)
    column = maker.group_column or "group"
    name = column if column == "group" else f"manifest.{column}"
    if any(name not in image for image in listing.images) or (
        maker.group_column and not any(image[name] for image in listing.images)
    ):
        raise QuacError(f"{listing.source}: has no column {column}; correct the name, or leave group_column out")
    return [image[name] for image in listing.images]


def assign_splits(
    keys: Sequence[str], classes: Sequence[str], units: Sequence[Hashable], shares: Shares, seed: int
) -> list[str]:
    """A split per image, so that each class is divided by the shares and no unit is divided.

    Args:
        keys: a unique name per image, which does not depend on the machine: with the seed it determines the order.
        classes: class per image.
        units: label per image; images of one label go to one split.
        shares: {split: share}, which sum to 1; a split whose share is 0 is left out.

    Each class has an image in each split. If all units are single images, the count of a class in a split is its share
    rounded up or down (largest remainder), unless that is 0 for one of the splits: it gets 1, at the cost of the
    largest. The order of the images does not matter.
    """
    shares = _used_shares(shares)
    members: dict[Hashable, Counter[str]] = defaultdict(Counter)
    smallest: dict[Hashable, str] = {}
    for key, name, unit in zip(keys, classes, units, strict=True):
        members[unit][name] += 1
        smallest[unit] = min(key, smallest.get(unit, key))
    numbers = Counter(name for counts in members.values() for name in counts)  # of the units of a class
    if few := [f"{name}: {number}" for name, number in sorted(numbers.items()) if number < len(shares)]:
        raise QuacError(
            f"these classes have fewer units (images that must stay together) than there are splits, {len(shares)}; "
            "add images, make the groups or the distance of near duplicates smaller, leave the class out, "
            "or give a split the share 0:\n" + bullet_list(few, None)
        )

    def shuffled(seed: int | str) -> list[Hashable]:
        return sorted(members, key=lambda unit: hashlib.sha256(f"{seed}:{smallest[unit]}".encode()).digest())

    order = sorted(shuffled(seed), key=lambda unit: -members[unit].total())
    chosen, lacking = _place(order, members, shares)
    for attempt in range(1, ATTEMPTS):
        if not lacking:
            break
        # Units of several classes blocked each other; an order that does not depend on their sizes may avoid it.
        chosen, lacking = _place(shuffled(f"{seed}.{attempt}"), members, shares)
    if lacking:
        missing = [f"{name}: {', '.join(sorted(splits))}" for name, splits in sorted(lacking.items())]
        raise QuacError(
            "no image of these classes is left for these splits, because their units hold images of several classes; "
            "make the groups or the distance of near duplicates smaller, or give a split the share 0:\n"
            + bullet_list(missing, None)
        )
    return [chosen[unit] for unit in units]


def _place(
    order: list[Hashable], members: dict[Hashable, Counter[str]], shares: Shares
) -> tuple[dict[Hashable, str], dict[str, set[str]]]:
    """Assign each unit to the split that needs it most: {unit: split}, and {class: splits without an image of it}."""
    totals: Counter[str] = Counter()
    waiting: Counter[str] = Counter()  # units that are not placed yet
    for counts in members.values():
        totals.update(counts)
        waiting.update(counts.keys())
    wanted = {name: _largest_remainder(count, shares) for name, count in totals.items()}
    lacking = {name: set(shares) for name in totals}
    chosen: dict[Hashable, str] = {}
    for unit in order:
        counts = members[unit]
        # Classes with no more units left than splits that have none of it yet.
        urgent = [name for name in counts if waiting[name] <= len(lacking[name])]

        def need(split: str, counts: Counter[str] = counts, urgent: list[str] = urgent) -> tuple[int, int]:
            deficit = sum(count * wanted[name][split] for name, count in counts.items())
            return sum(split in lacking[name] for name in urgent), deficit

        split = chosen[unit] = max(shares, key=need)
        for name, count in counts.items():
            wanted[name][split] -= count
            waiting[name] -= 1
            lacking[name].discard(split)
    return chosen, {name: missing for name, missing in lacking.items() if missing}


def _used_shares(shares: Shares) -> Shares:
    """{split: share} without the splits whose share is 0. Raises QuacError if the shares are not shares."""
    if any(not 0 <= share <= 1 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-6:
        given = ", ".join(f"{split} {share}" for split, share in shares.items())
        raise QuacError(f"the shares of the splits are {given}; they must be from 0 to 1 and sum to 1")
    return {split: share for split, share in shares.items() if share}


def _largest_remainder(count: int, shares: Shares) -> dict[str, int]:
    """{split: number of images}, which sum to `count`, each at least 1 if `count` allows it."""
    total = sum(shares.values())
    exact = {split: share / total * count for split, share in shares.items()}
    numbers = {split: math.floor(number) for split, number in exact.items()}
    by_remainder = sorted(shares, key=lambda split: numbers[split] - exact[split])
    for split in by_remainder[: count - sum(numbers.values())]:
        numbers[split] += 1
    for split in numbers:
        if not numbers[split]:
            numbers[max(numbers, key=numbers.__getitem__)] -= 1
            numbers[split] = 1
    return numbers


def split_units(
    paths: Sequence[str], groups: Sequence[str], phashes: Sequence[str], distance: int, thumbnails: Sequence[bytes]
) -> list[str]:
    """A label per image, the first path of its unit: images of one group, near duplicates, and what these connect.

    Args:
        groups: group per image, "" for none.
        phashes: perceptual hash per image, 16 hex digits, "" for none.
        distance: near duplicates differ in at most this many of the 64 bits, and their thumbnails correlate.
        thumbnails: bytes per image, all of one length.
    """
    # Images of one group, or of one hash, are linked to the first of them: n copies make n links, not n * n.
    first_of: dict[tuple[str, str], int] = {}
    links: list[tuple[int, int]] = []
    for column, values in (("group", groups), ("hash", phashes)):
        links += [(first_of.setdefault((column, value), image), image) for image, value in enumerate(values) if value]
    first_with = {value: image for (column, value), image in first_of.items() if column == "hash"}
    pairs = near_pairs(np.array([int(value, 16) for value in first_with], np.uint64), distance)
    near = np.array([*first_with.values()], np.int64)[np.stack(pairs, axis=1)]
    similar = thumbnail_correlation(np.asarray(thumbnails, object), near) >= MIN_CORRELATION
    edges = np.concatenate([np.array(links, np.int64).reshape(-1, 2), near[similar]])
    labels = components(len(paths), *edges.T).tolist()
    unit: dict[int, str] = {}
    for path, label in zip(paths, labels, strict=True):
        unit[label] = min(path, unit.get(label, path))
    return [unit[label] for label in labels]


def group_by(paths: Sequence[str], pattern: str) -> list[str]:
    """The group of each path: the match of the first group of a regular expression, or of all of it."""
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise QuacError(f"the pattern {pattern!r} is not a regular expression ({error}); correct it") from None
    matches = [expression.search(path) for path in paths]
    groups = [match[1 if expression.groups else 0] or "" if match else "" for match in matches]
    missing = [path for path, group in zip(paths, groups, strict=True) if not group]
    if missing:
        raise QuacError(
            f"the pattern {pattern!r} finds no group in {len(missing)} of {len(paths)} paths; "
            "correct it so that it matches each of them:\n" + bullet_list(missing)
        )
    return groups


def write_manifests(folder: Path, base: str, images: Sequence[Image], splits: Sequence[str]) -> None:
    """Write `<folder>/<split>.csv` for each of SPLITS, as `quac.data.sources` reads it; its paths are relative to it.

    Args:
        base: folder that the images' paths are relative to.
        images: dicts as in `quac.data.sources.Listing`.
        splits: split per image.
    """
    # Real paths, because ".." after a link leads elsewhere.
    real_folder, real_base = os.path.realpath(folder), os.path.realpath(base)

    def relative(path: str) -> str:
        return Path(os.path.relpath(os.path.join(real_base, path), real_folder)).as_posix()

    masks = ["mask"] if any(image["mask"] for image in images) else []
    further = dict.fromkeys(column for image in images for column in image if column.startswith("manifest."))
    columns = ["path", "class", "group", *masks, *further]
    rows: dict[str, list[list[str]]] = defaultdict(list)
    for image, split in zip(images, splits, strict=True):
        image = image | {name: relative(image[name]) for name in ("path", *masks) if image[name]}
        rows[split].append([image.get(column, "") for column in columns])
    for split in SPLITS:
        text = io.StringIO(newline="")
        # Every value in quotes: by default the csv module does not quote a carriage return.
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow([csv_safe(column.removeprefix("manifest.")) for column in columns])
        rows[split].sort(key=lambda row: (row[1], row[0]))  # by class and path
        writer.writerows([[csv_safe(value) for value in row] for row in rows[split]])
        write_text(folder / f"{split}.csv", text.getvalue())
