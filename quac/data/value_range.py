"""Finding: values that use little of the range that becomes the intensities [0, 1], or lie outside of it."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from quac.config import Config
from quac.data.findings import DataSet, Finding, finding, join_words
from quac.data.images import Limits

MIN_SHARE = 0.5  # of the range; 15 bits in 16 use less
MAX_CLIPPED = 0.25  # of the values of an image, on average, that `data.range` cuts off
ODD = 0.01  # share of the images, on either side, whose values do not count


def value_range(data: DataSet, config: Config) -> Iterator[Finding]:
    depths = data.usable["bits"].where(data.usable["bits"] > 8, 8)
    for bits, rows in data.usable[data.usable["highest"].notna()].groupby(depths):
        limits = config.data.range or (0, 2 ** int(bits) - 1)
        narrow, cut = [], []  # splits
        for split, images in rows.groupby("split", sort=False):
            low, high = np.clip(_common(images), *limits)
            # Images that are all of one value are another finding.
            if images["lowest"].min() < images["highest"].max() and high - low < MIN_SHARE * (limits[1] - limits[0]):
                narrow.append(str(split))
            if images["clipped"].mean() > MAX_CLIPPED:
                cut.append(str(split))
        if not narrow and not cut:
            continue
        images = rows[rows["split"].isin([*narrow, *cut])]
        low, high = _fitting(images, limits)
        sources = join_words(list(dict.fromkeys(data.indexes[split].attrs["source"] for split in [*narrow, *cut])))
        share = min(1.0, (high - low) / (limits[1] - limits[0]))
        what = (
            f"{images['clipped'].mean():.0%} of the values lie outside of data.range"
            if cut
            else f"the values use {share:.1%} of the range"
        )
        remedy = f"data.range: [{_number(low)}, {_number(high)}] would fit; it is for the images of all splits"
        if config.data.range is None and depths.nunique() > 1:
            remedy = "save all images with the same number of bits, on one scale"
        found, used = (f"{_number(least)} to {_number(most)}" for least, most in ((low, high), limits))
        yield finding(
            f"{sources}: {what}: those of the images of {_bits(images)} bits are from {found}, "
            f"but {used} become the intensities 0 to 1",
            remedy,
        )


def _common(images: pd.DataFrame) -> Limits:
    """Lowest and highest value that are common in the images, without single pixels and odd images."""
    low = images["common_low"].quantile(ODD, interpolation="lower")
    return float(low), float(images["common_high"].quantile(1 - ODD, interpolation="higher"))


def _fitting(images: pd.DataFrame, limits: Limits) -> Limits:
    """A range that fits the images: of all their values, if single pixels do not make it much larger."""
    low, high = images["lowest"].min(), images["highest"].max()
    common = _common(images)
    wide = high - low > 2 * (common[1] - common[0]) and high - low >= MIN_SHARE * (limits[1] - limits[0])
    return common if wide and common[0] < common[1] else (low, high)


def _bits(rows: pd.DataFrame) -> str:
    return join_words([str(bits) for bits in sorted(rows["bits"].unique())])


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.6g}"
