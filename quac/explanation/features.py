"""Measured features of an image: what can be said of it in words.

Intensities are from 0 to 1, by the depth of the image. Objects are what is above Otsu's threshold of the grey image
(1979); pixels that touch at a corner belong to one object. Objects of less than SPECK of the image are none, and holes
as small are filled: they are noise. A feature that an image does not have is NaN: objects and symmetry of a blank one,
colours of a grey one.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import perimeter

from quac.data.images import to_channels

SPECK = 0.001  # of the pixels of an image
LEVELS = 32  # grey levels of the texture
OCTAVES = (1, 2, 4, 8)  # pixels: the coarser end of each
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows and columns to the other pixel of a pair


@dataclass(frozen=True)
class Feature:
    """The unit of a feature, and what it is."""

    unit: str
    definition: str


FEATURES = {
    "mean intensity": Feature("0 to 1", "mean of the grey image"),
    "spread of intensity": Feature("0 to 1", "standard deviation of the grey image"),
    "mean of red": Feature("0 to 1", "mean of the channel"),
    "mean of green": Feature("0 to 1", "mean of the channel"),
    "mean of blue": Feature("0 to 1", "mean of the channel"),
    "spread of red": Feature("0 to 1", "standard deviation of the channel"),
    "spread of green": Feature("0 to 1", "standard deviation of the channel"),
    "spread of blue": Feature("0 to 1", "standard deviation of the channel"),
    "area": Feature("share of the image", "pixels in objects"),
    "objects": Feature("", "number of objects"),
    "holes": Feature("", "areas that objects enclose; the pixels of a hole touch at their sides"),
    "perimeter": Feature("pixels", "length of the borders of all objects (Benkrid and Crookes 2000)"),
    "eccentricity": Feature("0 to 1", "of the ellipse with the moments of the largest object: 0 a circle, 1 a line"),
    "elongation along rows": Feature(
        "-1 to 1",
        "orientation of the largest object, (u - v) / (u + v) of its variances u along and v across the rows: 1 a "
        "horizontal line, -1 a vertical one",
    ),
    "elongation along diagonal": Feature(
        "-1 to 1",
        "orientation of the largest object, 2 w / (u + v) with the covariance w: 1 a line that falls to the right by "
        "45 degrees, -1 one that rises",
    ),
    "texture contrast": Feature(
        "levels squared", f"mean of (i - j)^2 of neighbours with the grey levels i, j of {LEVELS} (Haralick 1973)"
    ),
    "texture homogeneity": Feature("0 to 1", "mean of 1 / (1 + (i - j)^2) of the same"),
    **{
        f"gradient, {finer} to {coarser} px": Feature(
            "% / pixel",
            "root of the gradient energy: of the mean squared gradient of the difference of Gaussians with these "
            "standard deviations (0: the image itself)",
        )
        for finer, coarser in zip((0, *OCTAVES), OCTAVES, strict=False)
    },
    "symmetry, left to right": Feature("-1 to 1", "correlation with the mirror image"),
    "symmetry, top to bottom": Feature("-1 to 1", "correlation with the image upside down"),
}


def measure(image: np.ndarray) -> dict[str, float]:
    """The FEATURES of an image (height, width, 1 or 3), uint8 or uint16; NaN where it has none."""
    top = float(np.iinfo(image.dtype).max)
    grey = to_channels(image, 1)[:, :, 0] / top
    features = dict.fromkeys(FEATURES, np.nan)
    features |= {"mean intensity": grey.mean(), "spread of intensity": grey.std()}
    if image.shape[2] == 3:
        for channel, name in enumerate(("red", "green", "blue")):
            values = image[:, :, channel] / top
            features |= {f"mean of {name}": values.mean(), f"spread of {name}": values.std()}
    features |= _texture(grey) | _gradients(grey)
    if np.ptp(grey) > 0:
        features |= _objects(grey > threshold_otsu(grey)) | _symmetry(grey)
    return {name: float(value) for name, value in features.items()}


def _objects(inside: np.ndarray) -> dict[str, float]:
    """Of a mask (height, width) with both values."""
    least, touching = SPECK * inside.size, np.ones((3, 3))
    labels, areas = _areas(inside, touching)
    inside = inside & (areas >= least)[labels]
    around, sizes = _areas(np.pad(~inside, 1, constant_values=True), None)  # the outside is one of them, and the first
    specks = (sizes < least) & (np.arange(len(sizes)) > 1)
    inside |= specks[around][1:-1, 1:-1]
    labels, areas = _areas(inside, touching)
    features = {
        "area": inside.mean(),
        "objects": len(areas) - 1,
        "holes": (~specks[2:]).sum(),
        "perimeter": perimeter(np.pad(inside, 1)),
    }
    return features | (_shape(labels == areas[1:].argmax() + 1) if inside.any() else {})


def _areas(mask: np.ndarray, structure: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Labels (height, width) of the connected parts of a mask, 0 outside, and the number of pixels of each label."""
    labels, _ = ndimage.label(mask, structure)
    return labels, np.bincount(labels.ravel())


def _shape(inside: np.ndarray) -> dict[str, float]:
    """Of a single object, (height, width)."""
    rows, columns = np.nonzero(inside)
    # Pixels are squares, so the variance along a row of n is n^2 / 12.
    down, along = rows.var() + 1 / 12, columns.var() + 1 / 12
    both = ((rows - rows.mean()) * (columns - columns.mean())).mean()
    total, difference = along + down, np.hypot(along - down, 2 * both)
    return {
        "eccentricity": np.sqrt(2 * difference / (total + difference)),
        "elongation along rows": (along - down) / total,
        "elongation along diagonal": 2 * both / total,
    }


def _texture(grey: np.ndarray) -> dict[str, float]:
    """Of the co-occurrence of levels at a distance of one pixel: means of four directions."""
    levels = np.minimum((grey * LEVELS).astype(int), LEVELS - 1)
    height, width = levels.shape
    squares = []
    for down, right in NEIGHBOURS:
        one = levels[: height - down, max(0, -right) : width - max(0, right)]
        other = levels[down:, max(0, right) : width + min(0, right)]
        squares.append((one - other) ** 2)
    return {
        "texture contrast": np.mean([square.mean() for square in squares]),
        "texture homogeneity": np.mean([(1 / (1 + square)).mean() for square in squares]),
    }


def _gradients(grey: np.ndarray) -> dict[str, float]:
    names = [name for name in FEATURES if name.startswith("gradient")]
    finer, gradients = grey, {}
    for name, sigma in zip(names, OCTAVES, strict=True):
        coarser = ndimage.gaussian_filter(grey, sigma)
        slopes = np.gradient(finer - coarser)
        gradients[name], finer = 100 * np.sqrt(sum((slope**2).mean() for slope in slopes)), coarser
    return gradients


def _symmetry(grey: np.ndarray) -> dict[str, float]:
    centered = grey - grey.mean()
    energy = (centered**2).sum()
    return {
        "symmetry, left to right": (centered * centered[:, ::-1]).sum() / energy,
        "symmetry, top to bottom": (centered * centered[::-1]).sum() / energy,
    }
