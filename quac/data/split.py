"""Splits made of one set of images: stratified by class, and units of images stay whole."""

import csv
import hashlib
import io
import math
import os
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from quac.data.near import ALIKE, likeness, near_pairs
from quac.data.near import groups as components
from quac.system.errors import QuacError, listing
from quac.system.files import write_text

SPLITS = ("train", "validation", "test")
ATTEMPTS = 30


def make_splits(listing, index, settings, distance):
    """Split the images of a source.

    Args:
        listing: see `quac.data.sources.list_source`.
        index: of the same images, see `quac.data.index.build_index`.
        settings: a config's `split` section: `train`, `validation`, `test`, `seed`, `group_by`, `group_column`.
        distance: near duplicates differ in at most this many of 64 bits of their perceptual hashes.

    Returns:
        `(images, splits)`: the images of the listing, each with its `group`, and a split per image.
    """
    paths = [image["path"] for image in listing.images]
    groups = _groups(listing, settings)
    units = split_units(paths, groups, index["phash"], distance, index["thumbnail"].to_numpy())
    shares = _shares(settings)
    classes = [image["class"] for image in listing.images]
    images = [image | {"group": group} for image, group in zip(listing.images, groups, strict=True)]
    return images, assign_splits(paths, classes, units, shares, settings.seed)


def require_possible(listing, settings):
    """Stop where the shares or the groups are faulty, before the images are looked at."""
    if len(_splits(_shares(settings)).keys() & {"train", "validation"}) < 2:
        raise QuacError("the shares of train and validation must be above 0")
    _groups(listing, settings)


def _shares(settings):
    return {split: getattr(settings, split) for split in SPLITS}


def _groups(listing, settings):
    if settings.group_by is not None:
        return group_by([image["path"] for image in listing.images], settings.group_by)
    column = settings.group_column or "group"
    name = column if column == "group" else f"manifest.{column}"
    if any(name not in image for image in listing.images) or (
        settings.group_column and not any(image[name] for image in listing.images)
    ):
        raise QuacError(f"{listing.source}: has no column {column}; correct the name, or leave group_column out")
    return [image[name] for image in listing.images]


def assign_splits(keys, classes, units, shares, seed):
    """Give every image a split, so that each class is divided by the shares and no unit falls apart.

    Args:
        keys: a name per image, each once; the seed's order depends on them, so
            they should not depend on the machine: paths relative to the data.
        classes: class per image.
        units: label per image; images of one label go to one split.
        shares: {split: share}, which sum to 1; a split whose share is 0 is left out.
        seed: another one gives other splits, the order of the images does not.

    Returns:
        A split per image. Each class has an image in each split. Where all
        units are single images, a class's count in a split is its share rounded
        up or down (largest remainder), unless that is 0 for one of the splits:
        it is given 1, at the cost of the largest.
    """
    splits = _splits(shares)
    members, smallest = defaultdict(Counter), {}
    for key, name, unit in zip(keys, classes, units, strict=True):
        members[unit][name] += 1
        smallest[unit] = min(key, smallest.get(unit, key))
    _refuse_few(Counter(name for counts in members.values() for name in counts), splits)

    def shuffled(seed):
        return sorted(members, key=lambda unit: hashlib.sha256(f"{seed}:{smallest[unit]}".encode()).digest())

    order = sorted(shuffled(seed), key=lambda unit: -members[unit].total())
    chosen, lacking = _place(order, members, splits)
    for attempt in range(1, ATTEMPTS):
        if not lacking:
            break
        # Units of several classes stood in each other's way; perhaps they do not in an order without regard to size.
        chosen, lacking = _place(shuffled(f"{seed}.{attempt}"), members, splits)
    if lacking:
        raise QuacError(
            "no image of these classes is left for these splits, since their units hold images of several classes; "
            "make the groups or the distance of near-duplicates smaller, or give a split the share 0:\n"
            + listing([f"{name}: {', '.join(sorted(missing))}" for name, missing in sorted(lacking.items())], None)
        )
    return [chosen[unit] for unit in units]


def _place(order, members, splits):
    """Give each unit the split that needs its images most.

    Returns:
        `(chosen, lacking)`: {unit: split}, and {class: splits} that have no image of it.
    """
    totals, waiting = Counter(), Counter()
    for counts in members.values():
        totals.update(counts)
        waiting.update(counts.keys())
    wanted = {name: _largest_remainder(count, splits) for name, count in totals.items()}
    lacking = {name: set(splits) for name in totals}
    chosen = {}
    for unit in order:
        counts = members[unit]
        # Classes with no more units left than splits that have none of it yet.
        urgent = [name for name in counts if waiting[name] <= len(lacking[name])]

        def need(split, counts=counts, urgent=urgent):
            deficit = sum(count * wanted[name][split] for name, count in counts.items())
            return sum(split in lacking[name] for name in urgent), deficit

        split = chosen[unit] = max(splits, key=need)
        for name, count in counts.items():
            wanted[name][split] -= count
            waiting[name] -= 1
            lacking[name].discard(split)
    return chosen, {name: missing for name, missing in lacking.items() if missing}


