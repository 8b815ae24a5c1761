"""The index of a split: one row per image file."""

import hashlib
import os
from functools import partial
from typing import Any

import imagehash
import numpy as np
import pandas as pd
from PIL import Image

from quac.config import Config
from quac.config.stages import SECTIONS
from quac.data.decode import read_bytes
from quac.data.decoded import ImageError
from quac.data.images import Decoding, decode_image, to_8_bit, to_channels, to_image
from quac.data.parallel import map_processes
from quac.data.sources import Listing, list_source
from quac.system.console import progress
from quac.system.files import json_sha256

BINS = 16
THUMBNAIL = 16  # pixels per side
CHUNK = 64  # images that a worker takes at a time

EMPTY_FACTS: dict[str, Any] = {
    **{"width": 0, "height": 0, "mode": "", "bits": 0, "bytes": 0, "sha256": "", "pixels": "", "phash": ""},
    **{"thumbnail": b"", "low": 0.0, "high": 0.0, "mean": 0.0, "histogram": None, "note": "", "error": ""},
}
COLUMNS = ["path", "class", "label", "group", "mask", "weight", *EMPTY_FACTS]


def index_split(config: Config, split: str, workers: int = 0) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The index of a split of a config, see `build_index`."""
    origin = getattr(config, SECTIONS[split]).origin
    listing = list_source(origin, split, config.data.layout, config.data.classes)
    return build_index(listing, config.data, workers)


def build_index(listing: Listing, decoding: Decoding, workers: int = 0) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read every image of a split, once.

    Args:
        listing: see `quac.data.sources.list_source`.
        workers: processes that decode; 0: this one.

    Returns:
        `(index, facts)`. The index has a row per image, in the order of the listing, which is by label and path:
        `path` (relative to the fact `base`), `class`, `label` (position of the class), `group`, `mask`, `weight`;
        `width` and `height` (upright), `mode` and `bits` of the file; `bytes`, `sha256` of the file; `pixels`
        (SHA-256 of the decoded pixels), `phash` (perceptual hash, 64 bits in hex), `thumbnail` (16 x 16 grey
        bytes); `low`, `high`, `mean` (smallest, largest and mean intensity, of all channels), `histogram` (shares of
        the pixels in 16 equal bins of the intensities [0, 1]); `note`: empty, or what the file leaves open, and how it
        is read; `error`: empty, or why the file cannot be used; and further columns of a manifest.
    """
    files = [os.path.join(listing.base, image["path"]) for image in listing.images]
    facts = map_processes(partial(inspect_file, decoding), files, workers, CHUNK)
    rows = [
        image | {"label": listing.classes.index(image["class"])} | inspected
        for image, inspected in zip(listing.images, progress(facts, "indexing", len(files)), strict=True)
    ]
    index = pd.DataFrame(rows, columns=None if rows else COLUMNS)
    further = [name for name in index.columns if name not in COLUMNS]
    return index[[*COLUMNS, *further]], {name: value for name, value in vars(listing).items() if name != "images"}


def inspect_file(decoding: Decoding, path: str) -> dict[str, Any]:
    """The facts of an image file, `EMPTY_FACTS` filled in; the file is read once."""
    try:
        content = read_bytes(path)
        pixels, decoded = decode_image(content, decoding)
    except ImageError as error:
        return EMPTY_FACTS | {"error": str(error)}
    if decoded.alpha and not decoded.values[:, :, -1].any():
        return EMPTY_FACTS | {"error": "is transparent as a whole; save it without opacity, or remove it"}
    top, grey = np.iinfo(pixels.dtype).max, to_8_bit(to_channels(pixels, 1))
    histogram = np.bincount((grey >> 4).ravel(), minlength=BINS) / grey.size
    return EMPTY_FACTS | {
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "mode": decoded.mode,
        "bits": decoded.bits,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "pixels": hashlib.sha256(f"{pixels.dtype}{pixels.shape}".encode() + pixels.tobytes()).hexdigest(),
        "phash": str(imagehash.phash(to_image(grey))),
        "thumbnail": to_image(grey).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).tobytes(),
        "low": float(pixels.min() / top),
        "high": float(pixels.max() / top),
        "mean": float(pixels.mean() / top),
        "histogram": histogram.tolist(),
        "note": decoded.note,
    }


def content_digest(index: pd.DataFrame) -> str:
    """SHA-256 (hex) of the images of a split, their classes and weights, in order; file names do not count."""
    return json_sha256(index[["class", "sha256", "weight"]].values.tolist())
