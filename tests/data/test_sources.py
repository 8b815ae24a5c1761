import json
import os
import subprocess
import sys

import pytest
import yaml

from quac.data.sources import list_source, listing_digest
from quac.system.errors import QuacError


def source_digest(source, split, cache=None, **options):
    return listing_digest(list_source(source, split, **options), cache)


def touch(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def touch_all(folder, names):
    for name in names.split():
        touch(folder / name)


def paths(listing):
    return [image["path"] for image in listing.images]


def write_manifest(file, rows):
    """A manifest of any format with rows as dicts, all of the same columns."""
    if file.suffix.lower() in (".csv", ".tsv"):
        comma = "\t" if file.suffix.lower() == ".tsv" else ","
        lines = [comma.join(rows[0]), *(comma.join(map(str, row.values())) for row in rows)]
        file.write_text("\n".join(lines) + "\n")
    elif file.suffix.lower() == ".jsonl":
        file.write_text("\n".join(map(json.dumps, rows)) + "\n")
    else:
        file.write_text(json.dumps(rows) if file.suffix.lower() == ".json" else yaml.safe_dump(rows))
    return str(file)


def refusal(source, split="train", **options):
    with pytest.raises(QuacError) as error:
        list_source(source, split, **options)
    return str(error.value)


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


@pytest.mark.parametrize(
    "name", ["images.csv", "images.TSV", "images.JSON", "images.jsonl", "images.yaml", "images.YML"]
)
def test_a_manifest(tmp_path, name):
    rows = [
        {"path": "x/2.png", "class": "b", "split": "train", "group": "p1", "mask": "m/2.png", "site": "Köln"},
        {"path": "./x/1.png", "class": "b", "split": "train", "group": "", "mask": "m/2.png", "site": ""},
        {"path": "/far/3.TIF", "class": "a", "split": "train", "group": "p1", "mask": "", "site": "7"},
        {"path": "4.png", "class": "c", "split": "val", "group": "", "mask": "", "site": ""},
        {"path": "5.png", "class": "a", "split": "validation", "group": "", "mask": "", "site": ""},
        {"path": "2.png", "class": "a", "split": "test", "group": "", "mask": "", "site": ""},
    ]
    source = write_manifest(tmp_path / name, rows)
    found = list_source(source, "train")
    assert found.images == [
        {"path": "/far/3.TIF", "class": "a", "group": "p1", "mask": "", "weight": 1.0, "manifest.site": "7"},
        {"path": "x/1.png", "class": "b", "group": "", "mask": "m/2.png", "weight": 1.0, "manifest.site": ""},
        {"path": "x/2.png", "class": "b", "group": "p1", "mask": "m/2.png", "weight": 1.0, "manifest.site": "Köln"},
    ]
    assert (found.base, found.classes) == (str(tmp_path), ["a", "b", "c"])
    assert found.strays == []
    assert paths(list_source(source, "validation", classes=["c", "a"])) == ["4.png", "5.png"]
    assert paths(list_source(source, "test", classes=["b"])) == []


def test_a_manifest_without_splits_belongs_to_any_split(tmp_path):
    source = write_manifest(tmp_path / "m.csv", [{"class": "a", "path": "1.png"}, {"class": "b", "path": "2.png"}])
    assert paths(list_source(source, "test")) == ["1.png", "2.png"]


def test_a_manifest_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_manifest(tmp_path / "m.csv", [{"path": "1.png", "class": "a"}])
    assert list_source("m.csv", "train").base == "."


def test_a_folder_may_be_named_like_a_manifest(tmp_path):
    touch(tmp_path / "data.csv" / "a" / "1.png")
    assert paths(list_source(tmp_path / "data.csv", "train")) == ["a/1.png"]


def test_a_csv_of_a_spreadsheet_is_read(tmp_path):
    (tmp_path / "m.csv").write_bytes('path,class\r\n\r\n"a,""b""\nc.png",ä\r\n'.encode("utf-8-sig"))
    assert [(i["path"], i["class"]) for i in list_source(tmp_path / "m.csv", "train").images] == [('a,"b"\nc.png', "ä")]


def test_values_of_yaml_and_json_become_text(tmp_path):
    (tmp_path / "m.yaml").write_text(
        "- {path: 1.png, class: 3, group: null, age: 1.5, 7: [x]}\n- {path: b.png, class: 3}\n"
    )
    first, second = list_source(tmp_path / "m.yaml", "train").images
    assert (first["class"], first["group"], first["manifest.age"], first["manifest.7"]) == ("3", "", "1.5", "['x']")
    assert (second["manifest.age"], second["manifest.7"]) == ("", "")


@pytest.mark.parametrize(
    ("written", "path"),
    [("./a//b/././c.png", "a/b/c.png"), ("//a/.b.png", "/a/.b.png"), (".//./../a/../.c.png", "../a/../.c.png")],
)
def test_empty_steps_are_removed_from_a_path(tmp_path, written, path):
    assert paths(list_source(write_manifest(tmp_path / "m.csv", [{"path": written, "class": "a"}]), "train")) == [path]


def test_one_image_may_be_in_two_splits(tmp_path):
    rows = [{"path": "1.png", "class": "a", "split": split} for split in ("validation", "test")]
    assert paths(list_source(write_manifest(tmp_path / "m.csv", rows), "test")) == ["1.png"]


def test_every_fault_of_a_csv_is_listed_with_its_line(tmp_path):
    (tmp_path / "m.csv").write_text(
        'path,class,split\n1.png,"a\nb",train\n,a,train\n2.png, ,train\n3.txt,a,train\n\n./1.png,a,train\n'
        f"4.png,a,dev\n5.png,a\n{tmp_path}/1.png,a,train\n\0.png,a,train\n1.png,a,test\n"
    )
    head, *faults = refusal(tmp_path / "m.csv").splitlines()
    assert head == f"{tmp_path}/m.csv: the manifest has faults:"
    assert [fault.strip().split(";")[0].replace(str(tmp_path), "") for fault in faults] == [
        "line 4: has no path",
        "line 5: has no class",
        "line 6: path 3.txt has no ending of an image (.bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp)",
        "line 8: path 1.png is in line 2 already for the train split",
        "line 9: split is 'dev'",
        "line 10: has 2 values, not 3",
        "line 11: path /1.png is in line 2 already for the train split",
        "line 12: path '\\x00.png' holds a NUL character, which file names cannot",
    ]
    assert all(";" in fault for fault in faults)


@pytest.mark.parametrize("name", ["m.json", "m.yml"])
def test_every_fault_of_a_list_is_listed_with_its_entry(tmp_path, name):
    entries = [{"path": "1.png"}, {"path": "2.png", "class": False}, "3.png", {"class": "a"}, {"path": 4, "class": "a"}]
    (tmp_path / name).write_text(json.dumps(entries))
    assert [fault.strip().split(";")[0] for fault in refusal(tmp_path / name).splitlines()[1:]] == [
        "entry 1: has no class",
        "entry 2: class is False, which is not text",
        "entry 3: is not a mapping",
        "entry 4: has no path",
        "entry 5: path 4 has no ending of an image (.bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp)",
    ]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("m.csv", b"", "has no rows"),
        ("m.csv", b"path,class\n", "has no rows"),
        ("m.yaml", b"", "has no rows"),
        ("m.json", b"[]", "has no rows"),
        ("m.json", b"{}", "is not a list of mappings"),
        ("m.yaml", b"a: 1", "is not a list of mappings"),
        ("m.json", b"[{]", "cannot be read"),
        ("m.json", b"[" * 100_000, "cannot be read"),
        ("m.yaml", b"- {a: [}", "cannot be read"),
        ("m.yaml", b"- path: 2020-13-45", "cannot be read"),
        ("m.yaml", b"- !!python/name:os.system x", "cannot be read"),
        ("m.json", rb'[{"path": "\ud800.png", "class": "a"}]', "entry 1: holds half a surrogate pair"),
        ("m.csv", "path,class\nä.png,a\n".encode("latin-1"), "is not UTF-8 text (byte 11); save it as UTF-8"),
        ("m.csv", "path,class\n".encode("utf-16"), "is not UTF-8 text"),
        ("m.csv", b"path;class\n1.png;a\n", "line 1: has no column path and no column class, but ['path;class']"),
        ("m.tsv", b"path,class\n1.png,a\n", "but ['path,class']; the first line must name the columns, with tabs"),
        ("m.jsonl", b'{"path": "1.png", "class": "a"}\n{"path": \n[1]\n', "line 2: cannot be read as JSON"),
        ("m.jsonl", b"[1]", "line 1: is not a mapping"),
        ("m.yaml", b"&a [*a]", "line 1 contains itself; write it out"),
        ("m.csv", b"path,class,path\n1.png,a,b\n", "line 1: has a column twice (path)"),
        ("m.csv", b'path,class\n1.png,a\n"2.png,a\n', "line 3: cannot be read as CSV"),
        ("m.csv", b"path,class,split\n1.png,a,test\n", "has no rows of the train split"),
    ],
)
def test_a_malformed_manifest_is_named(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content)
    message = refusal(tmp_path / name)
    assert expected in message
    assert str(tmp_path / name) in message
    assert ";" in message


