"""Which files are converted, and where to."""

import os
from pathlib import Path

import pytest

from quac.conversion.places import list_places, results_of
from quac.system.errors import QuacError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/sub dir/b ü.TIF", "in/sub dir/notes.txt", "in/.hidden.png", "in/[1].jpg", "out/x.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")
    return tmp_path


def names(*sources, out="out"):
    return [place.name for place in list_places(sources, out)]


def test_sources_are_files_folders_and_globs(folder):
    everything = ["[1].jpg", "a.png", "sub dir/b ü.TIF"]
    assert names("in") == names(str(folder / "in")) == names("in/**") == everything
    assert names("in/*.png") == ["a.png"]
    assert names("in/sub*/*") == ["sub dir/b ü.TIF"]
    assert names("in/[1].jpg") == ["[1].jpg"]
    assert names("in/a.png", "in/sub dir") == ["a.png", "b ü.TIF"]


def test_earlier_results_are_no_sources(folder):
    assert names(".", out="out") == [f"in/{name}" for name in names("in")]
    Path("out/x.png").rename("out/x.txt")
    with pytest.raises(QuacError, match=r"out: holds no images \(\.bmp, "):
        names("out", out="out/more")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere", "nowhere: does not exist"),
        ("in/*.bmp", r"in/\*.bmp: holds no images"),
        ("in/sub dir/notes.txt", "notes.txt: holds no images"),
    ],
)
def test_a_source_without_images_is_named(folder, source, said):
    with pytest.raises(QuacError, match=said):
        names(source)


def test_results_have_the_names_of_their_queries(folder):
    places = list_places(["in"], "out")
    one = results_of(places, ["c"], 1, "out")
    assert one[places[2], "c"] == [Path("out/sub dir/b ü.TIF")]
    several = results_of(places, ["c", "d/e"], 2, "out")
    assert several[places[1], "d/e"] == [Path("out/d-e/a_try00.png"), Path("out/d-e/a_try01.png")]


def test_no_result_takes_the_place_of_another_or_of_a_source(folder):
    Path("other").mkdir()
    Path("other/a.png").write_bytes(b"")
    with pytest.raises(QuacError, match=r"out/a\.png: would be written for in/a\.png and for other/a\.png"):
        results_of(list_places(["in", "other"], "out"), ["c"], 1, "out")
    assert len(results_of(list_places(["in/a.png", "in/a.png"], "out"), ["c"], 1, "out")) == 1
    for source in ("in", "in/a.png", "in/*.png"):
        with pytest.raises(QuacError, match=r"in/.*: is an input"):
            results_of(list_places([source], "in"), ["c"], 1, "in")
    Path("in/a_try00.png").write_bytes(b"")
    with pytest.raises(QuacError, match=r"in/a_try00\.png: is an input"):
        results_of(list_places(["in"], "in"), ["c"], 2, "in")
    os.link("in/a.png", "out/a.png")  # or a file system to which A.png is the same
    with pytest.raises(QuacError, match=r"out/a\.png: is an input, and would be overwritten"):
        results_of(list_places(["in/a.png"], "elsewhere"), ["c"], 1, "out")
    Path("masks").mkdir()
    Path("masks/a.png").write_bytes(b"")
    with pytest.raises(QuacError, match=r"masks/a\.png: is an input"):
        results_of(list_places(["in/a.png"], "masks"), ["c"], 1, "masks", [Path("masks/a.png")])
