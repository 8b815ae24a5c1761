import os

import pytest

from quac.system.errors import QuacError
from quac.system.paths import expand_path, is_same_file, is_within


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("DISK", "/big disk")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "expanded"),
    [
        ("~/x", "/home/me/x"),
        ("~", "/home/me"),
        ("$DISK/${DISK}x", "/big disk//big diskx"),
        ("a/$HOME/b", "a//home/me/b"),
        ("a~b/x y", "a~b/x y"),
        ("~nobody-at-all/x", "~nobody-at-all/x"),
        ("5 $/x", "5 $/x"),
    ],
)
def test_a_path_is_expanded_as_by_a_shell(path, expanded):
    assert expand_path(path) == expanded


def test_a_name_that_exists_as_it_is_written_is_kept(here):
    (here / "it's $HOME").mkdir()
    (here / "list").mkdir()
    (here / "list/$odd.png").touch()
    assert expand_path("it's $HOME") == "it's $HOME"
    assert expand_path("$odd.png", here / "list") == "$odd.png"
    (here / "~").mkdir()  # left by an accident
    assert expand_path("~/x") == "/home/me/x"


def test_a_variable_that_is_not_set_is_named():
    with pytest.raises(QuacError, match=r"\$NOWHERE/x: the environment has no variable NOWHERE\. Set it"):
        expand_path("$NOWHERE/x")


def test_paths_are_compared_by_where_they_lead(here):
    (here / "a/b").mkdir(parents=True)
    (here / "link").symlink_to("a")
    (here / "a/file").touch()
    os.link(here / "a/file", here / "hard")
    assert is_within("link/b/new/../x", "a/b")
    assert is_within("a", "link/b/..")
    assert not is_within("a b", "a")
    assert not is_within("a", "a/b")
    assert is_same_file("new/../link/file", "a/file")
    assert is_same_file("hard", "a/file")
    assert not is_same_file("hard", "new")
