"""Images as arrays of pixels (height, width, channels): intensities, channels, size; and back to files."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike
from PIL import Image

from quac.data.decode import decode_bytes, read_bytes
from quac.data.decoded import Decoded, ImageError
from quac.system.files import FilePath, atomic_write

# Pillow's names and options of formats of 8 bits. (A PNG and a TIFF may be deeper.)
_SHALLOW: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".bmp": ("BMP", {}),
    ".webp": ("WEBP", {"lossless": True}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
}


Limits = tuple[float, float]  # lowest and highest value of a data set
Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels


class Decoding(Protocol):
    """How a file becomes pixels, for example a config's `data` section."""

    @property
    def range(self) -> Limits | None: ...
    @property
    def background(self) -> tuple[int, int, int]: ...  # red, green, blue, 0 to 255
    @property
    def page(self) -> int | None: ...
    @property
    def max_pixels(self) -> int | None: ...


def read_image(path: FilePath, decoding: Decoding) -> tuple[np.ndarray, Decoded]:
    """The pixels of an image file, and the image as it is stored; see `decode_image`."""
    return decode_image(read_bytes(path), decoding)


def decode_image(content: bytes, decoding: Decoding) -> tuple[np.ndarray, Decoded]:
    """The pixels of the content of an image file, and the image as it is stored.

    Pixels are (height, width, 1 or 3), uint8 or uint16. Their range stands for the intensities [0, 1]: of the depth of
    the file, or of `decoding.range`. Transparent images are blended with the background.

    Raises ImageError, see `quac.data.decode.decode_bytes`, also for values without a range of their own.
    """
    decoded = decode_bytes(content, decoding.page, decoding.max_pixels)
    return to_intensities(decoded, decoding.range, decoding.background), decoded


def to_intensities(decoded: Decoded, limits: Limits | None, background: tuple[int, int, int]) -> np.ndarray:
    """The pixels of a decoded image, see `decode_image`, with `limits` as its `decoding.range`."""
    values, opacity = decoded.values, None
    if decoded.alpha:
        values, opacity = values[:, :, :-1], values[:, :, -1:]
    pixels = _scaled(values, decoded, limits)
    if opacity is not None and (opacity != _top(opacity.dtype)).any():
        pixels = _blend(pixels, opacity, background)
    return np.ascontiguousarray(pixels)


def _scaled(values: np.ndarray, decoded: Decoded, limits: Limits | None) -> np.ndarray:
    """Values -> uint8 or uint16 whose range stands for [0, 1]. Never scaled by the extremes of a single image."""
    if limits is not None:
        low, high = limits
        values = np.nan_to_num(values.astype(np.float64), nan=low)
        return ((values.clip(low, high) - low) * (65535 / (high - low)) + 0.5).astype(np.uint16)
    if values.dtype in (np.uint8, np.uint16):
        return values
    raise ImageError(
        f"has values of {decoded.bits} bits (mode {decoded.mode}) of an unknown range; "
        "give it for the whole data set as data.range: [lowest, highest]"
    )


def _top(dtype: np.dtype) -> float:
    return np.iinfo(dtype).max if dtype.kind == "u" else 1.0


def _blend(pixels: np.ndarray, opacity: np.ndarray, background: tuple[int, int, int]) -> np.ndarray:
    """Pixels (height, width, 1 or 3) in front of a background; opacity is (height, width, 1)."""
    top = _top(pixels.dtype)
    share = opacity / _top(opacity.dtype)
    if pixels.shape[2] == 1 and len(set(background)) > 1:
        pixels = pixels.repeat(3, axis=2)
    behind = np.array(background[: pixels.shape[2]]) * (top / 255)
    return (pixels * share + behind * (1 - share) + 0.5).astype(pixels.dtype)


