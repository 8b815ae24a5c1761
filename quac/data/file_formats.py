"""The format of an image file, its compression and quality; and the finding that they differ by class."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile
from scipy.stats import chi2_contingency

from quac.config import Config
from quac.data.findings import DataSet, Finding, finding, quoted, tally

MIN_DIFFERENCE = 0.25  # of the shares of a format in two classes
MAX_P = 0.005  # of the chi-squared test that format and class are independent; four images of each class suffice
QUALITIES = 10  # if there are more, ten of them count as one


def format_of(content: bytes) -> dict[str, Any]:
    """`format` of the content of an image file, with its compression if the format has several: "PNG", "TIFF lzw",
    "WebP lossy"; and `quality`: of a JPEG 1 to 100, as libjpeg counts, else 0."""
    name, quality = "TIFF", 0
    if content.startswith(b"\x89PNG"):
        name = "PNG"
    elif content.startswith(b"BM"):
        name = "BMP"
    elif content.startswith(b"RIFF"):
        name = "WebP lossless" if b"VP8L" in content[12:4096] else "WebP lossy"
    elif content.startswith(b"\xff\xd8"):
        name, quality = "JPEG", _quality(content)
    else:
        with suppress(Exception):  # Pillow's, of a TIFF that it does not know; others read it
            compression = TiffImageFile(BytesIO(content)).info["compression"]
            name = f"TIFF {compression.removeprefix('tiff_')}"
    return {"format": name, "quality": quality}


def _quality(content: bytes) -> int:
    """The quality whose quantization table of luminance is nearest to that of a JPEG."""
    table = np.array(next(iter(JpegImageFile(BytesIO(content)).quantization.values())))
    return 1 + int(np.abs(_tables() - table).sum(axis=1).argmin())


@cache
def _tables() -> np.ndarray:
    """The quantization tables of luminance (100, 64) of the qualities 1 to 100."""
    tables = []
    for quality in range(1, 101):
        file = BytesIO()
        Image.new("L", (8, 8)).save(file, format="JPEG", quality=quality)
        tables.append(JpegImageFile(BytesIO(file.getvalue())).quantization[0])
    return np.array(tables)


def format_by_class(data: DataSet, _: Config) -> Iterator[Finding]:
    formats = _with_quality(data.usable)
    counts = pd.crosstab(data.usable["class"], formats)
    if min(counts.shape, default=0) < 2 or chi2_contingency(counts, correction=False).pvalue > MAX_P:
        return
    shares = counts.div(counts.sum(axis=1), axis=0)
    differences = shares.max() - shares.min()
    name = str(differences.idxmax())
    if differences[name] < MIN_DIFFERENCE:
        return
    of_classes = {str(label): float(share) for label, share in shares[name].items()}
    most, least = max(of_classes, key=of_classes.__getitem__), min(of_classes, key=of_classes.__getitem__)
    yield finding(
        f"{data.sources}: the formats of the files differ by class: {name} are {of_classes[most]:.0%} of the images "
        f"of {quoted(most)}, but {of_classes[least]:.0%} of those of {quoted(least)} ({tally(formats)}): a "
        "classifier may see the traces of a compression instead of the class",
        "save the images of all classes in one format, with one quality, from originals that were never compressed",
    )


def _with_quality(images: pd.DataFrame) -> pd.Series:
    """The format of each image, and of a JPEG its quality."""
    quality = images["quality"].clip(upper=99)
    if quality[quality > 0].nunique() > QUALITIES:
        shown = (quality // 10 * 10).astype(str) + " to " + (quality // 10 * 10 + 9).astype(str)
    else:
        shown = images["quality"].astype(str)
    return images["format"].where(quality == 0, images["format"] + " of quality " + shown)
