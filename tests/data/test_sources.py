import os
import subprocess
import sys

import pytest
from helpers.source_files import paths, refusal, touch, touch_all, write_manifest

from quac.data.sources import list_source, listing_digest


def source_digest(source, split, cache=None, **options):
    return listing_digest(list_source(source, split, **options), cache)


def test_no_heavy_package_is_imported():
    code = "import sys, quac.data.named_files; sys.exit(bool({'torch', 'numpy', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_folder_of_classes(tmp_path):
    touch_all(tmp_path, "b/1.PNG b/deep/er/2.Tiff a/3.jpeg a/notes.txt top.png a/.hidden.png .cache/4.png")
    found = list_source(tmp_path, "train")
    assert found.images == [
        {"path": path, "class": path[0], "group": "", "mask": "", "weight": 1.0}
        for path in ("a/3.jpeg", "b/1.PNG", "b/deep/er/2.Tiff")
    ]
    assert (found.base, found.classes) == (str(tmp_path), ["a", "b"])
    assert found.strays == ["a/notes.txt", "top.png"]


def test_classes_are_chosen_and_ordered(tmp_path):
    touch_all(tmp_path, "a/1.png b/1.png b/x.txt c/2.png c/1.png")
    found = list_source(f"{tmp_path}/", "train", classes=["c", "a", "missing"])
    assert paths(found) == ["c/1.png", "c/2.png", "a/1.png"]
    assert (found.classes, found.strays) == (["c", "a", "missing"], [])


def test_an_empty_class_folder_is_a_class(tmp_path):
    touch_all(tmp_path, "a/1.png b/.keep")
    assert list_source(tmp_path, "train").classes == ["a", "b"]


CLASS_FIRST = "a/1.png a/deep/2.png a/train/3.png a/test/4.png a/deep/test/5.png b/6.png b/test/deep/7.png b/test/n.txt"


@pytest.mark.parametrize(
    ("more", "split", "expected"),
    [
        ("", "train", "a/1.png a/deep/2.png a/deep/test/5.png a/train/3.png b/6.png"),
        ("", "validation", "a/test/4.png b/test/deep/7.png"),
        ("", "test", "a/test/4.png b/test/deep/7.png"),
        ("b/val/8.png", "train", "a/1.png a/deep/2.png a/deep/test/5.png a/train/3.png b/6.png"),
        ("b/val/8.png", "validation", "b/val/8.png"),
        ("b/val/8.png a/validation/9.png", "validation", "a/validation/9.png b/val/8.png"),
        ("b/val/8.png", "test", "a/test/4.png b/test/deep/7.png"),
    ],
)
def test_a_folder_that_has_the_splits_inside_the_classes(tmp_path, more, split, expected):
    touch_all(tmp_path, f"{CLASS_FIRST} {more}")
    found = list_source(tmp_path, split, "class_first")
    assert paths(found) == expected.split()
    assert found.strays == ([] if split == "train" or "val" in expected else ["b/test/n.txt"])


def test_the_letter_case_of_an_inner_split_does_not_matter(tmp_path):
    touch_all(tmp_path, "a/1.png a/Test/2.png b/3.png b/TEST/4.png")
    assert paths(list_source(tmp_path, "train", "class_first")) == ["a/1.png", "b/3.png"]
    assert paths(list_source(tmp_path, "test", "class_first")) == ["a/Test/2.png", "b/TEST/4.png"]


def test_a_split_without_folders_is_named(tmp_path):
    touch_all(tmp_path, "a/1.png b/val/2.png")
    assert "no class folder holds a folder test for the test split" in refusal(tmp_path, "test", layout="class_first")


def test_several_folders_per_class(tmp_path):
    touch_all(tmp_path, "one/1.png one/deep/2.png one/3.png one/n.txt two/1.png far/er/1.png")
    folders = {name: str(tmp_path / name) for name in ("one", "two", "far/er")}
    source = {
        "b": [{"path": folders["one"]}, {"path": folders["two"], "weight": 3}],
        "a": [{"path": folders["far/er"], "weight": 0.1}],
    }
    found = list_source(source, "train")
    assert [(image["class"], image["path"], image["weight"]) for image in found.images] == [
        ("a", "far/er/1.png", pytest.approx(1)),
        ("b", "one/1.png", pytest.approx(1 / 3)),
        ("b", "one/3.png", pytest.approx(1 / 3)),
        ("b", "one/deep/2.png", pytest.approx(1 / 3)),
        ("b", "two/1.png", pytest.approx(3)),
    ]
    assert (found.base, found.classes, found.strays) == (str(tmp_path), ["a", "b"], ["one/n.txt"])
    assert paths(list_source(source, "train", classes=["a"])) == ["far/er/1.png"]


def test_folders_with_one_parent_or_none_are_relative_to_it(tmp_path, monkeypatch):
    touch_all(tmp_path, "work/in/1.png out/1.png")
    monkeypatch.chdir(tmp_path / "work")
    inside, outside, absolute = {"path": "in/"}, {"path": "../out"}, {"path": str(tmp_path / "out")}
    alone = list_source({"a": [inside]}, "train")
    assert (alone.base, paths(alone)) == ("in", ["1.png"])
    both = list_source({"a": [inside], "b": [outside]}, "train")
    assert (both.base, paths(both)) == (".", ["in/1.png", "../out/1.png"])
    mixed = list_source({"a": [inside], "b": [absolute]}, "train")
    assert (mixed.base, paths(mixed)) == (str(tmp_path), ["work/in/1.png", "out/1.png"])


