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
from quac.data.decoded import Decoded, ImageError
from quac.data.file_formats import format_of
from quac.data.images import Decoding, Limits, decode_image, to_8_bit, to_channels, to_image, to_intensities
from quac.data.parallel import map_processes
from quac.data.sources import Listing, list_source
from quac.system.console import progress
from quac.system.files import json_sha256

BINS = 16
THUMBNAIL = 16  # pixels per side
HASHED = 32  # pixels per side of what a perceptual hash is computed from
TAIL = 0.001  # of the values of an image, on either side, that `common_low` and `common_high` leave out
SAMPLED = 2**16  # values of an image, at most about twice as many, of which these are computed
CHUNK = 64  # images that a worker takes at a time

EMPTY_FACTS: dict[str, Any] = {
    **{"width": 0, "height": 0, "mode": "", "bits": 0, "bytes": 0, "sha256": "", "pixels": "", "phash": ""},
    **{"thumbnail": b"", "low": 0.0, "high": 0.0, "mean": 0.0, "histogram": None, "note": "", "error": ""},
    **{"lowest": np.nan, "highest": np.nan, "common_low": np.nan, "common_high": np.nan, "clipped": 0.0},
    **{"format": "", "quality": 0},
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
        (SHA-256 of the decoded pixels), `phash` (perceptual hash, 64 bits in hex), `thumbnail` (16 x 16 grey bytes
        from its darkest to its brightest; neither depends on `data.range`, or on how bright the image is); `low`,
        `high`, `mean` (smallest, largest and mean intensity, of all channels), `histogram` (shares of the pixels in 16
        equal bins of the intensities [0, 1]); `note`: empty, or what the file leaves open, and how it is read; `error`:
        empty, or why the file cannot be used; `lowest`, `highest` (smallest and largest value in the file),
        `common_low`, `common_high` (the same without TAIL of the values on either side), `clipped` (share of the values
        outside `data.range`); `format`, `quality`, see `quac.data.file_formats.format_of`; and further columns of a
        manifest.
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
        **_alike(decoded, pixels, decoding),
        "low": float(pixels.min() / top),
        "high": float(pixels.max() / top),
        "mean": float(pixels.mean() / top),
        "histogram": histogram.tolist(),
        "note": decoded.note,
        **_values(decoded, decoding.range),
        **format_of(content),
    }


def _alike(decoded: Decoded, pixels: np.ndarray, decoding: Decoding) -> dict[str, Any]:
    """The perceptual hash and the thumbnail: of an image of few intensities, such as 12 bits in 16, all of them count.

    They are those of the values in the file, whatever `decoding.range` makes of them.
    """
    if decoding.range is not None:
        values = decoded.values
        limits = None if values.dtype in (np.uint8, np.uint16) else _extremes(values[np.isfinite(values)])
        pixels = to_intensities(decoded, limits, decoding.background)
    grey = Image.fromarray(to_channels(pixels, 1)[:, :, 0].astype(np.float32))
    return {
        "phash": str(imagehash.phash(_shrunk(grey, HASHED, Image.Resampling.LANCZOS))),
        "thumbnail": _shrunk(grey, THUMBNAIL, Image.Resampling.BOX).tobytes(),
    }


def _shrunk(grey: Image.Image, side: int, how: Image.Resampling) -> Image.Image:
    """An image of 8 bits of a float one: a square, with the darkest pixel at 0 and the brightest at 255."""
    values = np.asarray(grey.resize((side, side), how), np.float64)
    low, high = _extremes(values)
    return to_image(((values - low) * 255 / (high - low) + 0.5).astype(np.uint8)[:, :, None])


def _extremes(values: np.ndarray) -> Limits:
    """Smallest and largest of the values; two different numbers even if they are all equal."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    return low, high if high > low else low + 1


def _values(decoded: Decoded, limits: Limits | None) -> dict[str, float]:
    """Facts of the values in the file, without those that are transparent or not finite."""
    values = decoded.values
    values = values[:, :, :-1][values[:, :, -1] > 0] if decoded.alpha else values
    values = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
    if not values.size:
        return {}
    sample = values[:: max(1, len(values) // SAMPLED)]
    clipped = 0.0 if limits is None else float(((values < limits[0]) | (values > limits[1])).mean())
    return {
        "lowest": float(values.min()),
        "highest": float(values.max()),
        "common_low": float(np.quantile(sample, TAIL, method="higher")),
        "common_high": float(np.quantile(sample, 1 - TAIL, method="lower")),
        "clipped": clipped,
    }


def content_digest(index: pd.DataFrame) -> str:
    """SHA-256 (hex) of the images of a split, their classes and weights, in order; file names do not count."""
    return json_sha256(index[["class", "sha256", "weight"]].values.tolist())
