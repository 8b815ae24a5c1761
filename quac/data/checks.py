"""Is a data set fit for training? Reports every finding at once, each with its remedy."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from quac.config import Config
from quac.config.choices import SEVERITIES
from quac.data import appearance, leaks, shortcuts
from quac.data.file_formats import format_by_class
from quac.data.findings import DataSet, Finding, finding, quoted
from quac.data.index import content_digest
from quac.data.result_names import result_names
from quac.data.value_range import value_range
from quac.system.files import FilePath

# Of a class. Training draws two images of a class at a time; elsewhere one image makes a row of the matrix.
MIN_IMAGES = {"train": 2, "validation": 1, "test": 1}
MAX_IMBALANCE = 10  # images of the most frequent class per image of the rarest

Check = Callable[[DataSet, Config], Iterator[Finding]]


def check_splits(indexes: dict[str, pd.DataFrame], config: Config, results: FilePath = ".") -> list[Finding]:
    """Compare the splits of a data set.

    Args:
        indexes: {split: index}, see `quac.data.index.build_index`.
        config: `checks`, `model.num_domains`, `data.sampling` and the sizes of the splits are used.
        results: folder whose file system has to hold the generated images.

    Returns:
        Findings, errors first: dicts of `code`, `severity` (error, warning), `message`, `remedy`, `files`
        ("split/path", some with a note), and `pairs`: the two "split/path" of each pair, if it is about pairs.
    """
    filled = {split: index for split, index in indexes.items() if len(index)} or indexes
    rows = pd.concat([index.assign(split=split) for split, index in filled.items()], ignore_index=True)
    rows["name"] = rows["split"].str.cat(rows["path"], sep="/")
    data = DataSet(indexes, rows, rows[rows["error"] == ""].reset_index(drop=True), results)
    findings = []
    for code, check in CHECKS.items():
        severity = config.checks.severity.get(code, SEVERITIES[code])
        if severity != "ignore":
            findings += [{"code": code, "severity": severity, **result} for result in check(data, config)]
    return sorted(findings, key=lambda finding: finding["severity"])


def summary(indexes: dict[str, pd.DataFrame]) -> dict[str, dict[str, Any]]:
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


def _one_class(data: DataSet, _: Config) -> Iterator[Finding]:
    if len(data.classes) < 2:
        yield finding(
            f"{data.sources}: hold images of {len(data.classes)} class(es), but a conversion needs two",
            "put the images of each class into a folder of its own, or correct data.source and data.classes",
        )


def _class_missing(data: DataSet, _: Config) -> Iterator[Finding]:
    for split, index in data.indexes.items():
        missing = sorted({*data.classes, *index.attrs["classes"]} - set(index["class"]))
        if missing:
            yield finding(
                f"{index.attrs['source']}: the {split} split has no images of {', '.join(map(quoted, missing))}",
                "give every split images of every class, remove the class, or name the classes in data.classes",
            )


def _num_domains(data: DataSet, config: Config) -> Iterator[Finding]:
    stated, count = config.model.num_domains, len(data.classes)
    if stated is not None and stated != count:
        yield finding(
            f"model.num_domains is {stated}, but the data has {count} classes ({', '.join(data.classes)})",
            "leave model.num_domains out, or correct the folders",
        )


def _sampling(data: DataSet, config: Config) -> Iterator[Finding]:
    sampling = config.data.sampling
    if not isinstance(sampling, str) and (odd := sampling.keys() ^ set(data.classes)):
        yield finding(
            f"data.sampling does not fit the data in {', '.join(sorted(odd))}",
            f"give a weight to each of {', '.join(data.classes)}, and to no other",
        )


def _class_names_alike(data: DataSet, _: Config) -> Iterator[Finding]:
    spellings: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for split, index in data.indexes.items():
        for name in sorted({*index.attrs["classes"], *index["class"]}):
            spellings[_spelling(name)][name].append(split)
    for alike in spellings.values():
        if len(alike) > 1:
            # As ASCII, in quotes: names that differ only in the encoding of a letter, or in blanks, look the same.
            names = ", ".join(f"{name!a} ({', '.join(splits)})" for name, splits in alike.items())
            yield finding(
                f"{data.sources}: {len(alike)} classes differ only in case, in blanks or in the encoding of a letter: "
                f"{names}",
                "rename the classes, so that each class has one spelling in all splits",
            )


def _spelling(name: str) -> str:
    """A name without what cannot be seen: case, blanks at its ends or repeated, characters of no width."""
    visible = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    return unicodedata.normalize("NFC", " ".join(visible.split())).casefold()


def _too_few(data: DataSet, _: Config) -> Iterator[Finding]:
    for split, index in data.indexes.items():
        counts = index["class"].value_counts()
        for name, count in counts[counts < MIN_IMAGES[split]].items():
            yield finding(
                f"{index.attrs['source']}: class {name} has {count} image, but {split} needs {MIN_IMAGES[split]}",
                "add images, or leave the class out by data.classes",
            )


def _imbalance(data: DataSet, _: Config) -> Iterator[Finding]:
    index = data.indexes["train"]
    counts = index["class"].value_counts()
    if len(counts) and counts.iloc[0] > MAX_IMBALANCE * counts.iloc[-1]:
        most, least = counts.index[0], counts.index[-1]
        yield finding(
            f"{index.attrs['source']}: class {most} has {counts.iloc[0]} images for training, more than "
            f"{MAX_IMBALANCE} times the {counts.iloc[-1]} of class {least}",
            f"add images of class {least}, take fewer of class {most}, or leave one out by data.classes",
        )


def _unreadable(data: DataSet, _: Config) -> Iterator[Finding]:
    for split, index in data.indexes.items():
        bad = index[index["error"] != ""]
        if len(bad):
            yield finding(
                f"{index.attrs['source']}: {len(bad)} file(s) cannot be used",
                "see the line of each file",
                [f"{split}/{path}: {error}" for path, error in zip(bad["path"], bad["error"], strict=True)],
            )


def _stray_files(data: DataSet, _: Config) -> Iterator[Finding]:
    for split, index in data.indexes.items():
        if strays := index.attrs["strays"]:
            yield finding(
                f"{index.attrs['source']}: {len(strays)} file(s) are ignored: not in a class folder, "
                "or not named as an image",
                "remove them, or move them into their class folder",
                [f"{split}/{path}" for path in strays],
            )


def _passed_over(data: DataSet, _: Config) -> Iterator[Finding]:
    counts = {split: index.attrs.get("passed_over") for split, index in data.indexes.items()}
    if any(counts.values()):
        yield finding(
            f"{data.sources}: files and folders of systems and file managers are passed over, by their names",
            "nothing; but if these are data, rename them",
            [f"{split}: {n} x {name}" for split, each in counts.items() for name, n in (each or {}).items()],
        )


def _ambiguous(data: DataSet, _: Config) -> Iterator[Finding]:
    for note, rows in data.usable[data.usable["note"] != ""].groupby("note"):
        yield finding(
            f"{data.sources}: {len(rows)} file(s) of which each {note}",
            "if that is not what they mean, save them as grey or RGB",
            rows["name"],
        )


def _most_common(values: pd.Series, limit: int = 5) -> dict[str, int]:
    return {str(value): int(count) for value, count in values.value_counts().head(limit).items()}


CHECKS: dict[str, Check] = {
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
    "identical-within-split": leaks.identical_within_split,
    "near-duplicate-across-splits": leaks.near_duplicates,
    "group-across-splits": leaks.group_across_splits,
    "blank": appearance.blank,
    "value-range": value_range,
    "mixed-modes": appearance.mixed_modes,
    "mixed-bit-depths": appearance.mixed_bit_depths,
    "mixed-sizes": appearance.mixed_sizes,
    "smaller-than-crop": appearance.smaller_than_crop,
    "distorted": appearance.distorted,
    "histogram-shift": appearance.histogram_shift,
    "shortcut": shortcuts.shortcut,
    "format-by-class": format_by_class,
    "result-names": result_names,
    "ambiguous": _ambiguous,
    "stray-files": _stray_files,
    "passed-over": _passed_over,
}
