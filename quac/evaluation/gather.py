"""The parts of a conversion that was split over jobs, put together: what one job would have made."""

import os
import shutil
from pathlib import Path

import pandas as pd

from quac.system.errors import QuacError


def gather_tables(tables):
    """Tables of all shards, {path: table} in any order -> the table of the whole, with its attributes.

    Raises QuacError where one is missing, or made by another checkpoint or classifier.
    """
    shards = {path: table.attrs for path, table in tables.items()}
    path, attributes = next(iter(shards.items()))
    count = attributes["shard"][1]
    if sorted(one["shard"] for one in shards.values()) != [[i, count] for i in range(count)]:
        raise QuacError(
            f"{path}: is one of {count} shards, but the others given are not those; run the same command again"
        )
    for other, found in shards.items():
        if any(_made_of(found)[name] != value for name, value in _made_of(attributes).items()):
            raise QuacError(f"{other}: was not made from what {path} was; delete both and run the same command again")
    whole = pd.concat([table for table in tables.values() if len(table)], ignore_index=True).sort_values(
        "batch", kind="stable", ignore_index=True
    )
    record = attributes["provenance"] | {"seconds": sum(one["provenance"]["seconds"] for one in shards.values())}
    whole.attrs = {**attributes, "shard": [0, 1], "provenance": record}
    return whole


def _made_of(attributes):
    record = attributes["provenance"]
    return {"checkpoint": attributes["checkpoint_digest"], "keys": record["keys"], "classifier": record["classifier"]}


def gather_images(folders, out):
    """Bring the images of all shards into one folder: as links to the same files, or copies."""
    for folder in folders:
        shutil.copytree(folder, out, dirs_exist_ok=True, copy_function=_link)


def _link(source, target):
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copyfile(source, target)
