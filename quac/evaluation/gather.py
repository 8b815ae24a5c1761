"""The parts of a conversion that was split over jobs, put together: the same table and images as of one job."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from quac.evaluation.tries import Tries
from quac.system.errors import QuacError
from quac.system.files import link_or_copy


def gather_tries(shards: Mapping[Any, Tries]) -> Tries:
    """Tables of all shards, {path: Tries} in any order -> the table of the whole.

    Raises QuacError if one is missing, or was made by another checkpoint or classifier.
    """
    path, first = next(iter(shards.items()))
    count = first.shard[1]
    if sorted(tries.shard for tries in shards.values()) != [[i, count] for i in range(count)]:
        raise QuacError(
            f"{path}: is one of {count} shards, but the others given are not those. Run the workflow again."
        )
    for other, tries in shards.items():
        if _origin(tries) != _origin(first):
            message = f"was not made from the same inputs as {path}. Delete both and run the workflow again."
            raise QuacError(f"{other}: {message}")
    tables = [tries.table for tries in shards.values() if len(tries.table)]
    whole = pd.concat(tables, ignore_index=True).sort_values("batch", kind="stable", ignore_index=True)
    seconds = sum(tries.provenance["seconds"] for tries in shards.values())
    return replace(first, table=whole, shard=[0, 1], provenance=first.provenance | {"seconds": seconds})


def _origin(tries: Tries) -> tuple[Any, ...]:
    return tries.checkpoint_digest, tries.provenance["keys"], tries.provenance["classifier"]


def gather_images(folders: Iterable[Path], out: Path) -> None:
    """Bring the images of all shards into one folder: as links to the same files, or copies."""
    own = shutil.ignore_patterns(".snakemake_timestamp")  # of each folder: a link would share its time
    for folder in folders:
        shutil.copytree(folder, out, dirs_exist_ok=True, copy_function=link_or_copy, ignore=own)


def gather(parts: Iterable[Path], out: Path, image_folders: Iterable[Path] = (), images: Path | None = None) -> None:
    """Put the shards of a conversion together: their tables, and their folders of images."""
    whole = gather_tries({path: Tries.read(path) for path in parts})
    if images:
        gather_images(image_folders, images)
    whole.write(out)
