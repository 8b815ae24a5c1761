"""Pixels -> a file of the format and the depth of another: the way back from `quac.data.images.read_image`."""

from pathlib import Path

import numpy as np
from PIL import Image

from quac.data.decode import ImageError
from quac.data.images import to_8_bit
from quac.system.files import whole

# Pillow's name and options of formats of 8 bits. (A PNG and a TIFF may be deeper.)
_SHALLOW = {
    ".png": ("PNG", {}),
    ".bmp": ("BMP", {}),
    ".webp": ("WEBP", {"lossless": True}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
}


def encode(path, pixels, decoded, limits=None, kept=None):
    """Write pixels to a file, whole or not at all; its ending says the format.

    Args:
        pixels: (height, width, 1 or 3) uint16 that spans the range of intensities [0, 1].
        decoded: the image (`quac.data.decode.Decoded`) whose kind of values the file will have.
        limits: lowest and highest value, `data.range`, which 0 and 1 become; None: the range of the depth.
        kept: (height, width) bool, where the values of `decoded` stay, also those beyond `limits`; None: nowhere.

    A JPEG loses a little, of the quality 95; the others nothing. Raises ImageError where the format has no such values.
    """
    values, ending = _values(pixels, decoded.values.dtype, limits), Path(path).suffix.lower()
    if kept is not None and not decoded.alpha:
        values[kept] = decoded.values[kept]
    deep = values.dtype != np.uint8
    if deep and ending not in (".tif", ".tiff") and (ending, values.dtype) != (".png", np.uint16):
        raise ImageError(
            f"has values of {decoded.bits} bits (mode {decoded.mode}), which a {ending} cannot hold; "
            "let its name end as it is"
        )
    flat = values[:, :, 0] if values.shape[2] == 1 else values
    with whole(path) as temporary:
        if ending in (".tif", ".tiff"):
            import tifffile  # here only, as in `decode`

            tifffile.imwrite(temporary, flat, photometric="rgb" if flat.ndim == 3 else "minisblack", metadata=None)
        elif deep:
            import imagecodecs

            temporary.write_bytes(imagecodecs.png_encode(flat))
        else:
            name, options = _SHALLOW[ending]
            try:
                Image.fromarray(flat).save(temporary, format=name, **options)
            except ValueError as error:  # such as a side that is too long for the format
                raise ImageError(
                    f"its result cannot be written as {name} ({error}); let its name end otherwise"
                ) from None


def _values(pixels, dtype, limits):
    """uint16 that spans [0, 1] -> values as the file has them."""
    if limits is None:
        return to_8_bit(pixels) if dtype == np.uint8 else pixels
    low, high = limits
    values = low + pixels * ((high - low) / 65535)
    if dtype.kind in "ui":
        values = np.rint(values).clip(np.iinfo(dtype).min, np.iinfo(dtype).max)
    return values.astype(dtype)
