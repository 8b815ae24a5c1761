"""Findings: images that look, or are stored, unlike the others."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from quac.config import Config
from quac.config.choices import split_mode
from quac.data.findings import DataSet, Finding, finding, join_words, tally
from quac.data.preprocess import sizing_of, too_small

# Above these a difference is worth a warning.
MAX_AREA_RATIO = 2  # of the largest to the smallest area that is scaled to one size
MAX_ASPECT_RATIO = 1.5  # longer side by the shorter one
MAX_SHIFT = 0.1  # distance of two mean histograms, see `_distance`
# By chance, one class in 200 is further apart than all shuffles, but hardly one in thousands by so much.
SHUFFLES, MARGIN = 200, 0.05
MIN_IMAGES = 5  # of a class and split, for a meaningful mean histogram


def blank(data: DataSet, _: Config) -> Iterator[Finding]:
    for split, rows in data.usable[data.usable["low"] == data.usable["high"]].groupby("split", sort=False):
        yield finding(
            f"{data.indexes[str(split)].attrs['source']}: {len(rows)} image(s) are blank, all of one intensity "
            f"({tally(rows['class'])})",
            "remove them",
            rows["name"],
        )


def mixed_modes(data: DataSet, _: Config) -> Iterator[Finding]:
    remedy = "save all images in one mode, so that the mode does not reveal the class"
    return _mixed(data, data.usable["mode"], "modes", remedy)


def mixed_bit_depths(data: DataSet, _: Config) -> Iterator[Finding]:
    remedy = "save all images with the same number of bits, on one scale of intensities"
    return _mixed(data, data.usable["bits"].astype(str) + " bits", "depths", remedy)


def _mixed(data: DataSet, values: pd.Series, what: str, remedy: str) -> Iterator[Finding]:
    if values.nunique() > 1:
        rare = values != values.value_counts().index[0]
        yield finding(
            f"{data.sources}: the images have {values.nunique()} {what}: {tally(values)}",
            remedy,
            data.usable["name"][rare] + ": " + values[rare],
        )


def mixed_sizes(data: DataSet, config: Config) -> Iterator[Finding]:
    width, height = data.usable["width"], data.usable["height"]
    areas_by_scaling = {  # the area that a scaling brings to one size
        "resize": width * height,
        "scale_width": width**2,
        "scale_shortside": data.usable[["width", "height"]].min(axis=1) ** 2,
    }
    for scaling, all_areas in areas_by_scaling.items():
        areas = all_areas[_scaled_by(data, config, scaling)]
        if len(areas) and areas.max() > MAX_AREA_RATIO * areas.min():
            rows = data.usable.loc[[areas.idxmin(), areas.idxmax()]]
            yield finding(
                f"{data.sources}: the images have {' to '.join(_sizes(rows))} pixels, and are resized, "
                "each by a factor of its own",
                "crop or scale the images so that a pixel has the same length in all of them, or do not scale them "
                "(data.preprocess: crop)",
                rows["name"] + ": " + _sizes(rows),
            )


def distorted(data: DataSet, config: Config) -> Iterator[Finding]:
    width, height = data.usable["width"], data.usable["height"]
    ratio = np.maximum(width, height) / np.minimum(width, height)
    squashed = (ratio > MAX_ASPECT_RATIO) & _scaled_by(data, config, "resize")
    if squashed.any():
        rows = data.usable[squashed]
        yield finding(
            f"{data.sources}: {len(rows)} image(s) ({tally(rows['split'])}) have a side more than "
            f"{MAX_ASPECT_RATIO} times the other, up to {ratio[squashed].max():.1f} times, and become distorted",
            "crop instead (data.preprocess: scale_shortside_and_crop), crop the images to squares, or pad them",
            rows["name"] + ": " + _sizes(rows),
        )


def smaller_than_crop(data: DataSet, config: Config) -> Iterator[Finding]:
    sizings = {split: sizing_of(config, split) for split in data.indexes}
    sizes = zip(data.usable["split"], data.usable["width"], data.usable["height"], strict=True)
    small = [too_small(width, height, sizings[split]) for split, width, height in sizes]
    if any(small):
        rows = data.usable[small]
        yield finding(
            f"{data.sources}: {len(rows)} image(s) ({tally(rows['split'])}) are smaller than the crop",
            "remove them, lower data.img_size, or scale before the crop (data.preprocess, data.load_size)",
            rows["name"] + ": " + _sizes(rows),
        )


def _scaled_by(data: DataSet, config: Config, scaling: str) -> pd.Series:
    """Which usable images belong to a split with this scaling, (images,) bool."""
    splits = [split for split in data.indexes if split_mode(sizing_of(config, split).preprocess)[0] == scaling]
    return data.usable["split"].isin(splits)


def histogram_shift(data: DataSet, _: Config) -> Iterator[Finding]:
    rng = np.random.default_rng(0)
    for name, rows in data.usable[data.usable["split"] != "test"].groupby("class"):
        chosen = np.flatnonzero(rows["split"] == "validation")
        left = len(rows) - len(chosen)
        if min(left, len(chosen)) < MIN_IMAGES:
            continue
        histograms = np.array(rows["histogram"].tolist())
        histograms -= histograms.mean(axis=0)
        if (shift := _distance(histograms, chosen)) <= MAX_SHIFT:
            continue
        if (chance := _largest_by_chance(histograms, len(chosen), shift - MARGIN, rng)) is not None:
            sources = join_words([data.indexes[split].attrs["source"] for split in ("train", "validation")])
            yield finding(
                f"{sources}: the intensities of class {name} differ between {left} training and {len(chosen)} "
                f"validation images: the distance of their mean histograms, from 0 to 1, is {shift:.2f}, and at most "
                f"{chance:.2f} in {SHUFFLES} random splits of the same images",
                "split the images again, at random, or give both splits images that were taken in the same way",
            )


def _largest_by_chance(histograms: np.ndarray, size: int, limit: float, rng: np.random.Generator) -> float | None:
    """Largest `_distance` of random choices of `size` images; None as soon as one reaches the limit."""
    largest = 0.0
    for _ in range(SHUFFLES):
        largest = max(largest, _distance(histograms, rng.choice(len(histograms), size, replace=False, shuffle=False)))
        if largest >= limit:
            return None
    return largest


def _distance(histograms: np.ndarray, chosen: np.ndarray) -> float:
    """Total variation distance, 0 to 1, between the mean histogram of the chosen rows and that of the rest.

    `histograms` are (n, bins) minus the mean of all, so that the mean of the rest follows from the chosen ones.
    """
    from_all = np.abs(histograms[chosen].mean(axis=0)).sum() / 2
    return float(from_all * len(histograms) / (len(histograms) - len(chosen)))


def _sizes(rows: pd.DataFrame) -> pd.Series:
    return rows["width"].astype(str) + "x" + rows["height"].astype(str)