def _splits(shares):
    """{split: share} without the splits whose share is 0."""
    if any(not 0 <= share <= 1 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-6:
        said = ", ".join(f"{split} {share}" for split, share in shares.items())
        raise QuacError(f"the shares of the splits are {said}; they must be from 0 to 1 and sum to 1")
    return {split: share for split, share in shares.items() if share}


def _refuse_few(units, splits):
    few = sorted(name for name, count in units.items() if count < len(splits))
    if few:
        raise QuacError(
            f"these classes have fewer units (images that must stay together) than there are splits, {len(splits)}; "
            "add images, make the groups or the distance of near-duplicates smaller, leave the class out, "
            "or give a split the share 0:\n" + listing([f"{name}: {units[name]}" for name in few], None)
        )


def _largest_remainder(count, shares):
    """{split: number of images}, which sum to `count`, each at least 1 if `count` allows it."""
    total = sum(shares.values())
    exact = {split: share / total * count for split, share in shares.items()}
    numbers = {split: math.floor(number) for split, number in exact.items()}
    by_remainder = sorted(shares, key=lambda split: numbers[split] - exact[split])
    for split in by_remainder[: count - sum(numbers.values())]:
        numbers[split] += 1
    for split in numbers:
        if not numbers[split]:
            numbers[max(numbers, key=numbers.get)] -= 1
            numbers[split] = 1
    return numbers


def split_units(paths, groups, phashes, distance, thumbnails):
    """Units that a split must not take apart: images of one group, near-duplicates, and what these connect.

    Args:
        paths: path per image.
        groups: group per image, "" for none.
        phashes: perceptual hash per image, 16 hex digits, "" for none.
        distance: near-duplicates differ in at most this many of the 64 bits,
        thumbnails: and these, bytes per image, are alike.

    Returns:
        A label per image: the first path of its unit, by name.
    """
    # A node per image, per group and per hash: without the latter, n copies of an image would make n * n pairs.
    names = {name: number for number, name in enumerate(dict.fromkeys(filter(None, groups)), len(paths))}
    hashes = {
        value: number for number, value in enumerate(dict.fromkeys(filter(None, phashes)), len(paths) + len(names))
    }
    links = [(image, names[group]) for image, group in enumerate(groups) if group]
    links += [(image, hashes[value]) for image, value in enumerate(phashes) if value]
    links = np.array(links, dtype=np.int64).reshape(-1, 2)
    first, second = near_pairs(np.array([int(value, 16) for value in hashes], dtype=np.uint64), distance)
    holders = {value: image for image, value in reversed(list(enumerate(phashes)))}
    images = np.array([holders[value] for value in hashes], dtype=np.int64)
    alike = likeness(np.asarray(thumbnails, object), np.stack([images[first], images[second]], axis=1)) >= ALIKE
    first, second = first[alike], second[alike]
    offset = len(paths) + len(names)
    first = np.concatenate([links[:, 0], np.asarray(first, dtype=np.int64) + offset])
    second = np.concatenate([links[:, 1], np.asarray(second, dtype=np.int64) + offset])
    labels = components(offset + len(hashes), first, second)[: len(paths)].tolist()
    unit = {}
    for path, label in zip(paths, labels, strict=True):
        unit[label] = min(path, unit.get(label, path))
    return [unit[label] for label in labels]


def group_by(paths, pattern):
    """The group of each path: what the regular expression's first parentheses match in it, or all that it matches."""
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise QuacError(f"the pattern {pattern!r} is no regular expression ({error}); correct it") from None
    matches = [expression.search(path) for path in paths]
    found = [match[1 if expression.groups else 0] if match else None for match in matches]
    missing = [path for path, group in zip(paths, found, strict=True) if not group]
    if missing:
        raise QuacError(
            f"the pattern {pattern!r} finds no group in {len(missing)} of {len(paths)} paths; "
            "correct it so that it matches each of them:\n" + listing(missing)
        )
    return found


def write_manifests(folder, base, images, splits, names=SPLITS):
    """Write `<folder>/<split>.csv` for each of `names`, as `quac.data.sources` reads it.

    Args:
        folder: folder of the manifests; paths in them are relative to it.
        base: folder that the images' paths are relative to.
        images: dicts as in `quac.data.sources.Listing`.
        splits: split per image.
    """
    # Real paths, since ".." after a link leads elsewhere.
    real_folder, real_base = os.path.realpath(folder), os.path.realpath(base)

    def relative(path):
        return Path(os.path.relpath(os.path.join(real_base, path), real_folder)).as_posix()

    further = list(dict.fromkeys(column for image in images for column in image if column.startswith("manifest.")))
    masks = any(image["mask"] for image in images)
    header = ["path", "class", "group", *(["mask"] if masks else [])]
    rows = defaultdict(list)
    for image, split in zip(images, splits, strict=True):
        row = [relative(image["path"]), image["class"], image["group"]]
        if masks:
            row.append(relative(image["mask"]) if image["mask"] else "")
        rows[split].append([*row, *(image.get(column, "") for column in further)])
    for split in names:
        text = io.StringIO(newline="")
        # Every value in quotes: the csv module leaves them out around a carriage return.
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow([*header, *(column.removeprefix("manifest.") for column in further)])
        writer.writerows(sorted(rows[split], key=lambda row: (row[1], row[0])))
        write_text(Path(folder) / f"{split}.csv", text.getvalue())
