"""Random changes of training images, on the device, each image by its own chance."""

import torch
import torch.nn.functional as F

from quac.config.data import Augment

DRAWS = 9  # random numbers per image


def augment(images: torch.Tensor, chances: Augment, draws: torch.Tensor) -> torch.Tensor:
    """Images (B, C, H, W) flipped, rotated (if they are square) and cropped at random.

    `draws` are (DRAWS, B), uniform in [0, 1): flips (2), whether to rotate and how far, whether to crop, and the crop's
    area, aspect ratio and place (2).
    """
    if chances.hflip:
        images = torch.where(_each(draws[0] < chances.hflip), images.flip(-1), images)
    if chances.vflip:
        images = torch.where(_each(draws[1] < chances.vflip), images.flip(-2), images)
    if chances.rot90:
        quarters = torch.where(draws[2] < chances.rot90, 1 + (draws[3] * 3).int(), 0)
        for turn in (1, 2, 3):
            images = torch.where(_each(quarters == turn), images.rot90(turn, (-2, -1)), images)
    if chances.crop_probability:
        images = torch.where(_each(draws[4] < chances.crop_probability), _crop(images, draws[5:]), images)
    return images


def _each(condition: torch.Tensor) -> torch.Tensor:
    return condition[:, None, None, None]


def _crop(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Crops of 80 to 100 % of the area and 9:10 to 11:10 in shape, resized to the full size, as in StarGAN v2."""
    area, ratio, x, y = 0.8 + 0.2 * draws[0], 0.9 * (1.1 / 0.9) ** draws[1], draws[2], draws[3]
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    zero = torch.zeros_like(width)
    left_right = torch.stack([width, zero, (1 - width) * (2 * x - 1)], 1)
    top_bottom = torch.stack([zero, height, (1 - height) * (2 * y - 1)], 1)
    grid = F.affine_grid(torch.stack([left_right, top_bottom], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
