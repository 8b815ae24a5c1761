"""Images as arrays of pixels: intensities by the file's depth, channels, size; and back to files."""

import numpy as np
from PIL import Image

from quac.data.decode import ImageError, decode
from quac.system.files import whole


def read_image(path, reading):
    """A file -> (its pixels, as `decode` found it).

    Args:
        reading: `range` (lo, hi) or None, `background` (red, green, blue of 0 to 255), `page`, `max_pixels`; see a
            config's `data` section.

    Returns:
        `(pixels, decoded)`: pixels are (height, width, 1 or 3), uint8 or uint16 that spans the range of
        intensities [0, 1] of the file's depth, or of `range`; transparency is laid on the background.

    Raises ImageError, see `quac.data.decode.decode`, also for values that have no range of their own.
    """
    decoded = decode(path, reading.page, reading.max_pixels)
    values, opacity = decoded.values, None
    if decoded.alpha:
        values, opacity = values[:, :, :-1], values[:, :, -1:]
    pixels = _span(values, decoded, reading.range)
    if opacity is not None and (opacity != _top(opacity.dtype)).any():
        pixels = _compose(pixels, opacity, reading.background)
    return np.ascontiguousarray(pixels), decoded


def _span(values, decoded, limits):
    """Values -> uint8 or uint16 that spans the intensities. Never by the extremes of the image itself."""
    if limits is not None:
        low, high = limits
        values = np.nan_to_num(values.astype(np.float64), nan=low)
        return ((values.clip(low, high) - low) * (65535 / (high - low)) + 0.5).astype(np.uint16)
    if values.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"has values of {decoded.bits} bits (mode {decoded.mode}), whose range nothing tells; "
            "give it for the whole data set as data.range: [lowest, highest]"
        )
    return values


def _top(dtype):
    return np.iinfo(dtype).max if dtype.kind == "u" else 1.0


def _compose(pixels, opacity, background):
    """Lay an image on a background by its opacity."""
    top = _top(pixels.dtype)
    share = opacity / _top(opacity.dtype)
    if pixels.shape[2] == 1 and len(set(background)) > 1:
        pixels = pixels.repeat(3, axis=2)
    behind = np.array(background[: pixels.shape[2]]) * (top / 255)
    return (pixels * share + behind * (1 - share) + 0.5).astype(pixels.dtype)


def to_channels(pixels, channels):
    """(height, width, 1 or 3) -> `channels` of 1 or 3, same type; grey is the luma of ITU-R 601, as Pillow's."""
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return pixels.repeat(3, axis=2)
    red, green, blue = (pixels[:, :, i].astype(np.uint64) for i in range(3))
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).astype(pixels.dtype)[:, :, None]


def resize(pixels, width, height):
    """(H, W, channels) -> (height, width, channels), same type: bicubic, antialiased."""
    if pixels.shape[:2] == (height, width):
        return pixels
    if pixels.dtype == np.uint8:
        small = to_image(pixels.transpose(2, 0, 1)).resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(small).reshape(height, width, -1)
    planes = [
        Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
        for plane in pixels.transpose(2, 0, 1)
    ]
    return (np.stack(planes, axis=2).clip(0, 65535) + 0.5).astype(np.uint16)


def to_depth(pixels, dtype):
    """uint8 -> uint16 of the same intensities, where asked for."""
    return pixels.astype(np.uint16) * 257 if pixels.dtype == np.uint8 and dtype == np.uint16 else pixels


def to_8_bit(pixels):
    """uint8 or uint16 -> uint8, for view."""
    return pixels if pixels.dtype == np.uint8 else ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_image(pixels):
    """uint8 array (channels, height, width) -> PIL image."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


def write_png(path, pixels):
    """uint8 or uint16 array (channels, height, width) -> a PNG file of that depth, whole or not at all."""
    with whole(path) as temporary:
        if pixels.dtype == np.uint8:
            to_image(pixels).save(temporary, format="png")
        else:
            import imagecodecs  # here only, as in `decode`

            flat = pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
            temporary.write_bytes(imagecodecs.png_encode(flat))
