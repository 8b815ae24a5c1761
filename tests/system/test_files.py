import errno
import hashlib
import os

import pytest
import torch

from quac.system.files import (
    atomic_write,
    json_sha256,
    link_or_copy,
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
