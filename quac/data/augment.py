"""Random changes of training images, each image by its own chance."""

import numpy as np
import torch

from quac.config.data import Augment

DRAWS = 9  # random numbers per image


def augment(images: torch.Tensor, chances: Augment, draws: torch.Tensor) -> torch.Tensor:
    """Images (B, C, H, W) flipped and rotated (if they are square) at random, on their device.

    `draws` are (DRAWS, B), uniform in [0, 1): flips (2), whether to rotate and how far; the rest is for `crop_boxes`.
    """
    if chances.hflip:
        images = torch.where(_each(draws[0] < chances.hflip), images.flip(-1), images)
    if chances.vflip:
        images = torch.where(_each(draws[1] < chances.vflip), images.flip(-2), images)
    if chances.rot90:
        quarters = torch.where(draws[2] < chances.rot90, 1 + (draws[3] * 3).int(), 0)
        for turn in (1, 2, 3):
            images = torch.where(_each(quarters == turn), images.rot90(turn, (-2, -1)), images)
    return images


def _each(condition: torch.Tensor) -> torch.Tensor:
    return condition[:, None, None, None]


def crop_boxes(chances: Augment, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which images are cropped, (cropped,) int64, and where, (4, cropped): left, top, width, height in sides of them.

    80 to 100 % of the area and 9:10 to 11:10 in shape, as in StarGAN v2. `draws` are those of `augment`: whether to
    crop, and the crop's area, aspect ratio and place (2).
    """
    cropped = np.flatnonzero(draws[4] < chances.crop_probability)
    area, ratio, x, y = draws[5:, cropped].astype(np.float64)
    area, ratio = 0.8 + 0.2 * area, 0.9 * (1.1 / 0.9) ** ratio
    width, height = np.sqrt(area * ratio).clip(max=1), np.sqrt(area / ratio).clip(max=1)
    return cropped, np.stack([(1 - width) * x, (1 - height) * y, width, height])
