"""The content of an image file -> its pixels, unscaled: every depth, every mode."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from quac.system.errors import QuacError, error_lines
from quac.system.files import FilePath

Image.MAX_IMAGE_PIXELS = None  # replaced by data.max_pixels

_ORIENTATION = 0x0112  # tag of EXIF and TIFF
_ONE_PICTURE = {"MPO"}  # formats whose further frames are previews or other views of the same picture
_CONVERTED = {  # mode -> the mode to which it is converted
    **{"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"},
    **dict.fromkeys(("P", "CMYK", "YCbCr", "RGBX"), "RGB"),
}
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the first bytes of a TIFF
_TOO_LARGE = "does not fit into memory; resize it, or lower data.max_pixels"
_UNREADABLE = {
    FileNotFoundError: "does not exist, or is a broken link; restore or remove it",
    PermissionError: "permission denied; change its permissions",
    IsADirectoryError: "is a folder; rename or remove it",
    MemoryError: _TOO_LARGE,
}
_TURNS = {  # EXIF orientation -> function that turns the image upright
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

    values: np.ndarray  # (height, width, samples): uint8, uint16, or another type, which has no range of its own
    mode: str  # of Pillow; with `;16` and so on if the samples are deeper than in that mode
    bits: int  # per sample: 1, 8, 16, 32, 64

    @property
    def alpha(self) -> bool:
        """Whether the last sample is the opacity."""
        return self.values.shape[2] in (2, 4)


def read_bytes(path: FilePath) -> bytes:
    """The content of an image file. Raises ImageError with the reason and the remedy if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, MemoryError) as error:
        other = f"cannot be read ({error_lines(error)[0]}); restore or remove it"
        raise ImageError(_UNREADABLE.get(type(error), other)) from None


def decode(path: FilePath, page: int | None = None, max_pixels: int | None = None) -> Decoded:
    """The image in a file; see `read_bytes` and `decode_bytes`."""
    return decode_bytes(read_bytes(path), page, max_pixels)


def decode_bytes(content: bytes, page: int | None = None, max_pixels: int | None = None) -> Decoded:
    """The image in the content of a file.

    Args:
        page: page to decode, from 0, if the file has several; None: it must have only one.
        max_pixels: largest width times height; None: no limit.

    Raises ImageError with the reason and the remedy if the file is empty, truncated, not an image, animated, too large,
    or of an unknown kind.
    """
    if not content:
        raise ImageError("is empty (0 bytes); replace or remove it")
    try:
        return _decode(content, page, max_pixels)
    except UnidentifiedImageError:
        raise ImageError("is not an image; replace or remove it") from None
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(_TOO_LARGE) from None
    except Exception as error:  # decoders raise errors of any kind for a damaged file
        reason = error_lines(error)[0]
        raise ImageError(f"cannot be decoded ({reason}); replace or remove it") from None


def _decode(content: bytes, page: int | None, max_pixels: int | None) -> Decoded:
    try:
        image = Image.open(BytesIO(content))
    except UnidentifiedImageError:
        if content[:4] in _TIFF:  # such as float64, or float in three channels
            return _decode_tiff(content, page, max_pixels)
        raise
    with image:
        _require_size(image.width, image.height, max_pixels)
        frames = 1 if image.format in _ONE_PICTURE else getattr(image, "n_frames", 1)
        if image.format == "TIFF":
            image.seek(_chosen_page(page, frames))
            _require_size(image.width, image.height, max_pixels)
            if not _pillow_is_right(image.tag_v2):  # type: ignore[attr-defined]  # a TIFF has tags
                return _decode_tiff(content, page, max_pixels)
        elif frames > 1:
            raise ImageError(f"is animated ({frames} frames); save the frame to use as an image of its own")
        # A PNG with 16 bits in several samples: Pillow would drop half of them.
        if image.format == "PNG" and not image.mode.startswith("I") and content[24] == 16:
            import imagecodecs  # here only: few files need it

            values, mode, bits = imagecodecs.png_decode(content), f"{image.mode};16", 16
        else:
            image.load()
            values, mode, bits = _samples(image)
        orientation = 1
        with suppress(Exception):  # a damaged EXIF block does not affect the pixels
            orientation = image.getexif().get(_ORIENTATION, 1)
    return Decoded(_TURNS.get(orientation, lambda a: a)(values), mode, bits)


