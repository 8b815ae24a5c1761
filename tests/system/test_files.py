import errno
import hashlib
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from quac.system.errors import QuacError
from quac.system.files import (
    atomic_write,
    json_sha256,
    link_or_copy,
    parts_below,
    read_json,
    remove_own,
    save_torch,
    write_json,
    write_text,
)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "folder" / "file.txt"
    write_text(path, "old")

    def fail():
        with atomic_write(path) as temporary:
            temporary.write_text("half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["file.txt"]


def test_an_error_without_a_file_name_gets_one(tmp_path):
    with pytest.raises(OSError, match="No space") as error, atomic_write(tmp_path / "file"):
        raise OSError(28, "No space left on device")
    assert error.value.filename == str(tmp_path / "file")


def test_the_longest_file_name_can_be_written(tmp_path):
    write_text(tmp_path / ("x" * 255), "text")


def test_the_digest_of_a_value_does_not_depend_on_the_order_of_keys():
    digest = hashlib.sha256(b'{"a":[1.0,null],"b":1}').hexdigest()
    assert json_sha256({"b": 1, "a": [1.0, None]}) == json_sha256({"a": [1.0, None], "b": 1}) == digest
    assert json_sha256({"a": 1}) != json_sha256({"a": 2})


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "file.json", {"rate": float("nan")})
    assert not (tmp_path / "file.json").exists()


@pytest.mark.parametrize("links", [True, False])
def test_a_file_is_linked_or_copied_over_an_older_one(tmp_path, monkeypatch, links):
    (tmp_path / "source").write_text("new")
    (tmp_path / "target").write_text("old")

    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr("os.link", refuse)
    for target in (tmp_path / "target", tmp_path / "new folder/target"):
        link_or_copy(tmp_path / "source", target)
        assert target.read_text() == "new"
        assert target.samefile(tmp_path / "source") == links


def test_tensors_are_written_whole_or_not_at_all(tmp_path):
    save_torch(tmp_path / "x.pt", {"a": torch.ones(2)})
    with pytest.raises(RuntimeError):
        save_torch(tmp_path / "x.pt", None, lambda *_: torch.ones(2) @ torch.ones(3))
    assert torch.load(tmp_path / "x.pt", weights_only=True)["a"].tolist() == [1.0, 1.0]


def test_a_file_system_that_cannot_flush_a_folder_loses_nothing(tmp_path, monkeypatch):
    """VirtualBox, old CIFS: EINVAL; others cannot open a folder."""
    flush, opened = os.fsync, os.open

    def refuse_folders(file):
        if os.path.isdir(f"/proc/self/fd/{file}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        flush(file)

    monkeypatch.setattr("os.fsync", refuse_folders)
    write_text(tmp_path / "a", "1")

    def refuse_opening(path, *args, **options):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, *args, **options)

    monkeypatch.setattr("os.open", refuse_opening)
    write_text(tmp_path / "b", "2")
    assert [(tmp_path / name).read_text() for name in "ab"] == ["1", "2"]


def test_what_a_kill_leaves_is_used_by_the_next_writer(tmp_path):
    code = """
import os, signal, sys
from quac.system.files import atomic_write
with atomic_write(sys.argv[1]) as path:
    path.write_text("half, and longer than what comes")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "file.json"
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code, path])
        assert done.returncode == -signal.SIGKILL
        assert not path.exists()
        (part,) = parts_below(tmp_path)
        assert part.read_text().startswith("half")
    write_text(path, "whole")
    assert path.read_text() == "whole"
    assert [file.name for file in tmp_path.iterdir()] == ["file.json"]


def test_two_writers_of_a_file_wait_for_each_other(tmp_path):
    path, texts = tmp_path / "file", [str(number) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda text: write_text(path, text), texts * 5):
            assert path.read_text() in texts
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_file_system_without_locks_is_written_to(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    write_text(tmp_path / "file", "whole")
    assert (tmp_path / "file").read_text() == "whole"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("../mine", r"\w+"),
        ("../mine", ".*"),
        ("own/../../mine", ".*"),
        ("link", r"\w+"),
        ("link/inside", ".*"),
        ("thesis.tex", r"\d+\.png"),
        ("x1.png", r"\d+\.png"),
        ("", ".*"),
    ],
)
def test_only_what_is_ours_is_removed(tmp_path, path, form):
    own, mine = tmp_path / "own", tmp_path / "mine"
    for folder in (own, mine):
        folder.mkdir()
        for name in ("thesis.tex", "1.png", "x1.png", "inside"):
            (folder / name).touch()
    (own / "link").symlink_to(mine)
    assert not remove_own(own / path, own, form)
    assert len(list(mine.iterdir())) == 4
    assert len(list(own.iterdir())) == 5
    assert remove_own(own / "1.png", own, r"\d+\.png")
    assert remove_own(own / "1.png", own, r"\d+\.png")  # it is gone
    assert not (own / "1.png").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[1]", b'{"b": 1}', b"3"])
def test_a_damaged_json_file_is_named(tmp_path, content):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(QuacError, match=r"file\.json: damaged \(.*\)\. Delete it and run the workflow again\.$"):
        read_json(path, ["a"])
    path.write_text('{"a": 1}')
    assert read_json(path, ["a"]) == {"a": 1}
    with pytest.raises(QuacError, match=r"gone\.json: file not found\. Check the path, or run the workflow again"):
        read_json(tmp_path / "gone.json")
