import json
import unicodedata
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from quac.config import SEVERITIES
from quac.data.checks import check_splits, summary
from quac.data.findings import describe
from quac.tables import read_table, write_table

BINS = 16


def settings(**changes):
    given = {"num_domains": None, "severity": {}, "near_duplicate_distance": 4, "img_size": 32, "squares": False}
    return SimpleNamespace(**{**given, **changes})


def image(split, name, number, **changes):
    """A row of an index: an image like no other."""
    rng = np.random.default_rng([number, *split.encode(), *name.encode()])
    level = rng.integers(6, 9)
    return {
        "path": f"{name}/{number:02d}.png",
        "class": name,
        "group": "",
        "mask": "",
        "weight": 1.0,
        "width": 32,
        "height": 32,
        "mode": "L",
        "bits": 8,
        "bytes": 900,
        "sha256": f"file of {split}/{name}/{number}",
        "pixels": f"pixels of {split}/{name}/{number}",
        "phash": f"{rng.integers(2**64, dtype=np.uint64):016x}",
        "thumbnail": bytes(range(256)),
        "low": 0.1,
        "high": 0.9,
        "histogram": np.eye(BINS)[level].tolist(),
        "error": "",
        **changes,
    }


UNREADABLE = {"width": 0, "height": 0, "mode": "", "bits": 0, "pixels": "", "phash": "", "low": np.nan, "high": np.nan}
UNREADABLE |= {"histogram": None, "thumbnail": b"", "error": "is no image"}


class Data:
    """A data set without images: rows that a test changes, and what the checks find in them."""

    def __init__(self, classes=("across", "along"), train=3, validation=2, test=1):
        self.rows = {
            split: [image(split, name, number) for name in classes for number in range(count)]
            for split, count in {"train": train, "validation": validation, "test": test}.items()
        }
        self.classes = {split: list(classes) for split in self.rows}
        self.strays = {split: [] for split in self.rows}

    def indexes(self):
        found = {}
        for split, rows in self.rows.items():
            classes = self.classes[split]
            rows = [{**row, "label": classes.index(row["class"])} for row in rows]
            found[split] = pd.DataFrame(rows, columns=[*image("", "", 0), "label"])
            found[split].attrs = {
                "source": f"data/{split}",
                "classes": classes,
                "strays": self.strays[split],
                "split": split,
            }
        return found

    def change(self, split, row, **changes):
        self.rows[split][row] |= changes

    def find(self, **changes):
        """The findings; each is as it must be, and can be written as JSON."""
        findings = check_splits(self.indexes(), settings(**changes))
        for finding in findings:
            assert list(finding) == ["code", "severity", "message", "remedy", "files", "pairs"]
        return json.loads(json.dumps(findings))

    def find_one(self, code, **changes):
        (finding,) = self.find(**changes)
        assert finding["code"] == code
        return finding


@pytest.fixture
def data():
    return Data()


def codes(findings):
    return [finding["code"] for finding in findings]


def test_good_data_has_no_findings(data):
    assert data.find(num_domains=2, squares=True) == []
    assert summary(data.indexes())["train"]["images"] == {"across": 3, "along": 3}


def test_an_index_from_disk_has_the_same_findings(data, tmp_path):
    data.change("train", 0, **UNREADABLE)
    data.change("test", 0, phash=data.rows["train"][1]["phash"])
    indexes = data.indexes()
    for split, index in indexes.items():
        write_table(tmp_path / f"{split}.parquet", index, **index.attrs)
        indexes[split] = read_table(tmp_path / f"{split}.parquet")
    findings = check_splits(indexes, settings())
    assert codes(findings) == ["unreadable", "near-duplicate-across-splits"]
    assert findings == data.find()


def test_no_images_at_all():
    assert codes(Data(train=0, validation=0, test=0).find(squares=True)) == ["one-class"] + ["class-missing"] * 3


def test_no_readable_image(data):
    for rows in data.rows.values():
        for row in rows:
            row |= UNREADABLE
    assert codes(data.find(squares=True)) == ["unreadable"] * 3


def test_one_class_is_not_enough():
    finding = Data(classes=["across"]).find_one("one-class")
    assert finding["message"].startswith("data/train, data/validation and data/test: hold images of 1 class(es)")


