"""A file on disk -> its pixels as they are: every depth, every mode, no scaling."""

import os
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from quac.system.errors import QuacError, lines_of

Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit is one for all programs; ours is data.max_pixels

_ONE_PICTURE = {"MPO"}  # formats whose further frames are previews or other views of the same picture
_TURNS = {  # EXIF orientation -> what puts the rows and columns right
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


class ImageError(QuacError):
    """Why a file cannot be used as an image; the message does not name the file."""


@dataclass(frozen=True)
class Decoded:
    """An image as its file holds it, upright."""

    values: np.ndarray  # (height, width, samples): uint8, uint16, or of another kind, which has no range of its own
    mode: str  # Pillow's word for it; `;16` and so on where the samples are deeper than its mode says
    bits: int  # a sample: 1, 8, 16, 32, 64

    @property
    def alpha(self):
        """Whether the last sample is the opacity."""
        return self.values.shape[2] in (2, 4)


def decode(path, page=None, max_pixels=None):
    """Read a file.

    Args:
        page: which page, from 0, of a file that has several; None: there must be one.
        max_pixels: the largest width times height.

    Raises ImageError with the reason and the remedy where the file is empty,
    truncated, no image, animated, too large, or of a kind that is not known.
    """
    try:
        return _decode(path, page, max_pixels)
    except FileNotFoundError:
        raise ImageError("does not exist, or is a broken link; restore or remove it") from None
    except PermissionError:
        raise ImageError("may not be read; change its permissions") from None
    except IsADirectoryError:
        raise ImageError("is a folder; rename or remove it") from None
    except UnidentifiedImageError:
        raise ImageError("is not an image; replace or remove it") from None
    except ImageError:
        raise
    except MemoryError:
        raise ImageError("does not fit into memory; resize it, or lower data.max_pixels") from None
    except Exception as error:  # whatever a decoder trips over, it is the file's fault
        reason = lines_of(error)[0]
        raise ImageError(f"cannot be decoded ({reason}); replace or remove it") from None


def _decode(path, page, max_pixels):
    if os.path.getsize(path) == 0:
        raise ImageError("is empty (0 bytes); replace or remove it")
    try:
        image = Image.open(path)
    except UnidentifiedImageError:
        if _is_tiff(path):  # such as float64, or float in three channels
            return _decode_tiff(path, page, max_pixels)
        raise
    with image:
        _require_size(image.width, image.height, max_pixels)
        frames = 1 if image.format in _ONE_PICTURE else getattr(image, "n_frames", 1)
        if image.format == "TIFF":
            image.seek(_chosen_page(page, frames))
            _require_size(image.width, image.height, max_pixels)
            if not _pillow_is_right(image.tag_v2):
                return _decode_tiff(path, page, max_pixels)
        elif frames > 1:
            raise ImageError(f"is animated ({frames} frames); save the one that is meant as an image of its own")
        if _is_deep_png(path, image):
            values, mode, bits = _deep_png(path), f"{image.mode};16", 16
        else:
            image.load()
            values, mode, bits = _samples(image)
        orientation = 1
        with suppress(Exception):  # a damaged EXIF block says nothing of the pixels
            orientation = image.getexif().get(0x0112, 1)
    return Decoded(_TURNS.get(orientation, lambda a: a)(values), mode, bits)


def _require_size(width, height, max_pixels):
    if max_pixels and width * height > max_pixels:
        raise ImageError(
            f"has {width} x {height} pixels, more than data.max_pixels ({max_pixels:,}); resize it, or raise the limit"
        )


def _chosen_page(page, pages):
    if page is None and pages > 1:
        raise ImageError(f"has {pages} pages; say which one is meant by data.page (from 0), or save it alone")
    if page is not None and page >= max(pages, 1) and pages > 1:
        raise ImageError(f"has {pages} pages, but data.page is {page} (from 0); lower it, or replace the file")
    return page if page and pages > 1 else 0


def _samples(image):
    """Pillow's image -> (height, width, samples), mode, bits."""
    mode, bits = image.mode, 8
    if mode in ("1", "L", "P", "RGB") and "transparency" in image.info:
        image = image.convert("LA" if mode in ("1", "L") else "RGBA")
    elif mode == "1":
        image, bits = image.convert("L"), 1
    elif mode in ("P", "CMYK", "YCbCr", "RGBX"):
        image = image.convert("RGB")
    elif mode in ("PA", "RGBa"):
        image = image.convert("RGBA")
    elif mode == "La":
        image = image.convert("LA")
    elif mode in ("I", "F") or mode.startswith("I;16"):
        bits = 16 if mode != "I" and mode != "F" else 32
    elif mode not in ("L", "LA", "RGB", "RGBA"):
        raise ImageError(f"has mode {mode}, which is not known; save it as grey or RGB")
    values = np.asarray(image)
    if values.dtype.byteorder == ">":
        values = values.astype(values.dtype.newbyteorder("="))
    return values if values.ndim == 3 else values[:, :, None], mode, bits


def _is_deep_png(path, image):
    """Whether a PNG has 16 bits in several samples; Pillow would drop half of them."""
    if image.format != "PNG" or image.mode.startswith("I"):
        return False
    with open(path, "rb") as file:
        return file.read(25)[24] == 16


def _deep_png(path):
    import imagecodecs  # here only: few files need it

    return imagecodecs.imread(path, codec="png")


def _is_tiff(path):
    with open(path, "rb") as file:
        return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _pillow_is_right(tags):
    """Whether Pillow reads a TIFF as it is. Not where samples are deep, signed or paired, or rows stand for columns."""
    bits, samples, formats = max(tags.get(258, (1,))), tags.get(277, 1), set(tags.get(339, (1,)))
    return bits <= 8 and samples != 2 and formats == {1} and tags.get(0x0112, 1) <= 4


def _decode_tiff(path, page, max_pixels):
    """A TIFF that Pillow does not read, or not rightly."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        chosen = file.pages[_chosen_page(page, len(file.pages))]
        _require_size(chosen.imagewidth, chosen.imagelength, max_pixels)
        values, tag = chosen.asarray(), chosen.tags.get(0x0112)
        if chosen.axes == "SYX":
            values = values.transpose(1, 2, 0)
        photometric, extra = chosen.photometric.name, [int(sample) for sample in chosen.extrasamples]
    values = values if values.ndim == 3 else values[:, :, None]
    colours = {"MINISBLACK": 1, "MINISWHITE": 1, "RGB": 3}.get(photometric)
    opaque = extra[:1] in ([1], [2])
    if values.ndim != 3 or values.shape[2] - (colours or 0) not in ((0, 1) if opaque or colours == 3 else (0,)):
        raise ImageError(
            f"has the shape {values.shape} and the colours {photometric.lower()}; "
            "save it as grey or RGB, with or without opacity, a channel to a file"
        )
    if values.dtype == bool:
        values = values * np.uint8(255)
    if photometric == "MINISWHITE":
        if values.dtype.kind != "u":
            raise ImageError("has values of which 0 is white, but no highest one; save it with 0 as black")
        values[:, :, 0] = np.iinfo(values.dtype).max - values[:, :, 0]
    values = values if opaque else values[:, :, :colours]
    names, bits = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}, values.dtype.itemsize * 8
    kind = {"f": "F", "i": "S"}.get(values.dtype.kind, "")
    turn = _TURNS.get(tag.value if tag else 1, lambda a: a)
    return Decoded(turn(values), f"{names[values.shape[2]]};{bits}{kind}", bits)
