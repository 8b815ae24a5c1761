"""Findings: images that look, or are stored, unlike the others."""

import numpy as np

from quac.data.findings import conjoined, finding, sources_of, tally
from quac.data.preprocess import parts, too_small

# Above these a difference is worth a warning.
RESIZED = 2  # largest factor by which an area changes, by the smallest
SQUASHED = 1.5  # longer side by the shorter one
SHIFTED = 0.1  # distance of two mean histograms, see `_distance`
# By chance, one class in 200 is further apart than all shuffles, but hardly one in thousands by so much.
SHUFFLES, BEYOND_CHANCE = 200, 0.05
FEWEST_TO_COMPARE = 5  # images of a class and split, for their mean histogram to say something

# The area that a scaling brings to one size.
SCALED_BY = {
    "resize": lambda width, height: width * height,
    "scale_width": lambda width, _: width**2,
    "scale_shortside": lambda width, height: np.minimum(width, height) ** 2,
}


def blank(data, _):
    for split, rows in data.usable[data.usable["low"] == data.usable["high"]].groupby("split", sort=False):
        yield finding(
            f"{data.indexes[split].attrs['source']}: {len(rows)} image(s) are blank, all of one intensity "
            f"({tally(rows['class'])})",
            "remove them",
            rows["name"],
        )


def mixed_modes(data, _):
    return _mixed(
        data, data.usable["mode"], "modes", "save all images in one mode, so that no class can be told by its mode"
    )


def mixed_bit_depths(data, _):
    return _mixed(
        data,
        data.usable["bits"].astype(str) + " bits",
        "depths",
        "save all images with the same number of bits, on one scale of intensities",
    )


def _mixed(data, values, what, remedy):
    if values.nunique() > 1:
        rare = values != values.value_counts().index[0]
        yield finding(
            f"{sources_of(data)}: the images have {values.nunique()} {what}: {tally(values)}",
            remedy,
            data.usable["name"][rare] + ": " + values[rare],
        )


def mixed_sizes(data, settings):
    for scaling, measure in SCALED_BY.items():
        rows = data.usable[_scaled_by(data, settings, scaling)]
        areas = measure(rows["width"], rows["height"])
        if len(areas) and areas.max() > RESIZED * areas.min():
            small, large = (rows.loc[row] for row in (areas.idxmin(), areas.idxmax()))
            yield finding(
                f"{sources_of(data)}: the images have {_size(small)} to {_size(large)} pixels, and are resized, "
                "each by a factor of its own",
                "cut or scale the images so that a pixel is the same length in all of them, or do not scale them "
                "(data.preprocess: crop)",
                [f"{row['name']}: {_size(row)}" for row in (small, large)],
            )


def distorted(data, settings):
    width, height = data.usable["width"], data.usable["height"]
    ratio = np.maximum(width, height) / np.minimum(width, height)
    squashed = (ratio > SQUASHED) & _scaled_by(data, settings, "resize")
    if squashed.any():
        rows = data.usable[squashed]
        yield finding(
            f"{sources_of(data)}: {len(rows)} image(s) ({tally(rows['split'])}) have a side more than "
            f"{SQUASHED} times the other, up to {ratio[squashed].max():.1f} times, and are squashed to a square",
            "crop instead (data.preprocess: scale_shortside_and_crop), cut the images to squares, or pad them",
            rows["name"] + ": " + rows["width"].astype(str) + "x" + rows["height"].astype(str),
        )


def smaller_than_crop(data, settings):
    sizes = zip(data.usable["split"], data.usable["width"], data.usable["height"], strict=True)
    small = [too_small(width, height, getattr(settings.sizes, split)) for split, width, height in sizes]
    if any(small):
        rows = data.usable[small]
        yield finding(
            f"{sources_of(data)}: {len(rows)} image(s) ({tally(rows['split'])}) are smaller than the crop",
            "remove them, lower data.img_size, or scale before the crop (data.preprocess, data.load_size)",
            rows["name"] + ": " + rows["width"].astype(str) + "x" + rows["height"].astype(str),
        )


def _scaled_by(data, settings, scaling):
    """Which images are of a split that is scaled so."""
    splits = [split for split in data.indexes if parts(getattr(settings.sizes, split).preprocess)[0] == scaling]
    return data.usable["split"].isin(splits)


def histogram_shift(data, _):
    rng = np.random.default_rng(0)
    for name, rows in data.usable[data.usable["split"] != "test"].groupby("class"):
        chosen = np.flatnonzero(rows["split"] == "validation")
        left = len(rows) - len(chosen)
        if min(left, len(chosen)) < FEWEST_TO_COMPARE:
            continue
        histograms = np.array(rows["histogram"].tolist())
        histograms -= histograms.mean(axis=0)
        shift = _distance(histograms, chosen)
        limit = shift - BEYOND_CHANCE
        if shift > SHIFTED and (chance := _largest_by_chance(histograms, len(chosen), limit, rng)) is not None:
            sources = conjoined([data.indexes[split].attrs["source"] for split in ("train", "validation")])
            yield finding(
                f"{sources}: the intensities of class {name} differ between {left} training and {len(chosen)} "
                f"validation images: the distance of their mean histograms, from 0 to 1, is {shift:.2f}, and at most "
                f"{chance:.2f} in {SHUFFLES} random splits of the same images",
                "split the images anew, at random, or give both splits images that were taken alike",
            )


def _largest_by_chance(histograms, size, limit, rng):
    """Largest `_distance` of random choices of `size` images; None as soon as one reaches the limit."""
    largest = 0.0
    for _ in range(SHUFFLES):
        largest = max(largest, _distance(histograms, rng.choice(len(histograms), size, replace=False, shuffle=False)))
        if largest >= limit:
            return None
    return largest


def _distance(histograms, chosen):
    """Total variation distance, 0 to 1, between the mean histogram of the chosen rows and that of the rest.

    `histograms` are (n, bins), less the mean of all: that of the rest follows from the chosen ones.
    """
    from_all = np.abs(histograms[chosen].mean(axis=0)).sum() / 2
    return float(from_all * len(histograms) / (len(histograms) - len(chosen)))


def _size(row):
    return f"{row['width']}x{row['height']}"
