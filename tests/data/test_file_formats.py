from io import BytesIO

import numpy as np
import pytest
import tifffile
from helpers.builders import make_index
from helpers.image_files import noise
from helpers.try_tables import Data, checking
from PIL import Image

from quac.data.checks import check_splits
from quac.data.file_formats import format_of


def content(name, values=None, **options):
    file = BytesIO()
    Image.fromarray(noise(0, 20, 30, 3) if values is None else values).save(file, format=name, **options)
    return file.getvalue()


@pytest.mark.parametrize("quality", [1, 5, 15, 40, 50, 75, 89, 95, 100])
def test_the_quality_of_a_jpeg(quality):
    expected = {"format": "JPEG", "quality": quality}
    assert format_of(content("JPEG", quality=quality)) == expected
    assert format_of(content("JPEG", quality=quality, subsampling=0, progressive=True)) == expected
    assert format_of(content("JPEG", noise(1, 9, 9), quality=quality)) == expected


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("PNG", {}, "PNG"),
        ("BMP", {}, "BMP"),
        ("WEBP", {"lossless": True}, "WebP lossless"),
        ("WEBP", {"lossless": True, "icc_profile": b"x" * 900}, "WebP lossless"),
        ("WEBP", {"quality": 80}, "WebP lossy"),
        ("TIFF", {}, "TIFF raw"),
        ("TIFF", {"compression": "tiff_lzw"}, "TIFF lzw"),
        ("TIFF", {"compression": "jpeg"}, "TIFF jpeg"),
    ],
)
def test_formats_and_compressions(name, options, expected):
    assert format_of(content(name, **options)) == {"format": expected, "quality": 0}


def test_a_tiff_that_pillow_does_not_know():
    file = BytesIO()
    tifffile.imwrite(file, np.zeros((4, 5)))
    assert format_of(file.getvalue())["format"] == "TIFF"


def found(data):
    return [finding for finding in data.find() if finding["code"] == "format-by-class"]


def changed(data, name, count, **changes):
    """`data` with the first `count` training images of a class changed."""
    for row in [row for row in data.rows["train"] if row["class"] == name][:count]:
        row |= changes
    return data


@pytest.mark.parametrize("other", ["jpg", "png"])
def test_the_same_kind_of_picture_once_as_jpeg_once_not(tmp_path, other):
    for label in range(2):
        (tmp_path / f"images/{label}").mkdir(parents=True)
        for number in range(8):
            options, ending = ({"quality": 15}, "jpg") if label else ({"quality": 92} if other == "jpg" else {}, other)
            image = Image.fromarray(noise(10 * label + number, 40, 40))
            image.save(tmp_path / f"images/{label}/{number}.{ending}", **options)
    index = make_index(tmp_path / "index.parquet", tmp_path / "images")
    (finding,) = [f for f in check_splits({"train": index}, checking()) if f["code"] == "format-by-class"]
    assert finding["severity"] == "warning"
    first = "JPEG of quality 15 are 100% of the images of 1, but 0% of those of 0"
    second = {"jpg": "JPEG of quality 92", "png": "PNG"}[other]
    assert first in finding["message"]
    assert f"{second}: 8 image(s)" in finding["message"]


@pytest.mark.parametrize(("count", "warned"), [(3, False), (4, True)])
def test_a_few_images_suffice(count, warned):
    data = Data(train=count, validation=0, test=0)
    assert bool(found(changed(data, "along", count, format="TIFF lzw"))) == warned


def test_formats_that_are_mixed_in_all_classes_are_fine():
    data = Data(train=40)
    for name in ("across", "along"):
        changed(data, name, 20, format="JPEG", quality=80)
    assert found(data) == []
    changed(data, "along", 24, format="JPEG", quality=80)  # 24 of 43, against 20 of 43
    assert found(data) == []
    changed(data, "along", 40, format="JPEG", quality=80)
    assert "(JPEG of quality 80: 60 image(s), PNG: 26 image(s))" in found(data)[0]["message"]


@pytest.mark.parametrize(("shift", "warned"), [(0, False), (30, True)])
def test_qualities_that_a_camera_chooses(shift, warned):
    data, rng = Data(train=60), np.random.default_rng(0)
    for row in data.rows["train"]:
        quality = int(rng.integers(50, 70)) + (shift if row["class"] == "along" else 0)
        row |= {"format": "JPEG", "quality": quality}
    assert bool(found(data)) == warned


@pytest.mark.parametrize("classes", [2, 10])
def test_formats_that_do_not_depend_on_the_class_are_hardly_ever_reported(classes):
    warnings = 0
    for seed in range(60):
        data, rng = Data([str(n) for n in range(classes)], train=10, validation=0, test=0), np.random.default_rng(seed)
        for row in data.rows["train"]:
            row["format"] = str(rng.choice(["PNG", "BMP", "JPEG"]))
        warnings += bool(found(data))
    assert warnings <= 2
