import os
import time

import pytest
from helpers.builders import write_images

from quac.data.folders import DigestCache, class_folders, files_below, files_in, tree_digest
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


def test_a_file_that_cannot_be_read_does_not_stop_the_digest(tmp_path):
    write_images(tmp_path, {"across": 1})
    (tmp_path / "across" / "broken.png").symlink_to("nowhere")
    assert tree_digest(tmp_path) == tree_digest(tmp_path)
