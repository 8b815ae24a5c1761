import json
import os
import time
from collections import Counter

import pytest
from helpers.builders import write_images

from quac.data.folders import DigestCache, class_folders, files_below, files_in, is_never_data, tree_digest
from quac.system.errors import QuacError


def touch(path, text="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def below(source):
    return sorted(path for name in class_folders(source) for path in files_below(source, name))


def test_files_are_found_at_any_depth_but_hidden_ones_are_not(tmp_path):
    for name in ("b/1.PNG", "b/deep/er/2.Tiff", "a/notes.txt", "top.png", "a/.hidden.png", ".cache/4.png", ".top"):
        touch(tmp_path / name)
    assert below(tmp_path) == ["a/notes.txt", "b/1.PNG", "b/deep/er/2.Tiff"]
    assert files_in(tmp_path) == ["top.png"]


def test_folders_at_the_top_can_be_left_out(tmp_path):
    for name in ("a/1.png", "a/test/2.png", "a/deep/test/3.png"):
        touch(tmp_path / name)
    assert sorted(files_below(tmp_path, "a", {"test"})) == ["a/1.png", "a/deep/test/3.png"]


def test_linked_folders_are_followed_and_loops_end(tmp_path):
    touch(tmp_path / "elsewhere" / "2.png")
    touch(tmp_path / "data" / "a" / "1.png")
    (tmp_path / "data" / "a" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "a" / "loop").symlink_to(tmp_path / "data" / "a")
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere")
    assert below(tmp_path / "data") == ["a/1.png", "a/more/2.png", "b/2.png"]


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    touch(tmp_path / "a" / "1.png")

    def closed(top, onerror, **_):
        onerror(PermissionError(13, "Permission denied", f"{top}/inner"))

    monkeypatch.setattr("quac.data.folders.os.walk", closed)  # (root may read everything)
    with pytest.raises(QuacError, match=r"a/inner: cannot be read \(permission denied\); change its permissions"):
        below(tmp_path)


@pytest.mark.parametrize(("name", "message"), [("nowhere", "does not exist"), ("file", "is not a folder")])
def test_a_wrong_source_is_named(tmp_path, name, message):
    touch(tmp_path / "file")
    with pytest.raises(QuacError, match=f"{name}: {message}"):
        class_folders(tmp_path / name)


@pytest.mark.parametrize("name", [b"\xff.png", b"a/\xff.png", b"a/\xff/1.png", b"\xff/1.png"])
def test_a_name_that_is_not_valid_text_is_named(tmp_path, name):
    path = os.path.join(os.fsencode(tmp_path), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w"):
        pass
    with pytest.raises(QuacError, match="not valid UTF-8; rename"):
        tree_digest(tmp_path)


def test_the_digest_changes_with_content_names_and_empty_classes_but_not_with_time(tmp_path):
    write_images(tmp_path, {"across": 2, "along": 2})
    digests = [tree_digest(tmp_path)]
    os.utime(tmp_path / "across" / "across-00.png", (1, 1))
    assert tree_digest(tmp_path) == digests[0]
    (tmp_path / "new").mkdir()
    digests.append(tree_digest(tmp_path))
    (tmp_path / "across" / "across-00.png").rename(tmp_path / "across" / "other.png")
    digests.append(tree_digest(tmp_path))
    touch(tmp_path / "across" / "other.png")
    digests.append(tree_digest(tmp_path))
    assert len(set(digests)) == 4


def test_the_cache_reads_a_file_again_only_when_it_changed(tmp_path, monkeypatch):
    touch(tmp_path / "file", "old")
    read = []
    monkeypatch.setattr("quac.data.folders.file_sha256", lambda path: read.append(path) or str(len(read)))

    def digest():
        with DigestCache(tmp_path / "cache.json") as file_digest:
            return file_digest(tmp_path / "file")

    assert (digest(), digest()) == ("1", "1")
    time.sleep(0.01)
    touch(tmp_path / "file", "new")
    assert digest() == "2"
    (tmp_path / "cache.json").write_text("torn")
    assert digest() == "3"


def test_the_cache_itself_is_parsed_again_only_when_it_changed(tmp_path, monkeypatch):
    """A workflow of many runs opens it for each, and it may have many files."""
    touch(tmp_path / "file", "old")
    cache, parsed = tmp_path / "cache.json", []
    loads = json.loads
    monkeypatch.setattr("quac.data.folders.json.loads", lambda text: parsed.append(1) or loads(text))

    def digest():
        with DigestCache(cache) as file_digest:
            return file_digest(tmp_path / "file")

    first = digest()
    assert [digest() for _ in range(3)] == [first] * 3
    assert not parsed
    time.sleep(0.01)
    known = loads(cache.read_text())
    known[str(tmp_path / "file")][-1] = "of another process"
    cache.write_text(json.dumps(known))
    assert [digest() for _ in range(3)] == ["of another process"] * 3
    assert len(parsed) == 1


def test_a_file_that_cannot_be_read_does_not_stop_the_digest(tmp_path):
    write_images(tmp_path, {"across": 1})
    (tmp_path / "across" / "broken.png").symlink_to("nowhere")
    assert tree_digest(tmp_path) == tree_digest(tmp_path)


NEVER_DATA = "@eaDir/1.jpg/THUMB.jpg __MACOSX/a/._1.png lost+found/1.png .Trash-1000/1.png $RECYCLE.BIN/1.png"
NEVER_DATA += " #recycle/1.png .AppleDouble/1.png .thumbnails/1.png .@__thumb/1.png @Recycle/1.png #snapshot/1.png"


def test_names_that_are_never_data_are_passed_over_and_counted(tmp_path):
    for name in NEVER_DATA.split():
        for place in (".", "cat", "cat/deep"):
            touch(tmp_path / place / name)
    for name in ("1.png", "._1.png", "deep/._2.png", "deep/2.png", "Thumbs.db", "desktop.ini", ".hidden.png"):
        touch(tmp_path / "cat" / name)
    counts = Counter()
    assert class_folders(tmp_path, counts) == ["cat"]
    assert sorted(files_below(tmp_path, "cat", passed_over=counts)) == ["cat/1.png", "cat/deep/2.png"]
    assert files_in(tmp_path) == []
    assert counts == dict.fromkeys((name.split("/")[0] for name in NEVER_DATA.split()), 3) | {
        "._*": 2,
        "Thumbs.db": 1,
        "desktop.ini": 1,
    }


@pytest.mark.parametrize(
    "name", ["cat", "recycle", "lost", "macosx", "thumbs", "recycled", "a@b", "1#recycle", "trash", "_"]
)
def test_other_names_are_data(name):
    assert not is_never_data(name)


def test_swapped_files_of_one_size_and_time_have_new_digests(tmp_path):
    """A program that keeps times, such as `cp -p` or `mv`, leaves no other trace."""

    def digests():
        with DigestCache(tmp_path / "cache.json") as file_digest:
            return [file_digest(tmp_path / name) for name in ("1", "2")]

    for name, text in (("1", "one"), ("2", "two")):
        touch(tmp_path / name, text)
        os.utime(tmp_path / name, (1, 1))
    first, second = digests()
    (tmp_path / "1").rename(tmp_path / "3")
    (tmp_path / "2").rename(tmp_path / "1")
    (tmp_path / "3").rename(tmp_path / "2")
    assert digests() == [second, first]
    time.sleep(0.01)
    for name, text in (("1", "one"), ("2", "two")):
        touch(tmp_path / name, text)  # in place: the same inode
        os.utime(tmp_path / name, (1, 1))
    assert digests() == [first, second]


def test_a_pipe_or_a_device_has_no_digest(tmp_path):
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / "pipe.png")
    (tmp_path / "a" / "zero.png").symlink_to("/dev/zero")
    with DigestCache(None) as file_digest:
        assert {file_digest(path) for path in (tmp_path / "a").iterdir()} == {"unreadable"}
    assert tree_digest(tmp_path)
