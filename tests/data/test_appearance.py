import numpy as np
import pytest
from helpers.try_tables import BINS, Data, codes

from quac.config.choices import SEVERITIES

ONLY_CROP = dict.fromkeys(SEVERITIES.keys() - {"smaller-than-crop"}, "ignore")


@pytest.fixture
def data():
    return Data()


def test_blank_images(data):
    data.change("train", 0, low=0.0, high=0.0)
    data.change("train", 4, low=1.0, high=1.0)
    finding = data.find_one("blank")
    assert finding["message"].startswith("data/train: 2 image(s) are blank")
    assert "(across: 1 image(s), along: 1 image(s))" in finding["message"]
    assert finding["files"] == ["train/across/00.png", "train/along/01.png"]


def test_mixed_modes(data):
    data.change("test", 1, mode="RGB")
    finding = data.find_one("mixed-modes")
    assert finding["message"].endswith("the images have 2 modes: L: 11 image(s), RGB: 1 image(s)")
    assert finding["files"] == ["test/along/00.png: RGB"]


def test_mixed_bit_depths(data):
    data.change("test", 1, bits=16, lowest=0.0, highest=65535.0, common_low=9.0, common_high=65000.0)
    finding = data.find_one("mixed-bit-depths")
    assert finding["message"].endswith("2 depths: 8 bits: 11 image(s), 16 bits: 1 image(s)")
    assert finding["files"] == ["test/along/00.png: 16 bits"]


def test_mixed_sizes(data):
    data.change("train", 1, width=64)
    assert codes(data.find(preprocess="resize")) == ["distorted"]
    data.change("train", 1, width=40, height=60)
    assert data.find(preprocess="crop") == []
    finding = data.find_one("mixed-sizes", preprocess="resize")
    assert "have 32x32 to 40x60 pixels, and are resized, each by a factor of its own" in finding["message"]
    assert finding["files"] == ["train/across/00.png: 32x32", "train/across/01.png: 40x60"]


def test_mixed_sizes_are_compared_in_the_scaled_length(data):
    data.change("train", 1, height=96)
    assert codes(data.find(preprocess="scale_width_and_crop")) == []
    assert codes(data.find(preprocess="scale_shortside_and_crop")) == []
    data.change("train", 1, width=64)
    assert codes(data.find(preprocess="scale_width_and_crop")) == ["mixed-sizes"]
    assert codes(data.find(preprocess="crop")) == []


def test_distorted_images(data):
    data.change("train", 1, height=48)
    assert data.find(preprocess="resize") == []
    data.change("train", 1, height=49)
    assert data.find(preprocess="crop") == []
    finding = data.find_one("distorted", preprocess="resize")
    assert "1 image(s) (train: 1 image(s)) have a side more than 1.5 times the other" in finding["message"]
    assert finding["files"] == ["train/across/01.png: 32x49"]


def test_a_shift_of_the_intensities():
    data = Data(train=20, validation=10)
    assert data.find() == []
    for row in range(10):
        data.change("validation", row, histogram=np.eye(BINS)[12].tolist())
    finding = data.find_one("histogram-shift")
    assert "data/train and data/validation: the intensities of class across differ" in finding["message"]
    assert "between 20 training and 10 validation images" in finding["message"]
    assert "is 1.00, and at most 0." in finding["message"]


def test_a_shift_of_few_images_is_not_reported():
    data = Data(train=20, validation=4)
    for row in range(4):
        data.change("validation", row, histogram=np.eye(BINS)[12].tolist())
    assert data.find() == []


@pytest.mark.parametrize("count", [5, 10, 40])
@pytest.mark.parametrize("contrast", [0.01, 0.1, 1.0])  # from images of one intensity to images of all
def test_small_random_splits_are_not_reported_as_a_shift(count, contrast):
    data = Data(classes=[f"{number:02d}" for number in range(20)], train=2 * count, validation=count)
    rng = np.random.default_rng(count)
    for row in data.rows["train"] + data.rows["validation"]:
        row["histogram"] = rng.dirichlet(np.full(BINS, contrast)).tolist()
    assert data.find() == []


def test_images_smaller_than_the_crop(data):
    data.change("train", 1, width=31)
    data.change("test", 0, height=8)
    finding = data.find_one("smaller-than-crop", preprocess="crop")
    assert finding["files"] == ["train/across/01.png: 31x32", "test/across/00.png: 32x8"]
    assert finding["severity"] == "error"
    assert codes(data.find(preprocess="none")) == []
    # Scaled to a width of 64, all but the flat one are high enough.
    wide = data.find_one("smaller-than-crop", preprocess="scale_width_and_crop", load_size=64, severity=ONLY_CROP)
    assert wide["files"] == ["test/across/00.png: 32x8"]
    assert data.find(preprocess="scale_shortside_and_crop", severity=ONLY_CROP) == []