def test_a_class_in_one_split_only(data):
    data.classes["train"].append("extra")
    data.rows["train"] += [image("train", "extra", number) for number in range(2)]
    findings = data.find()
    assert codes(findings) == ["class-missing"] * 2
    assert findings[0]["message"] == "data/validation: the validation split has no images of extra"


def test_an_empty_class_folder(data):
    data.classes["test"].append("empty")
    assert data.find_one("class-missing")["message"].endswith("the test split has no images of empty")


def test_classes_that_the_config_names_and_no_split_has(data):
    for classes in data.classes.values():
        classes.append("nowhere")
    assert codes(data.find()) == ["class-missing"] * 3


def test_the_stated_number_of_classes(data):
    finding = data.find_one("num-domains", num_domains=5)
    assert finding["message"] == "model.num_domains is 5, but the data has 2 classes (across, along)"


def test_class_names_that_differ_in_case_only():
    finding = Data(classes=["Cat", "cat"]).find_one("class-names-alike")
    assert "2 classes differ" in finding["message"]
    assert "'Cat' (train, validation, test), 'cat' (train, validation, test)" in finding["message"]


def test_class_names_that_differ_across_splits_in_the_encoding_of_a_letter(data):
    for split, form in (("train", "NFC"), ("validation", "NFD"), ("test", "NFC")):
        name = unicodedata.normalize(form, "caf\u00e9")
        data.classes[split] = ["across", name]
        for row in data.rows[split]:
            row["class"] = name if row["class"] == "along" else row["class"]
    *missing, alike = data.find()
    assert codes(missing) == ["class-missing"] * 3
    assert alike["code"] == "class-names-alike"
    assert r"'caf\xe9' (train, test), 'cafe\u0301' (validation)" in alike["message"]


def test_too_few_images(data):
    del data.rows["train"][1:3]
    finding = data.find_one("too-few")
    assert finding["message"] == "data/train: class across has 1 image, but train needs 2"


@pytest.mark.parametrize(("more", "found"), [(0, []), (1, ["imbalance"])])
def test_imbalance(data, more, found):
    data.rows["train"] += [image("train", "across", number) for number in range(3, 30 + more)]
    findings = data.find()
    assert codes(findings) == found
    for finding in findings:
        assert "class across has 31 images for training, more than 10 times the 3 of class along" in finding["message"]


def test_imbalance_matters_in_training_only(data):
    data.rows["test"] += [image("test", "across", number) for number in range(1, 30)]
    assert data.find() == []


def test_unreadable_files_are_named_and_no_duplicates_of_each_other(data):
    data.change("train", 0, **UNREADABLE)
    data.change("test", 1, **UNREADABLE)
    findings = data.find(squares=True)
    assert codes(findings) == ["unreadable"] * 2
    assert findings[0]["message"] == "data/train: 1 file(s) cannot be used"
    assert findings[0]["files"] == ["train/across/00.png: is no image"]


def test_identical_images_are_found_across_splits_and_classes_but_may_repeat_within(data):
    look = {key: data.rows["train"][3][key] for key in ("pixels", "phash")}
    data.change("train", 4, **look)
    assert data.find() == []
    data.change("test", 1, **look)
    finding = data.find_one("identical-across-splits")
    assert finding["files"] == ["train/along/00.png = train/along/01.png = test/along/00.png"]
    assert finding["pairs"] == [
        ["train/along/00.png", "test/along/00.png"],
        ["train/along/01.png", "test/along/00.png"],
    ]
    assert "1 image(s) occur in more than one split" in finding["message"]
    assert "(test and train: 1 image(s))" in finding["message"]
    data.change("train", 0, **look)
    split, name = data.find()
    assert (split["code"], name["code"]) == ("identical-across-splits", "identical-across-classes")
    assert name["pairs"] == [
        ["train/across/00.png", "train/along/00.png"],
        ["train/across/00.png", "train/along/01.png"],
        ["train/across/00.png", "test/along/00.png"],
    ]
    assert "(across and along: 1 image(s))" in name["message"]


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
    assert "3 images, in 1 group(s), look nearly like one of another split: at most 4 of 64" in finding["message"]
    assert "(train and validation: 2 pair(s))" in finding["message"]
    assert data.find(near_duplicate_distance=1) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"low": 0.5, "high": 0.5},  # blank images look all alike
        UNREADABLE,
    ],
)
def test_what_is_no_near_duplicate(data, changes):
    data.change("test", 0, **{"phash": data.rows["train"][0]["phash"], **changes})
    assert "near-duplicate-across-splits" not in codes(data.find())


