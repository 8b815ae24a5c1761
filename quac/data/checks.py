"""Is a data set fit for training? Every finding at once, each with its remedy."""

import pandas as pd

from quac.data.index import content_digest
from quac.errors import listing

# Training draws two images of a class at a time; elsewhere one image makes a row of the matrix.
FEWEST = {"train": 2, "validation": 1, "test": 1}


def check_splits(indexes, num_domains=None):
    """Compare the splits of a data set.

    Args:
        indexes: {split: index}, see `quac.data.index.build_index`.
        num_domains: the number of classes that the config states, or None.

    Returns:
        Findings, errors first: dicts of `code`, `severity` (error, warning),
        `message`, `remedy`, and `files` ("split/path").
    """
    findings = [
        *_classes(indexes, num_domains),
        *_counts(indexes),
        *_unreadable(indexes),
        *_duplicates(indexes),
        *_strays(indexes),
    ]
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


def describe(findings, limit=10):
    """The findings as text, each with at most `limit` of its files."""
    return "\n".join(
        f"{finding['severity']}: {finding['message']} ({finding['code']})\n"
        f"  remedy: {finding['remedy']}" + ("\n" + listing(finding["files"], limit) if finding["files"] else "")
        for finding in findings
    )


def _finding(code, severity, message, remedy, files=()):
    return {"code": code, "severity": severity, "message": message, "remedy": remedy, "files": list(files)}


def _classes(indexes, num_domains):
    classes = {name for index in indexes.values() for name in index["class"].unique()}
    if len(classes) < 2:
        yield _finding(
            "one-class",
            "error",
            f"{' and '.join(index.attrs['source'] for index in indexes.values())}: "
            f"hold images of {len(classes)} class(es), but a conversion needs two",
            "put the images of each class into a folder of its own, or correct data.source and data.classes",
        )
    for split, index in indexes.items():
        missing = sorted({*classes, *index.attrs["classes"]} - set(index["class"]))
        if missing:
            yield _finding(
                "class-missing",
                "error",
                f"{index.attrs['source']}: the {split} split has no images of {_names(missing)}",
                "give every split images of every class, remove the class, or name the classes in data.classes",
            )
    if num_domains is not None and num_domains != len(classes):
        yield _finding(
            "num-domains",
            "error",
            f"model.num_domains is {num_domains}, but the data has {len(classes)} classes ({_names(classes)})",
            "leave model.num_domains out, or correct the folders",
        )


def _counts(indexes):
    for split, index in indexes.items():
        counts = index["class"].value_counts()
        for name, count in counts[counts < FEWEST[split]].items():
            yield _finding(
                "too-few",
                "error",
                f"{index.attrs['source']}: class {name} has {count} image, but {split} needs {FEWEST[split]}",
                "add images, or leave the class out by data.classes",
            )


def _unreadable(indexes):
    for split, index in indexes.items():
        bad = index[index["error"] != ""]
        if len(bad):
            yield _finding(
                "unreadable",
                "error",
                f"{index.attrs['source']}: {len(bad)} file(s) cannot be used",
                "see each file's line",
                [f"{split}/{row.path}: {row.error}" for row in bad.itertuples()],
            )


def _duplicates(indexes):
    """Pixels that occur in two splits or under two classes; re-encoded copies count."""
    parts = [index.assign(split=split) for split, index in indexes.items() if len(index)]
    if not parts:
        return
    table = pd.concat(parts, ignore_index=True)
    table = table[table["error"] == ""]
    groups = table.groupby("pixels")
    for code, column, what in (
        (
            "identical-across-splits",
            "split",
            "occur in two splits: the numbers of one are not independent of the other",
        ),
        ("identical-across-classes", "class", "occur under two classes: no classifier can tell them apart"),
    ):
        leaks = table[groups[column].transform("nunique") > 1]
        if len(leaks):
            files = [
                " = ".join(f"{row.split}/{row.path}" for row in group.itertuples())
                for _, group in leaks.groupby("pixels")
            ]
            yield _finding(code, "error", f"{len(files)} image(s) {what}", "keep each image in one place", files)


def _strays(indexes):
    for split, index in indexes.items():
        if strays := index.attrs["strays"]:
            yield _finding(
                "stray-files",
                "warning",
                f"{index.attrs['source']}: {len(strays)} file(s) are ignored: no class folder, or no image's name",
                "remove them, or move them into their class folder",
                [f"{split}/{path}" for path in strays],
            )


def _names(classes):
    return ", ".join(sorted(classes))


def _most_common(values, limit=5):
    return {str(value): int(count) for value, count in values.value_counts().head(limit).items()}
