"""Random changes of training images, on the device, each image by its own chance."""

import torch
import torch.nn.functional as F

DRAWS = 9


def augment(images, chances, draws):
    """Flip, turn and crop.

    Args:
        images: (B, C, H, W), square where they are turned.
        chances: a config's `data.augment` section.
        draws: (DRAWS, B) uniform in [0, 1): flips (2), whether to turn and how far, whether to crop, and the
            crop's area, ratio and place (2).
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
        images = torch.where(_each(draws[4] < chances.crop_probability), _crop(images, *draws[5:]), images)
    return images


def _each(condition):
    return condition[:, None, None, None]


def _crop(images, area, ratio, x, y):
    """Crops of 80 to 100 % of the area and 9:10 to 11:10 in shape, resized to the full size (StarGAN v2's)."""
    area, ratio = 0.8 + 0.2 * area, 0.9 * (1.1 / 0.9) ** ratio
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    zero = torch.zeros_like(width)
    left_right = torch.stack([width, zero, (1 - width) * (2 * x - 1)], 1)
    top_bottom = torch.stack([zero, height, (1 - height) * (2 * y - 1)], 1)
    grid = F.affine_grid(torch.stack([left_right, top_bottom], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
