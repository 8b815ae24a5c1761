import unicodedata

import pytest
from helpers.try_tables import UNREADABLE, Data, checking, codes, image

from quac.config.choices import SEVERITIES
from quac.data.checks import check_splits, summary
from quac.data.findings import describe, log_findings
from quac.system.errors import QuacError
from quac.system.tables import read_table, write_table


@pytest.fixture
def data():
    return Data()


def test_good_data_has_no_findings(data):
    assert data.find(num_domains=2, preprocess="resize") == []
    assert summary(data.indexes())["train"]["images"] == {"across": 3, "along": 3}


def test_an_index_from_disk_has_the_same_findings(data, tmp_path):
    data.change("train", 0, **UNREADABLE)
    data.change("test", 0, phash=data.rows["train"][1]["phash"])
    indexes = data.indexes()
    for split, index in indexes.items():
        write_table(tmp_path / f"{split}.parquet", index, **index.attrs)
        indexes[split] = read_table(tmp_path / f"{split}.parquet")
    findings = check_splits(indexes, checking())
    assert codes(findings) == ["unreadable", "near-duplicate-across-splits"]
    assert findings == data.find()


def test_no_images_at_all():
    assert codes(Data(train=0, validation=0, test=0).find(preprocess="resize")) == ["one-class"] + ["class-missing"] * 3


def test_only_unreadable_images(data):
    for rows in data.rows.values():
        for row in rows:
            row |= UNREADABLE
    assert codes(data.find(preprocess="resize")) == ["unreadable"] * 3


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


def test_a_sampling_of_other_classes(data):
    assert data.find(sampling=["along", "across"]) == []
    finding = data.find_one("sampling", sampling=["along", "acros"])
    assert "does not fit the data in acros, across" in finding["message"]
    assert "to each of across, along" in finding["remedy"]
    assert finding["severity"] == "error"


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
    findings = data.find(preprocess="resize")
    assert codes(findings) == ["unreadable"] * 2
    assert findings[0]["message"] == "data/train: 1 file(s) cannot be used"
    assert findings[0]["files"] == ["train/across/00.png: is not an image"]


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
        "  remedy: see the line of each file\n"
        "  test/across/00.png: is not an image\n"
        "warning: data/train: 5 file(s) are ignored: not in a class folder, or not named as an image (stray-files)\n"
        "  remedy: remove them, or move them into their class folder\n"
        "  train/0.txt\n"
        "  train/1.txt\n"
        "  ... and 3 more"
    )


def test_errors_stop_and_warnings_are_logged(data, caplog):
    caplog.set_level("DEBUG", logger="quac")
    log_findings(data.find())
    assert "remedy" not in caplog.text
    data.strays["train"] = ["notes.txt"]
    log_findings(data.find())
    assert "WARNING" in caplog.text
    assert "train/notes.txt" in caplog.text
    data.change("test", 0, **UNREADABLE)
    with pytest.raises(QuacError, match=r"the data has 1 error\(s\):\nerror: data/test: 1 file\(s\) cannot be used"):
        log_findings(data.find())


def messages(data):
    """The messages of the findings, by their codes; of one code the first."""
    return {finding["code"]: finding["message"] for finding in reversed(data.find())}


@pytest.mark.parametrize("other", ["across ", " across", "across\u00a0", "\u200bacross", "ACROSS\t"])
def test_class_names_that_differ_in_blanks_are_alike(data, other):
    for row in data.rows["validation"]:
        row["class"] = other if row["class"] == "across" else row["class"]
    data.classes["validation"] = [other, "along"]
    found = messages(data)
    assert "2 classes differ only in case, in blanks or in the encoding of a letter" in found["class-names-alike"]
    assert f"{other!a} (validation)" in found["class-names-alike"]
    shown = repr(other) if other.strip() != other else other
    assert found["class-missing"] == f"data/train: the train split has no images of {shown}"


def test_blanks_inside_of_a_class_name_are_alike(data):
    for split, name in (("train", "a b"), ("validation", "a  b")):
        data.classes[split].append(name)
        data.rows[split] += [image(split, name, number) for number in range(2)]
    assert "'a  b' (validation)" in messages(data)["class-names-alike"]


def test_files_that_leave_open_how_to_read_them_are_listed(data):
    data.change("train", 1, note="has a palette")
    finding = data.find_one("ambiguous")
    assert finding["message"].endswith("1 file(s) of which each has a palette")
    assert finding["files"] == ["train/" + data.rows["train"][1]["path"]]


def test_names_that_were_passed_over_are_listed_once(data):
    indexes = data.indexes()
    for split in ("train", "test"):
        indexes[split].attrs["passed_over"] = {"@eaDir": 6, "._*": 2}
    (finding,) = [each for each in check_splits(indexes, checking()) if each["code"] == "passed-over"]
    assert (finding["severity"], finding["files"]) == (
        "warning",
        ["train: 6 x @eaDir", "train: 2 x ._*", "test: 6 x @eaDir", "test: 2 x ._*"],
    )


@pytest.mark.parametrize(
    ("paths", "faults"),
    [
        (["across/" + "x" * 248 + ".png", "across/" + "x" * 247 + ".jpg"], []),
        (["across/" + "x" * 251 + ".png"], []),
        (["across/" + "x" * 248 + ".jpg"], ["has a name of 256 bytes, but 255 is the limit; shorten it"]),
        (["across/" + "ä" * 124 + ".tiff"], ["has a name of 257 bytes"]),
        (["across/x.png", "../across/x.png"], ["has the same result as validation/across/x.png"]),
        (["across/x.jpg", "across/x.jpg.png"], ["has the same result as validation/across/x.jpg"]),
    ],
)
def test_results_that_cannot_be_written_are_found_before_the_training(data, tmp_path, paths, faults):
    for row, path in enumerate(paths):
        data.change("validation", row, path=path)
        data.change("train", row, path=path)  # training images have no results
    found = [each for each in check_splits(data.indexes(), checking(), tmp_path) if each["code"] == "result-names"]
    files = [file for finding in found for file in finding["files"]]
    assert len(files) == len(faults)
    for file, fault in zip(files, faults, strict=True):
        assert fault in file
    assert all(finding["severity"] == "error" for finding in found)
