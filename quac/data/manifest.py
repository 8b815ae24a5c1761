"""Manifests: lists of images with their classes, as CSV, TSV, JSON, JSON lines or YAML."""

import csv
import io
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quac.data.folders import IMAGE_SUFFIXES, is_image, is_utf8
from quac.system.errors import QuacError, bullet_list
from quac.system.hand_written import parse_hand_written
from quac.system.paths import expand_path
from quac.system.spreadsheets import csv_plain

ENDINGS = {".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml"}
BY_LINE = {".csv", ".tsv", ".jsonl"}  # a row is a line
COLUMNS = ("path", "class", "split", "group", "mask")
EMPTY_STEP = re.compile(r"^(?:\./+)+|(?<=/)(?:\.?/+)+")  # ./a//b.png and a/b.png are one file
SPLIT_NAMES = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}

Rows = list[tuple[int, dict[str, Any]]]  # number of the line or entry, and its values by column
Faults = list[tuple[int, str]]  # number of the line or entry, and what is wrong with it


def is_manifest(source: str) -> bool:
    """Whether a source is named as a manifest and not a folder."""
    return _ending(source) in ENDINGS and not os.path.isdir(source)


def read_manifest(source: str, split: str | None = None) -> tuple[list[str], list[dict[str, str]]]:
    """The classes of all rows of a manifest, sorted, and the images of the rows of a split.

    All rows are chosen if `split` is None, or there is no column `split`. An image is a dict: `path` (as written, but
    without `./` and `//`), `class`, `group` and `mask` ("" if there is none), and `manifest.<column>` (text) for each
    further column. Raises QuacError that lists every faulty row, by its line or number, with the remedy.
    """
    rows, faults = _read_rows(source)
    columns = dict.fromkeys(column for _, row in rows for column in row)
    further = [column for column in columns if column not in COLUMNS]
    noun, top = "line" if _ending(source) in BY_LINE else "entry", os.path.abspath(os.path.dirname(source))
    images: list[tuple[str | None, dict[str, str]]] = []
    seen: dict[tuple[str, str | None], int] = {}  # file and split -> number of the row
    for number, row in rows:
        known, wrong = _known_values(row, "split" in columns, top)
        row_split = split and SPLIT_NAMES.get(known["split"], split)
        image = {column: known[column] for column in ("path", "class", "group", "mask")}
        image |= {f"manifest.{column}": _text(row.get(column)) for column in further}
        if not is_utf8("".join([*image, *image.values()])):
            wrong = ["holds half a surrogate pair, which is not valid text; correct it"]
        file = os.path.normpath(os.path.join(top, known["path"]))
        if not wrong and (first := seen.setdefault((file, row_split), number)) != number:
            where = f" for the {row_split} split" if "split" in columns and split else ""
            wrong.append(f"path {known['path']} is in {noun} {first} already{where}; remove one of the two")
        faults += [(number, what) for what in wrong]
        images.append((row_split, image))
    named = (image[column] for _, image in images for column in ("path", "mask"))
    backslashes = [path for path in named if _is_of_windows(top, path)]
    if backslashes:
        raise QuacError(
            f"{source}: {len(backslashes)} path(s) hold \\, such as {backslashes[0]}, and there is no such file; "
            "write / for \\, and paths relative to the list"
        )
    if faults:
        listed = bullet_list([f"{noun} {number}: {what}" for number, what in sorted(faults)], 30)
        raise QuacError(f"{source}: the manifest has faults:\n{listed}")
    chosen = [image for row_split, image in images if row_split == split]
    if not chosen:
        raise QuacError(f"{source}: has no rows of the {split} split; add them, or name another source for it")
    return sorted({image["class"] for _, image in images}), chosen


def _ending(source: str) -> str:
    return os.path.splitext(source)[1].lower()


def _is_of_windows(top: str, path: str) -> bool:
    """Whether a path is written with backslashes, which a name may hold, too."""
    return "\\" in path and "\0" not in path and not os.path.exists(os.path.join(top, path))