def test_every_fault_of_folders_is_listed(tmp_path):
    touch_all(tmp_path, "one/deep/1.png two/1.png file")
    (tmp_path / "link").symlink_to(tmp_path / "two")
    names = ["one", "two", "nowhere", "file", "link", "one/deep"]
    source = {"a": [{"path": f"{tmp_path}/{name}"} for name in names], "b": [{"path": f"{tmp_path}/two", "weight": 0}]}
    assert refusal(source).replace(f"{tmp_path}/", "").splitlines()[1:] == [
        "  a: nowhere: does not exist; correct the path",
        "  a: file: is not a folder; correct the path",
        "  a: link: is named twice (as a: two); name it once",
        "  a: one/deep: overlaps with a: one; name separate folders",
        "  b: two: weight is 0, but must be a number above 0",
        "  b: two: is named twice (as a: two); name it once",
    ]


def test_a_listed_folder_without_images_is_named(tmp_path):
    touch_all(tmp_path, "one/1.png two/n.txt")
    source = {"a": [{"path": str(tmp_path / "one")}, {"path": str(tmp_path / "two")}]}
    assert "two: holds no images; correct the path" in refusal(source)
    assert "no class names a folder" in refusal({"a": []})


def test_the_digest_of_a_folder_depends_on_its_content_but_not_on_time_or_place(tmp_path):
    touch_all(tmp_path, "data/a/1.png data/b/1.png")
    data = tmp_path / "data"
    digests = [source_digest(data, "train")]
    os.utime(data / "a" / "1.png", (1, 1))
    data.rename(tmp_path / "moved")
    assert source_digest(tmp_path / "moved", "train") == digests[0]
    (tmp_path / "moved").rename(data)
    for change in (
        lambda: touch(data / "a" / "1.png", "new"),
        lambda: (data / "a" / "1.png").rename(data / "a" / "2.png"),
        lambda: (data / "c").mkdir(),
        lambda: touch(data / "stray.txt"),
        lambda: (data / "a" / "broken.png").symlink_to("nowhere"),
    ):
        change()
        digests.append(source_digest(data, "train"))
    digests.append(source_digest(data, "train", classes=["b", "a"]))
    assert len(set(digests)) == len(digests)


def test_the_digest_of_a_manifest_changes_with_its_rows_and_files(tmp_path):
    touch_all(tmp_path, "1.png m.png")
    row = {"path": "1.png", "class": "a", "group": "p", "mask": "m.png", "age": "3"}
    digests = []
    for change in ({}, {"class": "b"}, {"group": "q"}, {"mask": ""}, {"age": "4"}, {"path": "missing.png"}):
        digests.append(source_digest(write_manifest(tmp_path / "m.csv", [row | change]), "train"))
    for name in ("1.png", "m.png"):
        touch(tmp_path / name, "new")
        digests.append(source_digest(write_manifest(tmp_path / "m.csv", [row]), "train"))
    assert len(set(digests)) == len(digests)


def test_the_digest_of_folders_changes_with_their_weights(tmp_path):
    touch_all(tmp_path, "one/1.png two/1.png")
    digests = {
        source_digest({"a": [{"path": f"{tmp_path}/one", "weight": w}, {"path": f"{tmp_path}/two"}]}, "train")
        for w in (1, 2, 2.0)
    }
    assert len(digests) == 2


def test_the_digest_reads_a_file_once(tmp_path, monkeypatch):
    touch_all(tmp_path, "a/1.png b/1.png")
    cold = source_digest(tmp_path, "train", cache=tmp_path / ".cache.json")
    monkeypatch.setattr("quac.data.folders.file_sha256", lambda path: pytest.fail(f"{path} is read again"))
    assert source_digest(tmp_path, "train", cache=tmp_path / ".cache.json") == cold


@pytest.mark.parametrize("name", ["m.txt", "m.xlsx", "m.csv.gz", "m"])
def test_a_file_that_is_not_a_list_is_told_which_endings_lists_have(tmp_path, name):
    touch(tmp_path / name)
    expected = "is not a folder, and not a list, which ends in one of .csv, .json, .jsonl, .tsv, .yaml, .yml; save it"
    assert expected in refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["m.csv", "m"])
def test_a_source_that_is_a_pipe_or_a_device_is_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert "is not a" in refusal(tmp_path / name)
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    assert "is not a regular file" in refusal(tmp_path / "zero.yaml")


def test_names_that_are_never_data_are_counted_in_a_listing(tmp_path):
    touch_all(tmp_path, "cat/1.png cat/@eaDir/1.jpg/T.jpg cat/deep/@eaDir/T.jpg dog/1.png dog/._1.png __MACOSX/x/1.png")
    found = list_source(tmp_path, "train")
    assert (found.classes, paths(found), found.strays) == (["cat", "dog"], ["cat/1.png", "dog/1.png"], [])
    assert found.passed_over == {"._*": 1, "@eaDir": 2, "__MACOSX": 1}
    several = list_source({"a": [{"path": f"{tmp_path}/cat"}], "b": [{"path": f"{tmp_path}/dog"}]}, "train")
    assert several.passed_over == {"._*": 1, "@eaDir": 2}
    before = source_digest(tmp_path, "train")
    touch_all(tmp_path, "dog/@eaDir/T.jpg")  # a NAS makes these while the workflow runs
    assert source_digest(tmp_path, "train") == before
