"""Masks: images that say which part of an image is converted, 0 outside and the highest value of their depth inside."""

import os
import zlib
from functools import partial

import numpy as np
from scipy.ndimage import distance_transform_edt

from quac.data.decode import ImageError, decode
from quac.data.images import resize, to_channels
from quac.data.parallel import in_threads
from quac.data.preprocess import crop_of, middle, scaled_size
from quac.system.console import progress
from quac.system.errors import QuacError, listing

READERS = 4  # threads


def read_mask(path, width, height, reading):
    """The mask of an image of a width and a height -> (rows, columns, 1) uint16 that spans [0, 1], of its file's size.

    Colours are taken as grey, and what is transparent lies outside. `reading` gives `page` and `max_pixels`, see
    `quac.data.images.read_image`. Raises ImageError where it cannot be read, is of another shape than the image, or
    has only values far below its highest, such as 0 and 1 of 255.
    """
    decoded = decode(path, reading.page, reading.max_pixels)
    values = decoded.values
    rows, columns = values.shape[:2]
    if 2 * abs(columns * height - rows * width) > max(columns + rows, width + height):  # beyond what rounding does
        raise ImageError(f"has {columns} x {rows} pixels, but the image {width} x {height}; give it the image's shape")
    top = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
    deep = values.dtype.kind == "u" and values.dtype.itemsize > 2
    if deep or values.dtype.kind not in "uf" or not ((values >= 0) & (values <= top)).all():
        raise ImageError(
            f"has values of {decoded.bits} bits (mode {decoded.mode}), of which nothing tells the inside; "
            "save it with 8 or 16 bits, or from 0.0 to 1.0"
        )
    pixels = (values * (65535 / top) + 0.5).astype(np.uint16)
    if decoded.alpha:
        mask = to_channels(pixels[:, :, :-1], 1) * (pixels[:, :, -1:] / 65535) + 0.5
    else:
        mask = to_channels(pixels, 1)
    mask = mask.astype(np.uint16)
    if 0 < mask.max() < 32768:
        highest = f"{mask.max() / 65535 * top:.3g}"
        raise ImageError(f"has no value above {highest}, but the inside is {top}; save it with 0 and {top}")
    return mask


def soften(mask, edge):
    """A mask (height, width, 1) whose border falls off inwards, over `edge` pixels; what is outside stays outside."""
    if not edge or mask.all():
        return mask
    depth = distance_transform_edt(mask[:, :, 0])[:, :, None]  # of a pixel beside the border: 1
    return (mask * (depth / (edge + 1)).clip(0, 1) + 0.5).astype(np.uint16)


class Masks:
    """The masks of a split, as the networks' images are: `masks[rows]` is float32 (rows, 1, height, width), 1 inside.

    An image without one is inside as a whole.
    """

    def __init__(self, index, settings):
        """
        Args:
            index: see `quac.data.index.build_index`.
            settings: `edge`, see `soften`, in pixels of the networks' images; `img_size`, `preprocess`, `load_size` and
                `reading`, those of the store.
        """
        self.settings = settings
        paths = [path and os.path.join(index.attrs["base"], path) for path in index["mask"]]
        self.files = list(zip(paths, index["width"].tolist(), index["height"].tolist(), strict=True))
        self.count = sum(bool(path) for path in paths)
        self.packed = {}  # row -> its mask: so small that all can be read, and refused, before the first is used

    def read(self, rows, quiet=False):
        """Read the masks of images, once. Raises QuacError that names all that cannot be used."""
        rows = [int(row) for row in rows if self.files[row][0] and row not in self.packed]
        read, faults = partial(_read, self.settings), []
        found = in_threads(read, [self.files[row] for row in rows], READERS)
        bar = progress(found, "reading masks", len(rows), disable=quiet)
        for row, (mask, error) in zip(rows, bar, strict=True):
            self.packed[row] = mask
            faults += [f"{self.files[row][0]}: {error}"] if error else []
        if faults:
            raise QuacError(f"{len(faults)} mask(s) cannot be used:\n{listing(faults, 30)}")

    def __getitem__(self, rows):
        """Of images of one size."""
        masks = [self._unpacked(row) for row in rows]
        whole = np.ones_like(next((mask for mask in masks if mask is not None), np.ones((1, 1, 1), np.float32)))
        return np.stack([whole if mask is None else mask for mask in masks])

    def _unpacked(self, row):
        if row not in self.packed:
            return None
        packed, shape = self.packed[row]
        return np.frombuffer(zlib.decompress(packed), np.uint16).reshape(1, *shape).astype(np.float32) / 65535


def masks_of_stage(index, settings):
    """The Masks that a stage's settings ask for, of an index; or None."""
    return Masks(index, settings.mask) if hasattr(settings, "mask") else None


def _read(settings, file):
    """(a mask, packed, and its shape), and None; or None, and why it cannot be used."""
    path, width, height = file
    try:
        mask = read_mask(path, width, height, settings.reading)
    except ImageError as error:
        return None, error
    mask = resize(mask, *scaled_size(width, height, settings))
    if crop_of(settings.preprocess):
        mask = middle(mask, settings.img_size)
    mask = soften(mask, settings.edge)
    return (zlib.compress(mask.tobytes(), 1), mask.shape[:2]), None
