"""Is a data set fit for training? Every finding at once, each with its remedy."""

import unicodedata
from collections import defaultdict
from types import SimpleNamespace

import pandas as pd

from quac.config.data import SEVERITIES
from quac.data import appearance, leaks
from quac.data.findings import finding, sources_of
from quac.data.index import content_digest

# Training draws two images of a class at a time; elsewhere one image makes a row of the matrix.
FEWEST = {"train": 2, "validation": 1, "test": 1}
UNEVEN = 10  # images of the most frequent class per image of the rarest, above which there is a warning


def check_splits(indexes, settings):
    """Compare the splits of a data set.

    Args:
        indexes: {split: index}, see `quac.data.index.build_index`.
        settings: `num_domains`, the number of classes that the config states, or None; `sampling`, the classes to
            which the config gives a weight, or None; `severity`, {code: error, warning, ignore} where it is not that
            of `SEVERITIES`; `near_duplicate_distance`, in bits; `sizes`, of each split its `preprocess`, `load_size`
            and `img_size`, see `quac.data.preprocess`.

    Returns:
        Findings, errors first: dicts of `code`, `severity` (error, warning),
        `message`, `remedy`, `files` ("split/path", some with a note), and
        `pairs`: the two "split/path" of each pair of images, where it is about pairs.
    """
    rows = _all_rows(indexes)
    data = SimpleNamespace(indexes=indexes, rows=rows, usable=rows[rows["error"] == ""].reset_index(drop=True))
    findings = []
    for code, check in CHECKS.items():
        severity = settings.severity.get(code, SEVERITIES[code])
        if severity != "ignore":
            findings += [{"code": code, "severity": severity, **found} for found in check(data, settings)]
    return sorted(findings, key=lambda finding: finding["severity"])


def summary(indexes):
    """Per split: images per class, sizes and modes, and a digest of images and classes; for the report."""
    return {
        split: {
            "source": index.attrs["source"],
            "images": {name: int((index["class"] == name).sum()) for name in index.attrs["classes"]},
            "sizes": _most_common(index["width"].astype(str) + "x" + index["height"].astype(str)),
            "modes": _most_common(index["mode"]),
            "digest": content_digest(index),
        }
        for split, index in indexes.items()
    }


def _all_rows(indexes):
    """The rows of all splits, with their `split`, and their `name`, "split/path"."""
    filled = {split: index for split, index in indexes.items() if len(index)} or indexes
    rows = pd.concat([index.assign(split=split) for split, index in filled.items()], ignore_index=True)
    return rows.assign(name=rows["split"].str.cat(rows["path"], sep="/"))


def _one_class(data, _):
    classes = _used(data)
    if len(classes) < 2:
        yield finding(
            f"{sources_of(data)}: hold images of {len(classes)} class(es), but a conversion needs two",
            "put the images of each class into a folder of its own, or correct data.source and data.classes",
        )


def _class_missing(data, _):
    for split, index in data.indexes.items():
        missing = sorted({*_used(data), *index.attrs["classes"]} - set(index["class"]))
        if missing:
            yield finding(
                f"{index.attrs['source']}: the {split} split has no images of {', '.join(missing)}",
                "give every split images of every class, remove the class, or name the classes in data.classes",
            )


def _num_domains(data, settings):
    classes = _used(data)
    if settings.num_domains is not None and settings.num_domains != len(classes):
        yield finding(
            f"model.num_domains is {settings.num_domains}, but the data has {len(classes)} classes "
            f"({', '.join(classes)})",
            "leave model.num_domains out, or correct the folders",
        )


def _sampling(data, settings):
    classes = set(_used(data))
    if settings.sampling is not None and classes != set(settings.sampling):
        odd = sorted(classes.symmetric_difference(settings.sampling))
        yield finding(
            f"data.sampling does not fit the data in {', '.join(odd)}",
            f"give a weight to each of {', '.join(sorted(classes))}, and to no other",
        )


def _class_names_alike(data, _):
    spellings = defaultdict(lambda: defaultdict(list))
    for split, index in data.indexes.items():
        for name in sorted({*index.attrs["classes"], *index["class"]}):
            spellings[unicodedata.normalize("NFC", name).casefold()][name].append(split)
    for alike in spellings.values():
        if len(alike) > 1:
            # As ASCII, for names that differ only in how a letter is encoded look the same.
            said = ", ".join(f"{name!a} ({', '.join(splits)})" for name, splits in alike.items())
            yield finding(
                f"{sources_of(data)}: {len(alike)} classes differ only in case or in the encoding of a letter: {said}",
                "rename the class folders, so that each class has one spelling in all splits",
            )


def _too_few(data, _):
    for split, index in data.indexes.items():
        counts = index["class"].value_counts()
        for name, count in counts[counts < FEWEST[split]].items():
            yield finding(
                f"{index.attrs['source']}: class {name} has {count} image, but {split} needs {FEWEST[split]}",
                "add images, or leave the class out by data.classes",
            )


def _imbalance(data, _):
    index = data.indexes["train"]
    counts = index["class"].value_counts()
    if len(counts) and counts.iloc[0] > UNEVEN * counts.iloc[-1]:
        most, least = counts.index[0], counts.index[-1]
        yield finding(
            f"{index.attrs['source']}: class {most} has {counts.iloc[0]} images for training, more than {UNEVEN} times "
            f"the {counts.iloc[-1]} of class {least}",
            f"add images of class {least}, take fewer of class {most}, or leave one out by data.classes",
        )


def _unreadable(data, _):
    for split, index in data.indexes.items():
        bad = index[index["error"] != ""]
        if len(bad):
            yield finding(
                f"{index.attrs['source']}: {len(bad)} file(s) cannot be used",
                "see each file's line",
                [f"{split}/{path}: {error}" for path, error in zip(bad["path"], bad["error"], strict=True)],
            )


def _stray_files(data, _):
    for split, index in data.indexes.items():
        if strays := index.attrs["strays"]:
            yield finding(
                f"{index.attrs['source']}: {len(strays)} file(s) are ignored: no class folder, or no image's name",
                "remove them, or move them into their class folder",
                [f"{split}/{path}" for path in strays],
            )


def _used(data):
    """Classes that have an image in any split, sorted."""
    return sorted(data.rows["class"].unique())


def _most_common(values, limit=5):
    return {str(value): int(count) for value, count in values.value_counts().head(limit).items()}


CHECKS = {
    "one-class": _one_class,
    "class-missing": _class_missing,
    "num-domains": _num_domains,
    "sampling": _sampling,
    "class-names-alike": _class_names_alike,
    "too-few": _too_few,
    "imbalance": _imbalance,
    "unreadable": _unreadable,
    "identical-across-splits": leaks.identical_across_splits,
    "identical-across-classes": leaks.identical_across_classes,
    "near-duplicate-across-splits": leaks.near_duplicates,
    "group-across-splits": leaks.group_across_splits,
    "blank": appearance.blank,
    "mixed-modes": appearance.mixed_modes,
    "mixed-bit-depths": appearance.mixed_bit_depths,
    "mixed-sizes": appearance.mixed_sizes,
    "smaller-than-crop": appearance.smaller_than_crop,
    "distorted": appearance.distorted,
    "histogram-shift": appearance.histogram_shift,
    "stray-files": _stray_files,
}
