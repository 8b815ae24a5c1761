"""The content of an image file -> its pixels, unscaled: every depth, every mode."""

import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO

import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from quac.data.decoded import Decoded, ImageError, chosen_page, require_size
from quac.data.orientation import ORIENTATION, upright
from quac.data.tiff import decode_tiff, hidden_planes, pillow_is_right, require_content, require_tile, with_plane
from quac.system.errors import error_lines
from quac.system.files import FilePath

# First bytes of a file -> its reader. `Image.open` would try formats that run other programs, and has a limit of pixels
# that is set for the whole process; ours is data.max_pixels.
_READERS: dict[bytes, Callable[[BytesIO], ImageFile.ImageFile]] = {
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"\xff\xd8\xff": JpegImageFile,  # of an MPO the first picture: the others are previews or other views of it
    b"BM": BmpImageFile,
    b"RIFF": WebPImageFile,
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImageFile),
}
_CONVERTED = {  # mode -> the mode to which it is converted
    **{"1": "L", "La": "LA", "PA": "RGBA", "RGBa": "RGBA"},
    **dict.fromkeys(("P", "CMYK", "YCbCr", "RGBX"), "RGB"),
}
_TEXTS = (b"iCCP", b"tEXt", b"zTXt", b"iTXt")  # chunks of a PNG
_WITH_ORIENTATION = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
_MIN_LEVELS = 16  # of a lookup table; with fewer a palette is a drawing in a few shades
_LOOKUP_TABLE = "has a palette of shades of one colour, a lookup table: it is read as grey, each shade as its intensity"
_NO_IMAGE = "is not an image (PNG, JPEG, TIFF, BMP or WebP); replace or remove it"
_TOO_LARGE = "does not fit into memory; resize it, or lower data.max_pixels"
_UNREADABLE = {
    FileNotFoundError: "does not exist, or is a broken link; restore or remove it",
    PermissionError: "permission denied; change its permissions",
    IsADirectoryError: "is a folder; rename or remove it",
    MemoryError: _TOO_LARGE,
}


def read_bytes(path: FilePath) -> bytes:
    """The content of an image file. Raises ImageError with the reason and the remedy if it cannot be read."""
    try:
        # A pipe without a writer would block, and a device such as /dev/zero never ends.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ImageError("is not a regular file, but a pipe or a device; remove it")
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
        page: page to decode, from 0; None: the file must have only one.
        max_pixels: largest width times height; None: no limit.

    Raises ImageError with the reason and the remedy if the file is empty, truncated, not an image, animated, too large,
    or of an unknown kind.
    """
    if not content:
        raise ImageError("is empty (0 bytes); replace or remove it")
    try:
        return _decode(content, page, max_pixels)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(_TOO_LARGE) from None
    except Exception as error:  # decoders raise errors of any kind for a damaged file
        reason = error_lines(error)[0]
        raise ImageError(f"cannot be decoded ({reason}); replace or remove it") from None


def _decode(content: bytes, page: int | None, max_pixels: int | None, stack: bool = True) -> Decoded:
    reader = next((reader for first, reader in _READERS.items() if content.startswith(first)), None)
    if reader is None or (reader is WebPImageFile and content[8:12] != b"WEBP"):
        raise ImageError(_NO_IMAGE)
    if reader is PngImageFile:
        content = b"".join(_without_texts(content))
    elif reader is WebPImageFile:
        require_size(*_webp_size(content), max_pixels)  # because opening it takes memory for all of its pixels
    try:
        image = reader(BytesIO(content))
    except SyntaxError:
        if reader is TiffImageFile:  # such as float64, or float in three channels
            return decode_tiff(content, page, max_pixels, stack)
        raise
    with image:
        frames = getattr(image, "n_frames", 1)
        if isinstance(image, TiffImageFile):
            if stack and (planes := hidden_planes(image.tag_v2, frames)):
                content = with_plane(content, image.tag_v2, chosen_page(page, planes))
                return _decode(content, 0, max_pixels, stack=False)
            image.seek(chosen_page(page, frames))
            require_tile(image.tag_v2, max_pixels)
        elif frames > 1:
            raise ImageError(f"is animated ({frames} frames); save the frame to use as an image of its own")
        chosen_page(page, frames)
        require_size(image.width, image.height, max_pixels)
        if isinstance(image, TiffImageFile):
            require_content(image.tag_v2, len(content))
            if not (pillow_is_right(image.tag_v2) and _within_pillows_limit(image)):
                return decode_tiff(content, page, max_pixels, stack)
        note = ""
        # A PNG with 16 bits in several samples: Pillow would drop half of them.
        if isinstance(image, PngImageFile) and not image.mode.startswith("I") and content[24] == 16:
            import imagecodecs  # here only: few files need it

            values, mode, bits = imagecodecs.png_decode(content), f"{image.mode};16", 16
        else:
            image.load()
            table = _lookup_table(image)
            if table is None:
                values, mode, bits = _samples(image)
            else:
                values, mode, bits, note = table[np.asarray(image)][:, :, None], image.mode, 8, _LOOKUP_TABLE
        orientation = 1
        with suppress(Exception):  # a damaged EXIF block does not affect the pixels
            orientation = image.getexif().get(ORIENTATION, 1)
    return Decoded(upright(values, orientation), mode, bits, note)


def _without_texts(content: bytes) -> Iterator[bytes]:
    """The parts of a PNG without its texts and its ICC profile, which do not affect the pixels, but may be too large
    for Pillow; a text that may hold the orientation is left in."""
    start, end = 0, 8  # of what has not been yielded; the first chunk comes after a signature
    while end + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, end)
        after = end + length + 12
        if name in _TEXTS and not content.startswith(_WITH_ORIENTATION, end + 8):
            yield content[start:end]
            start = after
        end = after
    yield content[start:]


def _webp_size(content: bytes) -> tuple[int, int]:
    """Width and height as the header says; (0, 0) if it is damaged."""
    if content[12:16] == b"VP8X":
        return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
    if content[12:16] == b"VP8L":
        packed = int.from_bytes(content[21:25], "little")
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    return int.from_bytes(content[26:28], "little") & 0x3FFF, int.from_bytes(content[28:30], "little") & 0x3FFF


def _within_pillows_limit(image: Image.Image) -> bool:
    """Whether Pillow decodes a TIFF of this size without a warning; its limit belongs to the whole process."""
    return Image.MAX_IMAGE_PIXELS is None or image.width * image.height <= Image.MAX_IMAGE_PIXELS


def _lookup_table(image: Image.Image) -> np.ndarray | None:
    """The intensities (256,) uint8 of a palette whose colours are shades of one colour; None for any other image.

    Microscopes and ImageJ store the values of one channel with such a palette. As colours turned to grey, a blue one
    would keep 30 of 256 levels. Grey palettes need nothing.
    """
    if image.mode != "P" or "transparency" in image.info:
        return None
    palette = np.array(image.getpalette("RGB"), np.float64).reshape(-1, 3)
    levels = palette.max(axis=1)
    hue = palette[levels.argmax()] / max(levels.max(), 1)
    if hue.min() == 1 or len(np.unique(levels)) < _MIN_LEVELS or np.abs(palette - levels[:, None] * hue).max() > 1:
        return None
    return np.pad(levels, (0, 256 - len(levels))).astype(np.uint8)


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
