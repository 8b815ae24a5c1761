"""Sources of images as tests write them: folders, manifests, and what is said of wrong ones."""

import json

import pytest
import yaml

from quac.data.sources import list_source
from quac.system.errors import QuacError


def touch(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def touch_all(folder, names):
    for name in names.split():
        touch(folder / name)


def paths(listing):
    return [image["path"] for image in listing.images]


def write_manifest(file, rows):
    """A manifest of any format with rows as dicts, all of the same columns."""
    if file.suffix.lower() in (".csv", ".tsv"):
        comma = "\t" if file.suffix.lower() == ".tsv" else ","
        lines = [comma.join(rows[0]), *(comma.join(map(str, row.values())) for row in rows)]
        file.write_text("\n".join(lines) + "\n")
    elif file.suffix.lower() == ".jsonl":
        file.write_text("\n".join(map(json.dumps, rows)) + "\n")
    else:
        file.write_text(json.dumps(rows) if file.suffix.lower() == ".json" else yaml.safe_dump(rows))
    return str(file)


def refusal(source, split="train", **options):
    with pytest.raises(QuacError) as error:
        list_source(source, split, **options)
    return str(error.value)
