"""The pictures of the explorer: sprites that hold a few conversions of a class pair, and their masks."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from quac.data.images import to_8_bit, to_image

BLOCK = 16  # pixels that WebP compresses together: tiles begin on such a border, so that none bleeds into another
MASK_QUALITY = 50  # of WebP; masks are smooth


@dataclass(frozen=True)
class Tiles:
    """The pictures of a conversion.

    Attributes:
        query, generated: (H, W, 1 or 3), uint8 or uint16.
        masks: (methods * channels, H, W) uint8, those of each method one after the other.
    """

    query: np.ndarray
    generated: np.ndarray
    masks: np.ndarray


@dataclass(frozen=True)
class Sprite:
    """Conversions side by side, as Base64 of WebP: above the queries, below them the generated images; and the masks
    of each conversion one below the other.

    Attributes:
        cell: width and height of a tile's place.
        sizes: width and height of each conversion's tile, which is in the upper left corner of its place.
    """

    images: str
    masks: str
    cell: tuple[int, int]
    sizes: list[tuple[int, int]]


def sprite_of(conversions: Sequence[Tiles], side: int, quality: int) -> Sprite:
    """The sprite of some conversions.

    Args:
        side: the longer side of a tile in pixels at most; larger images are scaled down.
        quality: of WebP, for queries and generated images.
    """
    sizes = [_scaled(tiles.query.shape, side) for tiles in conversions]
    width, height = (-(-max(lengths) // BLOCK) * BLOCK for lengths in zip(*sizes, strict=True))
    images = Image.new("RGB", (len(sizes) * width, 2 * height))
    masks = Image.new("L", (len(sizes) * width, len(conversions[0].masks) * height))
    for column, (tiles, size) in enumerate(zip(conversions, sizes, strict=True)):
        for row, pixels in enumerate((tiles.query, tiles.generated)):
            picture = to_image(to_8_bit(pixels)).convert("RGB")
            images.paste(_resized(picture, size, Image.Resampling.LANCZOS), (column * width, row * height))
        for row, mask in enumerate(tiles.masks):
            picture = _resized(Image.fromarray(mask), size, Image.Resampling.BILINEAR)
            masks.paste(picture, (column * width, row * height))
    return Sprite(_webp(images, quality), _webp(masks, MASK_QUALITY), (width, height), sizes)


def _scaled(shape: Sequence[int], side: int) -> tuple[int, int]:
    """Width and height of a tile."""
    height, width = shape[:2]
    share = min(1.0, side / max(height, width))
    return max(1, round(width * share)), max(1, round(height * share))


def _resized(image: Image.Image, size: tuple[int, int], filter: Image.Resampling) -> Image.Image:
    return image if image.size == size else image.resize(size, filter)


def _webp(image: Image.Image, quality: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="webp", quality=quality)
    return base64.b64encode(buffer.getvalue()).decode()
