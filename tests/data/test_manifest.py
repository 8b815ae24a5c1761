"""Lists of images: every format, every fault with its line or entry."""

import json

import pytest
from helpers.source_files import paths, refusal, touch, write_manifest

from quac.data.sources import list_source


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
