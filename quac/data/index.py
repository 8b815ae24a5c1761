"""The index of a split: one row per image file."""

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import imagehash
import numpy as np
import pandas as pd

from quac.console import progress
from quac.data.folders import class_folders, list_images
from quac.data.images import ImageError, read_image
from quac.files import digest_of

COLUMNS = ["path", "class", "label", "width", "height", "mode", "bytes", "sha256", "pixels", "phash", "error"]


def build_index(source, classes=None, threads=1):
    """Look at every image of a split.

    Args:
        source: folder that holds a folder per class.
        classes: class names in their order; None means all folders, sorted.
        threads: number of files read at a time.

    Returns:
        `(index, facts)`. The index has a row per image, sorted by label and
        path: `path` (relative to source), `class`, `label` (position of the
        class), `width`, `height` and `mode` as decoded, `bytes`, `sha256` of
        the file, `pixels` (SHA-256 of the decoded pixels), `phash` (perceptual
        hash, 64 bits in hex), and `error`: empty, or why the file cannot be
        used. Facts are the `classes`, `source` and `strays` (other files).
    """
    images, strays = list_images(source, classes)
    classes = class_folders(source) if classes is None else list(classes)
    with ThreadPoolExecutor(threads) as pool:
        looks = pool.map(lambda image: _look(os.path.join(source, image[1])), images)
        rows = [
            {"path": path, "class": name, "label": classes.index(name), **look}
            for (name, path), look in progress(zip(images, looks, strict=True), "indexing", len(images))
        ]
    index = pd.DataFrame(rows, columns=COLUMNS).sort_values(["label", "path"], ignore_index=True)
    return index, {"source": source, "classes": classes, "strays": strays}


def _look(file):
    facts = {"width": 0, "height": 0, "mode": "", "bytes": 0, "sha256": "", "pixels": "", "phash": "", "error": ""}
    try:
        with open(file, "rb") as opened:
            content = opened.read()
        facts |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        if not content:
            raise ImageError("is empty (0 bytes); replace or remove it")
        image = read_image(file)
    except ImageError as error:
        return facts | {"error": str(error)}
    except OSError as error:
        return facts | {"error": f"cannot be read ({error.strerror}); restore it, or change its permissions"}
    decoded = np.asarray(image)
    return facts | {
        "width": image.width,
        "height": image.height,
        "mode": image.mode,
        "pixels": hashlib.sha256(f"{decoded.shape}".encode() + decoded.tobytes()).hexdigest(),
        "phash": str(imagehash.phash(image)),
    }


def content_digest(index):
    """SHA-256 (hex) of what a network sees of a split: images and their classes, in order."""
    return digest_of(index[["class", "sha256"]].values.tolist())
