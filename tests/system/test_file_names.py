"""Names on file systems that are blind to case, or refuse some characters; these are imitated."""

import errno
import unicodedata
from pathlib import Path

import pytest

from quac.system.file_names import unfit_names

COMPOSED, APART = (unicodedata.normalize(form, "ä.png") for form in ("NFC", "NFD"))


@pytest.fixture
def case_blind(monkeypatch):
    """A file system that takes names for the same if they differ in case or in the encoding of a letter."""
    exists = Path.exists

    def is_there(path, **options):
        folded = unicodedata.normalize("NFC", path.name).casefold()
        return exists(path, **options) or any(
            unicodedata.normalize("NFC", other.name).casefold() == folded for other in path.parent.iterdir()
        )

    monkeypatch.setattr(Path, "exists", is_there)


@pytest.fixture
def like_windows(monkeypatch):
    """A file system that refuses `?` and `:`, and removes a dot at the end."""
    touch = Path.touch

    def make(path, **options):
        if set("?:") & set(path.name):
            raise OSError(errno.EINVAL, "Invalid argument", str(path))
        touch(path.with_name(path.name.rstrip(".")), **options)

    monkeypatch.setattr(Path, "touch", make)


NAMES = [
    "a/Q.png",
    "a/q.png",
    "A/x.png",
    "a/y.png",
    f"a/{COMPOSED}",
    f"a/{APART}",
    "a/why?.png",
    "a:b/1.png",
    "c./1.png",
]


def test_most_file_systems_hold_all_names(tmp_path):
    assert unfit_names(tmp_path / "new/er", NAMES) == {}
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_one_file_are_found(tmp_path, case_blind):
    faults = unfit_names(tmp_path, NAMES)
    assert list(faults) == ["a/q.png", f"a/{APART}"]
    assert faults["a/q.png"] == f"is the same as a/Q.png on the file system of {tmp_path}; rename one of them"
    assert list(unfit_names(tmp_path, ["B/1.png", "b/1.png", "b/2.png"])) == ["b/1.png"]


def test_names_that_cannot_be_held_are_found(tmp_path, like_windows):
    faults = unfit_names(tmp_path, NAMES)
    assert list(faults) == ["a/why?.png", "a:b/1.png", "c./1.png"]
    assert faults["a/why?.png"] == f"the file system of {tmp_path} cannot hold the name 'why?.png'; rename it"


@pytest.mark.parametrize(("name", "size"), [("x" * 255, 255), ("x" * 256, 256), ("ä" * 127, 254), ("ä" * 128, 256)])
def test_names_that_are_too_long_are_found(tmp_path, name, size):
    faults = unfit_names(tmp_path, [f"a/{name}"])
    assert faults == (
        {f"a/{name}": f"has a name of {size} bytes, but 255 is the limit; shorten it"} if size > 255 else {}
    )


def test_a_folder_that_cannot_be_written_is_left_alone(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    assert unfit_names(tmp_path, NAMES) == {}
