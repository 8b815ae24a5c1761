"""Sizes of images: from those of the files to those that the networks take.

A preprocess mode is a scaling, a crop, or a scaling `_and_` a crop, named as CycleGAN's option of this name; `img_size`
replaces its crop size.
"""

from typing import NamedTuple

import numpy as np

from quac.config import Config
from quac.config.choices import split_mode
from quac.config.stages import SECTIONS


class Sizing(NamedTuple):
    """How images get their size."""

    preprocess: str  # a mode: one of `quac.config.choices.PREPROCESS_MODES`
    load_size: int | None  # pixels; None: `img_size`
    img_size: int  # pixels


def sizing_of(config: Config, split: str) -> Sizing:
    """How the images of a split get their size: by its own section, and `data.img_size`, the same for all splits."""
    section = getattr(config, SECTIONS[split])
    return Sizing(section.preprocess, section.load_size, config.data.img_size)


def crop_of(mode: str) -> str | None:
    """The crop of a preprocess mode (`crop` or `center_crop`), or None."""
    return split_mode(mode)[1]


def scaled_size(width: int, height: int, sizing: Sizing) -> tuple[int, int]:
    """Width and height of an image before it is cropped, or as it is stored if it is not cropped.

    Without a crop, sides are rounded to what the generator takes: the nearest multiple of `img_size / 16`, and at least
    two of them.
    """
    scaling, crop = split_mode(sizing.preprocess)
    size = sizing.load_size or sizing.img_size
    exact: tuple[float, float] = (width, height)
    if scaling == "resize":
        exact = size, size
    elif scaling:
        factor = size / (width if scaling == "scale_width" else min(width, height))
        exact = width * factor, height * factor
    unit, least = (1, 1) if crop else (sizing.img_size // 16, 2)
    return max(least, int(exact[0] / unit + 0.5)) * unit, max(least, int(exact[1] / unit + 0.5)) * unit


def too_small(width: int, height: int, sizing: Sizing) -> bool:
    """Whether an image, scaled, is smaller than the crop."""
    return bool(crop_of(sizing.preprocess)) and min(scaled_size(width, height, sizing)) < sizing.img_size


def center_crop(pixels: np.ndarray, size: int) -> np.ndarray:
    """The square of `size` pixels in the middle of an image (height, width, channels)."""
    top, left = ((length - size) // 2 for length in pixels.shape[:2])
    return pixels[top : top + size, left : left + size]