def test_a_manifest_that_is_missing_is_named(tmp_path):
    assert "m.csv: file not found. Check the path." in refusal(tmp_path / "m.csv")


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


@pytest.mark.parametrize("link", ["[{}]", "{{<<: [{}]}}"])
def test_nested_aliases_of_a_list_are_refused_at_once(tmp_path, link):
    """Nine times nine times nine: a text of 500 characters for more values than any memory holds."""
    repeated = ["a0: &a0 {path: 1.png, class: a}"]
    repeated += [f"a{n}: &a{n} " + link.format(", ".join([f"*a{n - 1}"] * 9)) for n in range(1, 30)]
    (tmp_path / "m.yaml").write_text("- {path: 1.png, class: a}\n- " + "\n  ".join(repeated))
    assert "stand for more than 100000 values" in refusal(tmp_path / "m.yaml")


def test_aliases_of_a_list_may_save_writing(tmp_path):
    (tmp_path / "m.yaml").write_text("- &a {path: 1.png, class: a, site: x}\n- {<<: *a, path: 2.png}\n")
    assert [image["manifest.site"] for image in list_source(tmp_path / "m.yaml", "train").images] == ["x", "x"]


def test_paths_with_backslashes_are_named_once(tmp_path):
    rows = [{"path": rf"data\train\cat\{number}.png", "class": "cat"} for number in range(100)]
    message = refusal(write_manifest(tmp_path / "m.csv", rows))
    assert message == (
        rf"{tmp_path}/m.csv: 100 path(s) hold \, such as data\train\cat\0.png, and there is no such file; "
        r"write / for \, and paths relative to the list"
    )
    mask = [{"path": "1.png", "class": "cat", "mask": r"m\1.png"}]
    assert r"1 path(s) hold \, such as m\1.png" in refusal(write_manifest(tmp_path / "m.csv", mask))
    for row in rows:
        touch(tmp_path / row["path"])  # names may hold backslashes
    assert len(list_source(write_manifest(tmp_path / "m.csv", rows), "train").images) == 100
    assert r"does not exist; it must hold one folder of images per class (write / for \)" in refusal(r"data\train")
    assert r"correct the path (write / for \)" in refusal({"a": [{"path": r"data\a"}]})


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
