"""The index of a split: one row per image file."""

import hashlib
import os
from functools import partial
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
from PIL import Image

from quac.data.decode import ImageError
from quac.data.images import read_image, to_8_bit, to_channels, to_image
from quac.data.parallel import ordered
from quac.system.console import progress
from quac.system.files import digest_of

BINS = 16
THUMBNAIL = 16  # pixels, a side
AT_A_TIME = 64  # images that a process takes

_LOOKED = {
    "width": 0,
    "height": 0,
    "mode": "",
    "bits": 0,
    "bytes": 0,
    "sha256": "",
    "pixels": "",
    "phash": "",
    "thumbnail": b"",
    "low": 0.0,
    "high": 0.0,
    "histogram": None,
    "error": "",
}
COLUMNS = ["path", "class", "label", "group", "mask", "weight", *_LOOKED]


def build_index(listing, reading, workers=1):
    """Look at every image of a split.

    Args:
        listing: see `quac.data.sources.list_source`.
        reading: see `quac.data.images.read_image`.
        workers: processes.

    Returns:
        `(index, facts)`. The index has a row per image, in the order of the listing, which is by label and path:
        `path` (relative to the fact `base`), `class`, `label` (position of the class), `group`, `mask`, `weight`;
        `width` and `height` (upright), `mode` and `bits` of the file; `bytes`, `sha256` of the file; `pixels`
        (SHA-256 of what is read of it), `phash` (perceptual hash, 64 bits in hex), `thumbnail` (16 x 16 grey
        bytes); `low`, `high` (smallest and largest intensity), `histogram` (shares of the pixels in 16 equal
        bins of the intensities [0, 1]);
        `error`: empty, or why the file cannot be used; and a manifest's further columns.
    """
    look = partial(_look, reading)
    files = [os.path.join(listing.base, image["path"]) for image in listing.images]
    looks = progress(ordered(look, files, workers, AT_A_TIME), "indexing", len(files))
    label_of = {name: label for label, name in enumerate(listing.classes)}
    rows = [
        image | {"label": label_of[image["class"]]} | facts for image, facts in zip(listing.images, looks, strict=True)
    ]
    index = pd.DataFrame(rows, columns=None if rows else COLUMNS)
    further = [name for name in index.columns if name not in COLUMNS]
    return index[[*COLUMNS, *further]], {
        "source": listing.source,
        "base": listing.base,
        "classes": listing.classes,
        "strays": listing.strays,
    }


def _look(reading, file):
    facts = dict(_LOOKED)
    try:
        pixels, decoded = read_image(file, reading)
        content = Path(file).read_bytes()
    except ImageError as error:
        return facts | {"error": str(error)}
    top, grey = np.iinfo(pixels.dtype).max, to_8_bit(to_channels(pixels, 1))
    histogram = np.bincount((grey >> 4).ravel(), minlength=BINS) / grey.size
    return facts | {
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "mode": decoded.mode,
        "bits": decoded.bits,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "pixels": hashlib.sha256(f"{pixels.dtype}{pixels.shape}".encode() + pixels.tobytes()).hexdigest(),
        "phash": str(imagehash.phash(to_image(grey.transpose(2, 0, 1)))),
        "thumbnail": to_image(grey.transpose(2, 0, 1)).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).tobytes(),
        "low": float(pixels.min() / top),
        "high": float(pixels.max() / top),
        "histogram": histogram.tolist(),
    }


def content_digest(index):
    """SHA-256 (hex) of what a network sees of a split: images, their classes and weights, in order."""
    return digest_of(index[["class", "sha256", "weight"]].values.tolist())
