"""Pixels written as the file was that they were read from."""

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from helpers.builders import reading
from helpers.image_files import kinds, noise
from PIL import Image

from quac.data.decode import decode
from quac.data.decoded import ImageError
from quac.data.images import encode, read_image, to_depth


def deep(pixels):
    return to_depth(pixels, np.uint16)


def test_every_kind_of_file_is_written_in_its_format_and_depth(tmp_path):
    (tmp_path / "in").mkdir()
    for path in kinds(tmp_path / "in"):
        pixels, decoded = read_image(path, reading())
        out = tmp_path / "out" / path.name
        encode(out, deep(pixels), decoded)
        again, found = read_image(out, reading())
        with Image.open(path) as before, Image.open(out) as after:
            assert before.format == after.format
        assert found.values.dtype == decoded.values.dtype
        loss = np.abs(again.astype(int)[:, :, : pixels.shape[2]] - pixels).max()
        assert loss == 0 if path.suffix.lower() != ".jpg" else loss < 25, path.name
        assert not list(out.parent.glob(".*"))


def test_a_grey_result_of_a_colour_file_and_vice_versa(tmp_path):
    for ending in ("png", "tif", "jpg", "webp", "bmp"):
        for channels in (1, 3):
            pixels = np.full((4, 6, channels), 51 * 257, np.uint16)
            encode(tmp_path / f"x.{ending}", pixels, SimpleNamespace(values=np.zeros(1, np.uint8)))
            values = decode(tmp_path / f"x.{ending}").values
            assert values.shape[:2] == (4, 6)
            assert values.shape[2] == channels or ending == "webp"  # which has no grey
            assert np.abs(values.astype(int) - 51).max() <= 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint16, np.int32])
def test_values_of_a_given_range_come_back(tmp_path, dtype):
    limits = (-500.0, 3596.0) if dtype != np.uint16 else (0.0, 4095.0)
    values = (noise(0, 5, 7, dtype=np.uint16) % 3000).astype(dtype)
    tifffile.imwrite(tmp_path / "x.tif", values)
    pixels, decoded = read_image(tmp_path / "x.tif", reading(range=limits))
    encode(tmp_path / "y.tif", pixels, decoded, limits)
    again = tifffile.imread(tmp_path / "y.tif")
    assert again.dtype == dtype
    assert np.abs(again.astype(float) - values).max() <= (0 if np.dtype(dtype).kind in "iu" else 0.04)


def test_values_that_a_format_cannot_hold_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", noise(0, 4, 5, dtype=np.uint16))
    pixels, decoded = read_image(tmp_path / "x.tif", reading())
    for name in ("x.jpg", "x.bmp", "x.webp"):
        with pytest.raises(ImageError, match=r"has values of 16 bits \(mode .*\), which a \.\w+ cannot hold"):
            encode(tmp_path / "out" / name, pixels, decoded)
    assert not (tmp_path / "out").exists()
