"""Images on disk <-> arrays of pixels."""

import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from quac.errors import QuacError
from quac.files import whole

READABLE_MODES = ("L", "RGB")


class ImageError(QuacError):
    """Why a file cannot be used as an image; the message does not name the file."""


def read_image(path):
    """A file -> PIL image, fully decoded, mode L or RGB, turned as its EXIF orientation says.

    Raises ImageError with the reason and the remedy where the file is empty,
    truncated, no image, animated, or of another mode.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path)
            if getattr(image, "n_frames", 1) > 1:
                raise ImageError(f"holds {image.n_frames} frames; save the one that is meant as an image of its own")
            image.load()
    except FileNotFoundError:
        raise ImageError("does not exist, or is a broken link; restore or remove it") from None
    except PermissionError:
        raise ImageError("may not be read; change its permissions") from None
    except UnidentifiedImageError:
        raise ImageError("is not an image; replace or remove it") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ImageError(f"has more than {Image.MAX_IMAGE_PIXELS:,} pixels; resize it") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ImageError(f"cannot be decoded ({error}); replace or remove it") from None
    if image.mode not in READABLE_MODES:
        raise ImageError(f"has mode {image.mode}; save it as 8-bit grey or RGB")
    return ImageOps.exif_transpose(image)


def to_pixels(image, size, channels):
    """PIL image -> uint8 array (channels, size, size), resized bicubically with antialiasing."""
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def to_image(pixels):
    """uint8 array (channels, height, width) -> PIL image."""
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


def write_png(path, pixels):
    """uint8 array (channels, height, width) -> a PNG file, whole or not at all."""
    with whole(path) as temporary:
        to_image(pixels).save(temporary, format="png")