def _known_values(row: Mapping[str, Any], with_split: bool, folder: str) -> tuple[dict[str, str], list[str]]:
    """A row's values of COLUMNS as text, and what is wrong with them; `folder`: of the manifest."""
    values = {column: _text(row.get(column)) for column in COLUMNS}
    # By type(), because isinstance would accept True as an int.
    odd = [column for column in COLUMNS if type(row.get(column)) not in (str, int, type(None))]
    if odd:
        return values, [f"{column} is {row[column]!r}, which is not text; put it in quotes" for column in odd]
    empty = [column for column in ("path", "class") if not values[column].strip()]
    wrong = [f"has no {column}; fill it in, or remove the row" for column in empty]
    if with_split and values["split"] not in SPLIT_NAMES:
        wrong.append(f"split is {values['split']!r}; write train, validation or test")
    if values["path"].strip() and not is_image(values["path"]):
        endings = ", ".join(sorted(IMAGE_SUFFIXES))
        wrong.append(f"path {values['path']} has no ending of an image ({endings}); correct or remove it")
    for column in ("path", "mask"):
        if "\0" in values[column]:
            wrong.append(f"{column} {values[column]!r} holds a NUL character, which file names cannot; correct it")
        elif values[column]:
            try:
                values[column] = EMPTY_STEP.sub("", expand_path(values[column], folder))
            except QuacError as error:
                wrong.append(f"{column} {error}")
    return values, wrong


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _read_rows(source: str) -> tuple[Rows, Faults]:
    """The rows of a manifest, and the faults of lines or entries that are not rows."""
    try:
        if os.path.exists(source) and not os.path.isfile(source):
            raise QuacError(f"{source}: is not a regular file, but a pipe or a device; save the list as a file")
        text = Path(source).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise QuacError(f"{source}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except FileNotFoundError:
        raise QuacError(f"{source}: file not found. Check the path.") from None
    except OSError as error:
        raise QuacError(f"{source}: cannot be read ({str(error.strerror).lower()}); change its permissions") from None
    ending = _ending(source)
    if ending in (".csv", ".tsv"):
        rows, faults = _read_csv(source, text, "\t" if ending == ".tsv" else ",")
    else:
        rows, faults = _read_lines(text) if ending == ".jsonl" else _read_list(source, text)
    if not rows and not faults:
        raise QuacError(f"{source}: has no rows; add one for each image, with its path and class")
    return rows, faults


def _read_csv(source: str, text: str, delimiter: str) -> tuple[Rows, Faults]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    commas = "tabs" if delimiter == "\t" else "commas"
    header: list[str] | None = None
    rows: Rows = []
    faults: Faults = []
    line = 1
    try:
        for values in reader:
            number, line = line, reader.line_num + 1
            values = [csv_plain(value) for value in values]
            if not values:
                continue
            if header is None:
                header = _checked_header(f"{source}: line {number}", values, commas)
            elif len(values) != len(header):
                faults.append(
                    (number, f"has {len(values)} values, not {len(header)}; put those with {commas} in quotes")
                )
            else:
                rows.append((number, dict(zip(header, values, strict=True))))
    except csv.Error as error:
        raise QuacError(
            f"{source}: line {line}: cannot be read as {_ending(source)[1:].upper()} ({error}); correct its quotes"
        ) from None
    return rows, faults


def _checked_header(place: str, header: list[str], commas: str) -> list[str]:
    if missing := [column for column in ("path", "class") if column not in header]:
        raise QuacError(
            f"{place}: has no column {' and no column '.join(missing)}, but {header}; "
            f"the first line must name the columns, with {commas} between them"
        )
    if twice := sorted({column for column in header if header.count(column) > 1}):
        raise QuacError(f"{place}: has a column twice ({', '.join(twice)}); rename or remove one")
    return header


def _read_lines(text: str) -> tuple[Rows, Faults]:
    rows: Rows = []
    faults: Faults = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            faults.append((number, f"cannot be read as JSON ({error}); correct it"))
            continue
        if type(row) is dict:
            rows.append((number, row))
        else:
            faults.append((number, "is not a mapping; write one (path, class, ...) per line"))
    return rows, faults


def _read_list(source: str, text: str) -> tuple[Rows, Faults]:
    remedy = "write a list of one mapping (path, class, ...) per image"
    entries = parse_hand_written(text, source, COLUMNS)
    entries = [] if entries is None else entries
    if not isinstance(entries, list):
        raise QuacError(f"{source}: is not a list of mappings; {remedy}")
    numbered = list(enumerate(entries, 1))
    rows = [(number, {str(key): value for key, value in row.items()}) for number, row in numbered if type(row) is dict]
    return rows, [(number, f"is not a mapping; {remedy}") for number, row in numbered if type(row) is not dict]
