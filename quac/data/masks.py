"""Masks: images that say which part of an image is converted, 0 outside and the highest value of their depth inside."""

import os
import zlib
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.ndimage import distance_transform_edt

from quac.config import Config
from quac.data.decode import decode_bytes, read_bytes
from quac.data.decoded import Decoded, ImageError, SeveralPagesError
from quac.data.images import Decoding, resize, to_channels
from quac.data.parallel import map_threads
from quac.data.preprocess import center_crop, crop_of, scaled_size, sizing_of
from quac.system.console import progress
from quac.system.errors import QuacError, bullet_list
from quac.system.files import FilePath

READERS = 4  # threads


def read_mask(path: FilePath, width: int, height: int, decoding: Decoding) -> np.ndarray:
    """The mask of an image of `width` and `height`: (rows, columns, 1) uint16, 65535 inside, of the size of its file.

    Colours are converted to grey, and transparent pixels are outside. Of `decoding`, only `max_pixels` and, for a mask
    with several pages, `page` are used. Raises ImageError if the file cannot be read, has another shape than the image,
    or only values far below its maximum, such as 0 and 1 of 255.
    """
    decoded = _decode(path, decoding)
    values = decoded.values
    rows, columns = values.shape[:2]
    if 2 * abs(columns * height - rows * width) > max(columns + rows, width + height):  # more than rounding does
        raise ImageError(f"has {columns} x {rows} pixels, but the image {width} x {height}; give it the image's shape")
    known = values.dtype.kind == "f" or values.dtype in (np.uint8, np.uint16)
    top = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
    if not known or not ((values >= 0) & (values <= top)).all():
        raise ImageError(
            f"has values of {decoded.bits} bits (mode {decoded.mode}), so that the value of the inside is unknown; "
            "save it with 8 or 16 bits, or from 0.0 to 1.0"
        )
    pixels = (values * (65535 / top) + 0.5).astype(np.uint16)
    mask = to_channels(pixels[:, :, :-1] if decoded.alpha else pixels, 1)
    if decoded.alpha:
        mask = (mask * (pixels[:, :, -1:] / 65535) + 0.5).astype(np.uint16)
    if 0 < mask.max() < 32768:
        highest = f"{mask.max() / 65535 * top:.3g}"
        raise ImageError(f"has no value above {highest}, but the inside is {top}; save it with 0 and {top}")
    return mask


def _decode(path: FilePath, decoding: Decoding) -> Decoded:
    content = read_bytes(path)
    try:
        return decode_bytes(content, None, decoding.max_pixels)  # a mask of one page is that of any page of its image
    except SeveralPagesError:
        return decode_bytes(content, decoding.page, decoding.max_pixels)


def soften(mask: np.ndarray, edge: int) -> np.ndarray:
    """A mask (height, width, 1) uint16 whose border falls off inwards over `edge` pixels; the outside stays outside."""
    if not edge or mask.all():
        return mask
    depth = distance_transform_edt(mask[:, :, 0])[:, :, None]  # 1 for a pixel next to the border
    return (mask * (depth / (edge + 1)).clip(0, 1) + 0.5).astype(np.uint16)


class Masks:
    """The masks of a split, scaled and cropped as the images are.

    `masks[rows]` is float32 (rows, 1, height, width), 1 inside. An image without a mask is inside as a whole.
    """

    def __init__(self, index: pd.DataFrame, config: Config, split: str):
        """`index`: of the split, see `quac.data.index.build_index`."""
        self.edge, self.decoding, self.sizing = config.conversion.mask_edge, config.data, sizing_of(config, split)
        paths = [path and os.path.join(index.attrs["base"], path) for path in index["mask"]]
        self.files = list(zip(paths, index["width"].tolist(), index["height"].tolist(), strict=True))
        self.count = sum(bool(path) for path in paths)
        # row -> compressed mask and its shape: small, so that all can be read before the first is used.
        self.compressed: dict[int, tuple[bytes, tuple[int, ...]]] = {}

    def read(self, rows: Iterable[int], quiet: bool = False) -> None:
        """Read the masks of images, once. Raises QuacError that names all unusable ones. `quiet`: no progress bar."""
        rows = [int(row) for row in rows if self.files[row][0] and row not in self.compressed]
        faults = []
        masks = map_threads(self._read, [self.files[row] for row in rows], READERS)
        bar = progress(masks, "reading masks", len(rows), disable=quiet)
        for row, mask in zip(rows, bar, strict=True):
            if isinstance(mask, ImageError):
                faults.append(f"{self.files[row][0]}: {mask}")
            else:
                self.compressed[row] = mask
        if faults:
            raise QuacError(f"{len(faults)} mask(s) cannot be used:\n{bullet_list(faults, 30)}")

    def __getitem__(self, rows: ArrayLike) -> np.ndarray:
        """The masks of images of one size."""
        compressed = [self.compressed.get(row) for row in np.asarray(rows).tolist()]
        height, width, _ = next((mask[1] for mask in compressed if mask), (1, 1, 1))
        masks = np.ones((len(compressed), 1, height, width), np.float32)
        for mask, content in zip(masks, compressed, strict=True):
            if content:
                mask[:] = np.frombuffer(zlib.decompress(content[0]), np.uint16).reshape(mask.shape)
                mask /= 65535
        return masks

    def _read(self, file: tuple[str, int, int]) -> tuple[bytes, tuple[int, ...]] | ImageError:
        """A compressed mask and its shape, or why it cannot be used."""
        path, width, height = file
        try:
            mask = read_mask(path, width, height, self.decoding)
        except ImageError as error:
            return error
        mask = resize(mask, *scaled_size(width, height, self.sizing))
        if crop_of(self.sizing.preprocess):
            mask = center_crop(mask, self.sizing.img_size)
        mask = soften(mask, self.edge)
        return zlib.compress(mask.tobytes(), 1), mask.shape


def masks_of_stage(index: pd.DataFrame, config: Config, split: str) -> Masks | None:
    """The Masks of a split if `conversion.mask` is set, or None."""
    return Masks(index, config, split) if config.conversion.mask == "paste" else None