def test_hashes_that_are_near_by_chance_are_told_by_the_thumbnails(data):
    data.change("validation", 1, phash=data.rows["train"][0]["phash"])
    assert "near-duplicate-across-splits" in codes(data.find())
    data.change("validation", 1, thumbnail=bytes(range(255, -1, -1)))
    assert "near-duplicate-across-splits" not in codes(data.find())


def test_images_alike_within_a_split_are_no_near_duplicates(data):
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
    data.change("test", 1, bits=16)
    finding = data.find_one("mixed-bit-depths")
    assert finding["message"].endswith("2 depths: 8 bits: 11 image(s), 16 bits: 1 image(s)")
    assert finding["files"] == ["test/along/00.png: 16 bits"]


def test_mixed_sizes(data):
    data.change("train", 1, width=64)
    assert codes(data.find(squares=True)) == ["distorted"]
    data.change("train", 1, width=40, height=60)
    assert data.find(squares=False) == []
    finding = data.find_one("mixed-sizes", squares=True)
    assert "have 32x32 to 40x60 pixels, and all are resized to 32x32" in finding["message"]
    assert finding["files"] == ["train/across/00.png: 32x32", "train/across/01.png: 40x60"]


def test_distorted_images(data):
    data.change("train", 1, height=48)
    assert data.find(squares=True) == []
    data.change("train", 1, height=49)
    assert data.find(squares=False) == []
    finding = data.find_one("distorted", squares=True)
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


def test_a_shift_of_few_images_says_nothing():
    data = Data(train=20, validation=4)
    for row in range(4):
        data.change("validation", row, histogram=np.eye(BINS)[12].tolist())
    assert data.find() == []


@pytest.mark.parametrize("count", [5, 10, 40])
@pytest.mark.parametrize("contrast", [0.01, 0.1, 1.0])  # from images of one intensity to images of all
def test_small_random_splits_are_no_shift(count, contrast):
    data = Data(classes=[f"{number:02d}" for number in range(20)], train=2 * count, validation=count)
    rng = np.random.default_rng(count)
    for row in data.rows["train"] + data.rows["validation"]:
        row["histogram"] = rng.dirichlet(np.full(BINS, contrast)).tolist()
    assert data.find() == []


def test_stray_files(data):
    data.strays["train"] = ["notes.txt", "along/notes.txt"]
    finding = data.find_one("stray-files")
    assert finding["message"].startswith("data/train: 2 file(s) are ignored")
    assert finding["files"] == ["train/notes.txt", "train/along/notes.txt"]


def test_errors_come_first_and_then_the_order_of_the_checks(data):
    data.change("train", 0, **UNREADABLE)
    data.change("train", 1, low=0.5, high=0.5)
    data.strays["train"] = ["notes.txt"]
    data.classes["validation"].append("empty")
    data.rows["train"] += [image("train", "across", number) for number in range(3, 40)]
    found = codes(data.find(num_domains=7))
    assert found == ["class-missing", "num-domains", "unreadable", "imbalance", "blank", "stray-files"]
    severity = {"blank": "error", "unreadable": "warning", "num-domains": "ignore"}
    changed = data.find(num_domains=7, severity=severity)
    assert codes(changed) == ["class-missing", "blank", "imbalance", "unreadable", "stray-files"]
    assert [finding["severity"] for finding in changed] == ["error"] * 2 + ["warning"] * 3


def test_every_check_can_be_switched_off(data):
    data.change("train", 0, **UNREADABLE)
    data.strays["train"] = ["notes.txt"]
    assert data.find(severity=dict.fromkeys(SEVERITIES, "ignore")) == []
    assert set(SEVERITIES.values()) == {"error", "warning"}


def test_the_text_names_some_files(data):
    data.strays["train"] = [f"{number}.txt" for number in range(5)]
    data.change("test", 0, **UNREADABLE)
    assert describe(data.find(), limit=2) == (
        "error: data/test: 1 file(s) cannot be used (unreadable)\n"
        "  remedy: see each file's line\n"
        "  test/across/00.png: is no image\n"
        "warning: data/train: 5 file(s) are ignored: no class folder, or no image's name (stray-files)\n"
        "  remedy: remove them, or move them into their class folder\n"
        "  train/0.txt\n"
        "  train/1.txt\n"
        "  ... and 3 more"
    )
