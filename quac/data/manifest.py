"""Manifests: lists of images with their classes, as CSV, JSON or YAML."""

import csv
import io
import json
import os
import re
from pathlib import Path

import yaml

from quac.data.folders import IMAGE_SUFFIXES, is_image
from quac.system.errors import QuacError, listing

ENDINGS = {".csv", ".json", ".yaml", ".yml"}
COLUMNS = ("path", "class", "split", "group", "mask")
NOTHING_STEP = re.compile(r"^(?:\./+)+|(?<=/)(?:\.?/+)+")  # ./a//b.png and a/b.png are one file
SPLIT_NAMES = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


def is_manifest(source):
    return os.path.splitext(source)[1].lower() in ENDINGS and not os.path.isdir(source)


def read_manifest(source, split=None):
    """The images that a manifest lists.

    Args:
        source: .csv, .json, .yaml or .yml file.
        split: train, validation or test: its rows, or all where there is no column `split`; None means all.

    Returns:
        `(classes, images)`: the names of the classes of all rows, sorted, and a dict per chosen row: `path` (as it is
        written, but for `./` and `//`), `class`, `group` and `mask` ("" where there is none), and
        `manifest.<column>` (text) for each further column.

    Raises QuacError with every faulty row, by its line or number, and the remedy.
    """
    rows, faults = _read_rows(source)
    columns = dict.fromkeys(column for _, row in rows for column in row)
    further = [column for column in columns if column not in COLUMNS]
    noun, base = "line" if _is_csv(source) else "entry", os.path.dirname(source)
    images, seen, top = [], {}, os.path.abspath(base)
    for number, row in rows:
        known, wrong = _known_values(row, "split" in columns)
        row_split = split and SPLIT_NAMES.get(known["split"], split)
        image = {column: known[column] for column in ("path", "class", "group", "mask")}
        image |= {f"manifest.{column}": _text(row.get(column)) for column in further}
        if not _is_text(image):
            wrong = ["holds half a surrogate pair, which is no text; correct it"]
        file = os.path.normpath(os.path.join(top, known["path"]))
        if not wrong and (first := seen.setdefault((file, row_split), number)) != number:
            again = f" for the {row_split} split" if "split" in columns and split else ""
            wrong.append(f"path {known['path']} is in {noun} {first} already{again}; remove one of the two")
        faults += [(number, what) for what in wrong]
        images.append((row_split, image))
    if faults:
        said = listing([f"{noun} {number}: {what}" for number, what in sorted(faults)], 30)
        raise QuacError(f"{source}: the manifest has faults:\n{said}")
    chosen = [image for row_split, image in images if row_split == split]
    if not chosen:
        raise QuacError(f"{source}: has no rows of the {split} split; add them, or name another source for it")
    return sorted({image["class"] for _, image in images}), chosen


def _is_csv(source):
    return source.lower().endswith(".csv")


def _known_values(row, with_split):
    """A row's values of COLUMNS as text, and what is wrong with them."""
    values, wrong = {}, []
    for column in COLUMNS:
        value = row.get(column)
        if type(value) not in (str, int, type(None)):  # (True is an int by isinstance)
            wrong.append(f"{column} is {value!r}, which is no text; put it in quotes")
        values[column] = _text(value)
    if wrong:
        return values, wrong
    for column in ("path", "class"):
        if not values[column].strip():
            wrong.append(f"has no {column}; fill it in, or remove the row")
    if with_split and values["split"] not in SPLIT_NAMES:
        wrong.append(f"split is {values['split']!r}; write train, validation or test")
    if values["path"].strip() and not is_image(values["path"]):
        endings = ", ".join(sorted(IMAGE_SUFFIXES))
        wrong.append(f"path {values['path']} does not end as an image's ({endings}); correct or remove it")
    for column in ("path", "mask"):
        if "\0" in values[column]:
            wrong.append(f"{column} {values[column]!r} holds a NUL character, which no file name can; correct it")
        elif values[column]:
            values[column] = NOTHING_STEP.sub("", values[column])
    return values, wrong


def _text(value):
    return value if isinstance(value, str) else "" if value is None else str(value)


def _is_text(image):
    try:
        "".join(map(str, [*image, *image.values()])).encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_rows(source):
    """What a manifest holds: `(rows, faults)`.

    Rows are `(number, {column: value})`, where the number is that of the line
    or entry; faults are `(number, what is wrong)`, for those that are no rows.
    """
    try:
        text = Path(source).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise QuacError(f"{source}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except FileNotFoundError:
        raise QuacError(f"{source}: does not exist; correct the path") from None
    except OSError as error:
        raise QuacError(f"{source}: cannot be read ({error.strerror.lower()}); change its permissions") from None
    rows, faults = _read_csv(source, text) if _is_csv(source) else _read_list(source, text)
    if not rows and not faults:
        raise QuacError(f"{source}: holds no rows; write one for each image, with its path and class")
    return rows, faults


def _read_csv(source, text):
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header, rows, faults, line = None, [], [], 1
    try:
        for values in reader:
            number, line = line, reader.line_num + 1
            if not values:
                continue
            if header is None:
                header = _checked_header(f"{source}: line {number}", values)
            elif len(values) != len(header):
                faults.append((number, f"has {len(values)} values, not {len(header)}; put those with commas in quotes"))
            else:
                rows.append((number, dict(zip(header, values, strict=True))))
    except csv.Error as error:
        raise QuacError(f"{source}: line {line}: cannot be read as CSV ({error}); correct its quotes") from None
    return rows, faults


def _checked_header(place, header):
    missing = [column for column in ("path", "class") if column not in header]
    if missing:
        raise QuacError(
            f"{place}: names no column {' and no column '.join(missing)}, but {header}; "
            "the first line must name the columns, with commas between them"
        )
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise QuacError(f"{place}: names a column twice ({', '.join(twice)}); rename or remove one")
    return header


def _read_list(source, text):
    remedy = "write a list of one mapping (path, class, ...) per image"
    try:
        entries = json.loads(text) if source.lower().endswith(".json") else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise QuacError(f"{source}: cannot be read: {' '.join(str(error).split())}; {remedy}") from None
    entries = [] if entries is None else entries
    if not isinstance(entries, list):
        raise QuacError(f"{source}: is not a list of mappings; {remedy}")
    rows, faults = [], []
    for number, entry in enumerate(entries, 1):
        if isinstance(entry, dict):
            rows.append((number, {str(column): value for column, value in entry.items()}))
        else:
            faults.append((number, f"is no mapping; {remedy}"))
    return rows, faults
