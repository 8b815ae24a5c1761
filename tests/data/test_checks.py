import pytest
from builders import write_images, write_splits

from quac.data.checks import check_splits, describe, summary
from quac.data.index import build_index


@pytest.fixture
def data(tmp_path):
    write_splits(tmp_path, counts={"train": 3, "validation": 2, "test": 1})
    return tmp_path


def indexes(data, classes=None):
    found = {}
    for split in ("train", "validation", "test"):
        index, facts = build_index(str(data / split), classes)
        index.attrs = facts
        found[split] = index
    return found


def codes(findings):
    return {finding["code"] for finding in findings}


def copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


def test_good_data_has_no_findings(data):
    assert check_splits(indexes(data), num_domains=2) == []
    assert summary(indexes(data))["train"]["images"] == {"across": 3, "along": 3}


def test_a_class_in_one_split_only(data):
    write_images(data / "train", {"extra": 2})
    (finding,) = [f for f in check_splits(indexes(data)) if "validation" in f["message"]]
    assert finding["code"] == "class-missing"
    assert finding["message"].endswith("the validation split has no images of extra")


def test_an_empty_class_folder(data):
    (data / "test" / "empty").mkdir()
    assert codes(check_splits(indexes(data))) == {"class-missing"}


def test_classes_that_the_config_names_and_no_split_has(data):
    assert codes(check_splits(indexes(data, ["across", "along", "nowhere"]))) == {"class-missing"}


def test_one_class_is_not_enough(data):
    assert codes(check_splits(indexes(data, ["across"]))) == {"one-class"}


def test_too_few_images(data):
    (data / "train" / "along" / "along-00.png").unlink()
    (data / "train" / "along" / "along-01.png").unlink()
    (finding,) = check_splits(indexes(data))
    assert finding["code"] == "too-few"
    assert "class along has 1 image, but train needs 2" in finding["message"]


def test_the_stated_number_of_classes(data):
    (finding,) = check_splits(indexes(data), num_domains=5)
    assert "model.num_domains is 5, but the data has 2 classes (across, along)" in finding["message"]


def test_identical_images_are_found_across_splits_and_classes_but_may_repeat_within(data):
    original = data / "train" / "along" / "along-00.png"
    copy(original, data / "train" / "along" / "again.png")
    assert check_splits(indexes(data)) == []
    copy(original, data / "test" / "along" / "leak.png")
    (finding,) = check_splits(indexes(data))
    assert finding["code"] == "identical-across-splits"
    assert finding["files"] == ["train/along/again.png = train/along/along-00.png = test/along/leak.png"]
    copy(original, data / "train" / "across" / "wrong.png")
    assert codes(check_splits(indexes(data))) == {"identical-across-splits", "identical-across-classes"}


def test_every_finding_at_once_errors_first(data):
    (data / "train" / "along" / "a.png").write_text("text")
    (data / "train" / "along" / "b.png").write_bytes(b"")
    (data / "train" / "notes.txt").write_text("text")
    (data / "validation" / "extra").mkdir()
    findings = check_splits(indexes(data), num_domains=7)
    assert codes(findings) == {"unreadable", "stray-files", "class-missing", "num-domains"}
    assert findings[-1]["severity"] == "warning"
    text = describe(findings)
    assert "train/along/a.png: is not an image; replace or remove it" in text
    assert "train/along/b.png: is empty (0 bytes); replace or remove it" in text
    assert "train/notes.txt" in text


def test_unreadable_files_are_no_duplicates_of_each_other(data):
    for split in ("train", "test"):
        (data / split / "along" / "torn.png").write_bytes(b"")
    assert codes(check_splits(indexes(data))) == {"unreadable"}