def to_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """(height, width, 1 or 3) -> (height, width, channels), 1 or 3, same type; grey is ITU-R 601 luma, as in Pillow."""
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return pixels.repeat(3, axis=2)
    red, green, blue = (pixels[:, :, i].astype(np.uint64) for i in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(pixels.dtype)[:, :, None]


def resize(pixels: np.ndarray, width: int, height: int, box: Box | None = None) -> np.ndarray:
    """(H, W, channels) -> (height, width, channels), same type: bicubic, antialiased.

    `box`: the part that is resized; None: all.
    """
    box = box or (0, 0, pixels.shape[1], pixels.shape[0])
    if pixels.shape[:2] == (height, width) and box == (0, 0, width, height):
        return pixels
    if pixels.dtype == np.uint8:
        image = to_image(pixels).resize((width, height), Image.Resampling.BICUBIC, box)
        return np.asarray(image).reshape(height, width, -1)
    planes = [Image.fromarray(plane.astype(np.float32)) for plane in np.moveaxis(pixels, 2, 0)]
    resized = [np.asarray(plane.resize((width, height), Image.Resampling.BICUBIC, box)) for plane in planes]
    return (np.stack(resized, axis=2).clip(0, 65535) + 0.5).astype(np.uint16)


def to_depth(pixels: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """uint8 -> uint16 of the same intensities if `dtype` is uint16; otherwise unchanged."""
    return pixels.astype(np.uint16) * 257 if pixels.dtype == np.uint8 and dtype == np.uint16 else pixels


def to_8_bit(pixels: np.ndarray) -> np.ndarray:
    """uint8 or uint16 -> uint8, rounded."""
    return pixels if pixels.dtype == np.uint8 else ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_image(pixels: np.ndarray) -> Image.Image:
    """uint8 array (height, width, 1 or 3) -> Pillow image."""
    return Image.fromarray(_flat(pixels))


def write_png(path: FilePath, pixels: np.ndarray) -> None:
    """Write a uint8 or uint16 array (height, width, 1 or 3) as a PNG file of that depth, whole or not at all."""
    with atomic_write(path) as temporary:
        if pixels.dtype == np.uint8:
            to_image(pixels).save(temporary, format="png")
        else:
            temporary.write_bytes(_deep_png(pixels))


def _deep_png(pixels: np.ndarray) -> bytes | bytearray:
    import imagecodecs  # here only, as in `decode`

    return imagecodecs.png_encode(np.ascontiguousarray(_flat(pixels)))


def _flat(pixels: np.ndarray) -> np.ndarray:
    """(height, width, 1 or 3) -> (height, width) if there is one channel."""
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels


def encode(
    path: FilePath, pixels: np.ndarray, decoded: Decoded, limits: Limits | None = None, kept: np.ndarray | None = None
) -> None:
    """Write pixels to a file, whole or not at all; its ending determines the format.

    Args:
        pixels: (height, width, 1 or 3) uint16, whose range stands for the intensities [0, 1].
        decoded: the image whose type of values the file will have.
        limits: the values of the intensities 0 and 1, `data.range`; None: the range of the depth.
        kept: (height, width) bool, where the values of `decoded` are kept, even beyond `limits`; None: nowhere.

    A JPEG (quality 95) is lossy, the other formats are not. Raises ImageError if the format cannot hold the values.
    """
    values, ending = _values(pixels, decoded.values.dtype, limits), Path(path).suffix.lower()
    if kept is not None and not decoded.alpha:
        values[kept] = decoded.values[kept]
    deep = values.dtype != np.uint8
    if deep and ending not in (".tif", ".tiff") and (ending, values.dtype) != (".png", np.uint16):
        raise ImageError(
            f"has values of {decoded.bits} bits (mode {decoded.mode}), which a {ending} cannot hold; "
            "keep the ending of its name"
        )
    with atomic_write(path) as temporary:
        if ending in (".tif", ".tiff"):
            import tifffile  # here only, as in `decode`

            photometric = "rgb" if values.shape[2] > 1 else "minisblack"
            tifffile.imwrite(temporary, _flat(values), photometric=photometric, metadata=None)
        elif deep:
            temporary.write_bytes(_deep_png(values))
        else:
            name, options = _SHALLOW[ending]
            try:
                to_image(values).save(temporary, format=name, **options)
            except ValueError as error:  # such as a side that is too long for the format
                raise ImageError(f"its result cannot be written as {name} ({error}); choose another ending") from None


def _values(pixels: np.ndarray, dtype: np.dtype, limits: Limits | None) -> np.ndarray:
    """uint16 that stands for [0, 1] -> values of the type of the file."""
    if limits is None:
        return to_8_bit(pixels) if dtype == np.uint8 else pixels
    low, high = limits
    values = low + pixels * ((high - low) / 65535)
    if dtype.kind in "ui":
        values = np.rint(values).clip(np.iinfo(dtype).min, np.iinfo(dtype).max)
    return values.astype(dtype)