def _require_size(width: int, height: int, max_pixels: int | None) -> None:
    if max_pixels and width * height > max_pixels:
        raise ImageError(
            f"has {width} x {height} pixels, more than data.max_pixels ({max_pixels:,}); resize it, or raise the limit"
        )


def _chosen_page(page: int | None, pages: int) -> int:
    if page is None and pages > 1:
        raise ImageError(f"has {pages} pages; choose one by data.page (from 0), or save it alone")
    if page is not None and page >= max(pages, 1) and pages > 1:
        raise ImageError(f"has {pages} pages, but data.page is {page} (from 0); lower it, or replace the file")
    return page if page and pages > 1 else 0


def _samples(image: Image.Image) -> tuple[np.ndarray, str, int]:
    """Values (height, width, samples), mode and bits of a Pillow image."""
    mode, bits = image.mode, 8
    if mode in ("1", "L", "P", "RGB") and "transparency" in image.info:
        image = image.convert("LA" if mode in ("1", "L") else "RGBA")
    elif mode in _CONVERTED:
        image, bits = image.convert(_CONVERTED[mode]), 1 if mode == "1" else 8
    elif mode in ("I", "F") or mode.startswith("I;16"):
        bits = 32 if mode in ("I", "F") else 16
    elif mode not in ("L", "LA", "RGB", "RGBA"):
        raise ImageError(f"has the unknown mode {mode}; save it as grey or RGB")
    values = np.asarray(image)
    if values.dtype.byteorder == ">":
        values = values.astype(values.dtype.newbyteorder("="))
    return values if values.ndim == 3 else values[:, :, None], mode, bits


def _pillow_is_right(tags: Mapping[int, Any]) -> bool:
    """Whether Pillow decodes a TIFF correctly: not if it is transposed, or has deep, signed or paired samples."""
    bits, samples, formats = max(tags.get(258, (1,))), tags.get(277, 1), set(tags.get(339, (1,)))
    return bits <= 8 and samples != 2 and formats == {1} and tags.get(_ORIENTATION, 1) <= 4


def _decode_tiff(content: bytes, page: int | None, max_pixels: int | None) -> Decoded:
    """A TIFF that Pillow cannot decode, or decodes wrongly."""
    import tifffile

    with tifffile.TiffFile(BytesIO(content)) as file:
        chosen: Any = file.pages[_chosen_page(page, len(file.pages))]
        _require_size(chosen.imagewidth, chosen.imagelength, max_pixels)
        values, tag = chosen.asarray(), chosen.tags.get(_ORIENTATION)
        if chosen.axes == "SYX":
            values = values.transpose(1, 2, 0)
        photometric, extra = chosen.photometric.name, [int(sample) for sample in chosen.extrasamples]
    values = values if values.ndim == 3 else values[:, :, None]
    colours = {"MINISBLACK": 1, "MINISWHITE": 1, "RGB": 3}.get(photometric)
    opaque = extra[:1] in ([1], [2])
    if values.ndim != 3 or values.shape[2] - (colours or 0) not in ((0, 1) if opaque or colours == 3 else (0,)):
        raise ImageError(
            f"has the shape {values.shape} and the colours {photometric.lower()}; "
            "save it as grey or RGB, with or without opacity, or each channel as a file"
        )
    if values.dtype == bool:
        values = values * np.uint8(255)
    if photometric == "MINISWHITE":
        if values.dtype.kind != "u":
            raise ImageError("stores white as 0, but its values have no maximum; save it with 0 as black")
        values[:, :, 0] = np.iinfo(values.dtype).max - values[:, :, 0]
    values = values if opaque else values[:, :, :colours]
    names, bits = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}, values.dtype.itemsize * 8
    kind = {"f": "F", "i": "S"}.get(values.dtype.kind, "")
    turn = _TURNS.get(tag.value if tag else 1, lambda a: a)
    return Decoded(turn(values), f"{names[values.shape[2]]};{bits}{kind}", bits)
