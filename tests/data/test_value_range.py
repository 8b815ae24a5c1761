import numpy as np
import pytest
import tifffile
from helpers.builders import make_index, stripes
from helpers.image_files import noise
from helpers.try_tables import Data, checking
from PIL import Image

from quac.data.checks import check_splits


def save(folder, values, name="a"):
    """Write arrays as TIFFs of the classes 0 and 1."""
    for number, array in enumerate(values):
        (folder / str(number % 2)).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / str(number % 2) / f"{name}{number:02d}.tif", array)


def found(tmp_path, limits=None, code="value-range"):
    """The findings of a code, of the images in a folder, as both splits."""
    index = make_index(tmp_path / "index.parquet", tmp_path / "images", range=limits)
    config = checking()
    config = config.model_copy(update={"data": config.data.model_copy(update={"range": limits})})
    indexes = {"train": index, "validation": index}
    return [finding for finding in check_splits(indexes, config) if finding["code"] == code]


def camera(count=6, scale=3, offset=100, dtype=np.uint16):
    return [(noise(number, 40, 40).astype(np.int64) * scale + offset).astype(dtype) for number in range(count)]


def test_values_of_a_camera_in_files_of_16_bits(tmp_path):
    save(tmp_path / "images", camera())
    (finding,) = found(tmp_path)
    assert finding["severity"] == "warning"
    assert finding["message"] == (
        f"{tmp_path}/images: the values use 1.2% of the range: those of the images of 16 bits are from 100 to 865, "
        "but 0 to 65535 become the intensities 0 to 1"
    )
    assert finding["remedy"] == "data.range: [100, 865] would fit; it is for the images of all splits"
    assert found(tmp_path, (100, 865)) == []


@pytest.mark.parametrize(("bits", "warned"), [(10, True), (12, True), (14, True), (15, True), (16, False)])
def test_the_bits_that_are_used(tmp_path, bits, warned):
    scale = 2**bits // 256
    save(tmp_path / "images", camera(scale=scale, offset=scale - 1))
    assert bool(found(tmp_path)) == warned


def test_shades_of_8_bits(tmp_path):
    save(tmp_path / "images", [noise(number, 40, 40) // 64 for number in range(4)])
    (finding,) = found(tmp_path)
    assert "images of 8 bits are from 0 to 3, but 0 to 255" in finding["message"]


def test_single_pixels_and_odd_images_hide_nothing(tmp_path):
    images = camera(300, scale=16, offset=0)
    for image in images:
        image[3, 5] = 65535
    images[7] += 40000
    save(tmp_path / "images", images)
    (finding,) = found(tmp_path)
    assert finding["remedy"].startswith("data.range: [0, 4080] would fit")


def test_a_range_that_cuts_off_most_values(tmp_path):
    save(tmp_path / "images", camera())
    (finding,) = found(tmp_path, (0, 255))
    assert "80% of the values lie outside of data.range" in finding["message"]
    assert "are from 100 to 865, but 0 to 255 become" in finding["message"]
    assert "data.range: [100, 865]" in finding["remedy"]


def test_floats_and_a_range_that_is_far_too_wide(tmp_path):
    save(tmp_path / "images", [image / np.float32(256) for image in camera(scale=1, offset=0)])
    assert found(tmp_path, (0, 1)) == []
    (finding,) = found(tmp_path, (0, 65535))
    assert "data.range: [0, 0.996094]" in finding["remedy"]


def test_one_split_alone():
    data = Data()
    for row in data.rows["test"]:
        row |= {"bits": 16, "lowest": 0.0, "highest": 4095.0, "common_low": 10.0, "common_high": 4000.0}
    (finding,) = [finding for finding in data.find() if finding["code"] == "value-range"]
    assert finding["message"].startswith("data/test: the values use 6.2% of the range")
    assert finding["remedy"] == "save all images with the same number of bits, on one scale"


def pictures(count=16):
    """Grey uint8 pictures, unlike each other."""
    return [np.asarray(stripes(("across", "along")[n % 2], np.random.default_rng(n), 64)) for n in range(count)]


@pytest.mark.parametrize("limits", [None, (0, 4095), (-500, 70000)])
def test_hashes_and_thumbnails_do_not_depend_on_the_range(tmp_path, limits):
    save(tmp_path / "bright", pictures())
    save(tmp_path / "dim", [image.astype(np.uint16) * 3 + 100 for image in pictures()])
    bright, dim = (make_index(tmp_path / "x", tmp_path / name, range=limits) for name in ("bright", "dim"))
    assert dim["phash"].tolist() == bright["phash"].tolist()
    assert dim["thumbnail"].tolist() == bright["thumbnail"].tolist()
    assert bright["phash"].nunique() > 8


def test_leaked_dim_images_are_found(tmp_path):
    rng, images = np.random.default_rng(0), [image.astype(np.uint16) * 3 + 100 for image in pictures()]
    save(tmp_path / "train", images)
    save(tmp_path / "test", [image + rng.integers(0, 4, image.shape, np.uint16) for image in images])
    indexes = {name: make_index(tmp_path / name / "x", tmp_path / name) for name in ("train", "test")}
    (finding,) = [f for f in check_splits(indexes, checking()) if f["code"] == "near-duplicate-across-splits"]
    assert len({name for pair in finding["pairs"] for name in pair if name.startswith("test")}) == 16


def test_transparent_pixels_do_not_count(tmp_path):
    for number in range(2):
        (tmp_path / "images" / str(number)).mkdir(parents=True)
        image = np.stack([noise(number, 40, 40) // 4, np.full((40, 40), 255, np.uint8)], axis=2)
        image[:20] = (255, 0)
        Image.fromarray(image, "LA").save(tmp_path / "images" / str(number) / "x.png")
    (finding,) = found(tmp_path)
    assert "from 0 to 63" in finding["message"]
