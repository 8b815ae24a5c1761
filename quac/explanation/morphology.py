"""From attributions to masks: grey closing with a flat ellipse, and Gaussian blur, with the borders of OpenCV."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

CLOSING, BLUR, FULL_SIDE = 10, 11, 128  # kernels in pixels, for images of this side or larger; in proportion below


def kernel_sides(shape: torch.Size | tuple[int, ...]) -> tuple[int, int]:
    """Sides of the kernels of closing and blur for images of (..., height, width). That of the blur is odd."""
    scale = min(1.0, min(shape[-2:]) / FULL_SIDE)
    return max(1, round(CLOSING * scale)), 2 * round((BLUR * scale - 1) / 2) + 1


def ellipse(side: int) -> np.ndarray:
    """Structuring element (side, side), bool: `cv2.getStructuringElement(MORPH_ELLIPSE, (side, side))`."""
    radius = side // 2
    rows = np.arange(side) - radius
    half = np.rint(np.sqrt(np.clip(radius**2 - rows**2, 0, None))).astype(int)
    return np.abs(np.arange(side) - radius) <= half[:, None]


def closing(values: Tensor, side: int) -> Tensor:
    """Grey closing of each channel (B, C, H, W) by an ellipse: dilation, then erosion by the reflected ellipse.

    A flat element commutes with thresholds: `closing(a) > t` is the closing of `a > t`, for every t at once. Pixels
    outside of the image count in neither. An ellipse of even side is not symmetric: OpenCV does not reflect it, and so
    moves the result by a pixel, with other anchors than `cv2.dilate(anchor)` and `cv2.erode(side - 1 - anchor)`.
    """
    element = ellipse(side)
    return -_dilate(-_dilate(values, element), element[::-1, ::-1])


def _dilate(values: Tensor, element: np.ndarray) -> Tensor:
    """The largest value under an element centred at each pixel: row by row, of which each is one run of pixels."""
    side = len(element)
    before = side // 2 if element[0].sum() <= element[-1].sum() else side - 1 - side // 2  # of its anchor
    after = side - 1 - before
    padded = F.pad(values, (before, after, before, after), value=-torch.inf)
    height, width, result = *values.shape[-2:], None
    for row, runs in enumerate(element):
        (columns,) = np.nonzero(runs)
        first, last = int(columns[0]), int(columns[-1])
        band = padded[..., row : row + height, first : first + width + last - first]
        largest = F.max_pool2d(band, (1, last - first + 1), stride=1)
        result = largest if result is None else torch.maximum(result, largest)
    return values if result is None else result


def blur(masks: Tensor, side: int) -> Tensor:
    """Gaussian blur of each channel (B, C, H, W), `cv2.GaussianBlur(mask, (side, side), 0)` of floats."""
    sigma = 0.3 * ((side - 1) * 0.5 - 1) + 0.8
    offsets = torch.arange(side, device=masks.device, dtype=masks.dtype) - side // 2
    weights = torch.exp(-(offsets**2) / (2 * sigma**2))
    weights = weights / weights.sum()
    flat, half = masks.flatten(0, 1)[:, None], side // 2
    flat = F.pad(flat, (half, half, half, half), mode="reflect")
    flat = F.conv2d(F.conv2d(flat, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1))
    return flat.view_as(masks)
