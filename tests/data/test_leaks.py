import shutil

import numpy as np
import pytest
from helpers.builders import make_index, write_images
from helpers.try_tables import UNREADABLE, Data, checking, codes, image
from PIL import Image

from quac.data.checks import check_splits


@pytest.fixture
def data():
    return Data()


def test_identical_images_are_found_within_and_across_splits_and_classes(data):
    same = {key: data.rows["train"][3][key] for key in ("pixels", "phash")}
    data.change("train", 4, **same)
    within = data.find_one("identical-within-split")
    assert within["severity"] == "warning"
    assert within["pairs"] == [["train/along/00.png", "train/along/01.png"]]
    data.change("test", 1, **same)
    finding, again = data.find()
    assert (finding["code"], again) == ("identical-across-splits", within)
    assert finding["files"] == ["train/along/00.png = train/along/01.png = test/along/00.png"]
    assert finding["pairs"] == [
        ["train/along/00.png", "test/along/00.png"],
        ["train/along/01.png", "test/along/00.png"],
    ]
    assert "1 image(s) occur in more than one split" in finding["message"]
    assert "(test and train: 1 image(s))" in finding["message"]
    data.change("train", 0, **same)
    split, name, again = data.find()
    assert (split["code"], name["code"]) == ("identical-across-splits", "identical-across-classes")
    assert again == within
    assert name["pairs"] == [
        ["train/across/00.png", "train/along/00.png"],
        ["train/across/00.png", "train/along/01.png"],
        ["train/across/00.png", "test/along/00.png"],
    ]
    assert "(across and along: 1 image(s))" in name["message"]


def test_copies_within_a_split_are_counted_and_paired_with_the_first(data):
    data.rows["validation"] += [image("validation", "across", number) for number in range(2, 5)]
    rows = data.rows["validation"]
    names = [row["path"] for row in rows if row["class"] == "across"]
    for row in rows:
        if row["path"] in names[1:4]:
            row["pixels"] = "one"
    finding = data.find_one("identical-within-split")
    assert finding["message"].startswith(
        "data/validation: 2 image(s) are copies of another one of their class and split (across: 2 image(s))"
    )
    assert finding["files"] == [" = ".join(f"validation/{name}" for name in names[1:4])]
    assert finding["pairs"] == [[f"validation/{names[1]}", f"validation/{name}"] for name in names[2:4]]
    for row in rows:
        row["group"] = row["pixels"]
    assert data.find() == []


def test_copies_of_a_blank_image_are_blank(data):
    for row in (3, 4):
        data.change("train", row, pixels="white", low=1.0, high=1.0)
    assert codes(data.find()) == ["blank"]


def near(phash, *bits):
    """A hash in which some bits are flipped."""
    return f"{int(phash, 16) ^ sum(1 << bit for bit in bits):016x}"


def test_near_duplicates_across_splits(data):
    phash = data.rows["train"][0]["phash"]
    data.change("validation", 1, phash=near(phash, 3, 60))
    data.change("train", 1, phash=near(phash, 3, 60, 7, 8))
    finding = data.find_one("near-duplicate-across-splits")
    assert finding["severity"] == "warning"
    assert finding["pairs"] == [
        ["train/across/00.png", "validation/across/01.png"],
        ["train/across/01.png", "validation/across/01.png"],
    ]
    assert finding["files"][0] == "train/across/00.png ~ validation/across/01.png (2 bits)"
    assert "3 images, in 1 group(s), are nearly equal to one of another split: at most 4 of 64" in finding["message"]
    assert "(train and validation: 2 pair(s))" in finding["message"]
    assert data.find(near_duplicate_distance=1) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"low": 0.5, "high": 0.5},  # blank images look all alike
        UNREADABLE,
    ],
)
def test_blank_and_unreadable_images_are_not_near_duplicates(data, changes):
    data.change("test", 0, **{"phash": data.rows["train"][0]["phash"], **changes})
    assert "near-duplicate-across-splits" not in codes(data.find())


def test_thumbnails_exclude_hashes_that_are_near_by_chance(data):
    data.change("validation", 1, phash=data.rows["train"][0]["phash"])
    assert "near-duplicate-across-splits" in codes(data.find())
    data.change("validation", 1, thumbnail=bytes(range(255, -1, -1)))
    assert "near-duplicate-across-splits" not in codes(data.find())


def test_similar_images_within_a_split_are_not_reported(data):
    data.change("train", 1, phash=near(data.rows["train"][0]["phash"], 1))
    assert data.find() == []


def test_a_near_duplicate_is_found_behind_an_identical_image(data):
    original = data.rows["train"][0]
    data.change("test", 0, pixels=original["pixels"], phash=original["phash"])
    assert codes(data.find()) == ["identical-across-splits"]
    data.rows["test"] += [image("test", "across", 1, phash=original["phash"])]
    identical, alike = data.find()
    assert alike["pairs"] == [["train/across/00.png", "test/across/01.png"]]
    assert identical["pairs"] == [["train/across/00.png", "test/across/00.png"]]


def test_every_image_with_a_near_duplicate_elsewhere_is_in_a_pair():
    data, rng = Data(train=60, validation=30, test=30), np.random.default_rng(1)
    rows = [(split, row) for split, rows in data.rows.items() for row in rows]
    for _, row in rows:
        row["phash"] = near("0" * 16, *rng.integers(0, 64, rng.integers(0, 6)).tolist())
        row["pixels"] = f"{row['phash']}-{rng.integers(0, 3)}"
    (finding,) = [f for f in data.find() if f["code"] == "near-duplicate-across-splits"]
    known = {f"{split}/{row['path']}": (split, row["pixels"], int(row["phash"], 16)) for split, row in rows}

    def close(one, other):
        return one[0] != other[0] and one[1] != other[1] and (one[2] ^ other[2]).bit_count() <= 4

    assert all(close(known[one], known[other]) for one, other in finding["pairs"])
    expected = {name for name, one in known.items() if any(close(one, other) for other in known.values())}
    assert {name for pair in finding["pairs"] for name in pair} == expected


def test_a_group_across_splits(data):
    for split, row in (("train", 0), ("train", 4), ("test", 1)):
        data.change(split, row, group="patient 7")
    data.change("train", 1, group="patient 8")
    data.change("train", 2, group="patient 8")
    finding = data.find_one("group-across-splits")
    assert finding["files"] == ["patient 7: 2 in train (train/across/00.png, ...), 1 in test (test/along/00.png)"]
    assert "1 group(s) have images in more than one split" in finding["message"]
    assert "(test and train: 1 group(s))" in finding["message"]


def test_a_file_that_was_copied_by_a_browser(tmp_path):
    write_images(tmp_path / "images", {"across": 3, "along": 3})
    shutil.copy(tmp_path / "images/along/along-01.png", tmp_path / "images/along/along-01 (1).png")
    Image.open(tmp_path / "images/along/along-01.png").save(tmp_path / "images/along/z.bmp")
    indexes = {"train": make_index(tmp_path / "index.parquet", tmp_path / "images")}
    (finding,) = [f for f in check_splits(indexes, checking()) if f["code"] == "identical-within-split"]
    assert finding["files"] == ["train/along/along-01 (1).png = train/along/along-01.png = train/along/z.bmp"]
