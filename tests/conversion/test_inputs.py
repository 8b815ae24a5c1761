"""The inputs of `quac convert`: which files are converted, where to, and in which size."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.builders import tiny_config
from helpers.image_files import noise
from PIL import Image

from quac.conversion.inputs import list_images, match_masks, read_query, read_reference, result_paths
from quac.data.batches import to_pixels
from quac.data.decoded import ImageError
from quac.models.starganv2.checkpoint_info import CheckpointInfo
from quac.system.errors import QuacError

WIDTH, HEIGHT = 90, 60


def network(**data):
    config = tiny_config(data={"img_size": 64, **data})
    return SimpleNamespace(description=CheckpointInfo.of(config, ["a", "b"], 1), device=torch.device("cpu"))


def pixels_of(query):
    return to_pixels(query.x[0], 2.0, -1.0, torch.uint16).permute(1, 2, 0).numpy()


@pytest.fixture
def image(tmp_path):
    Image.fromarray(noise(0, HEIGHT, WIDTH)).save(tmp_path / "x.png")
    return tmp_path / "x.png"


@pytest.mark.parametrize(
    ("data", "native", "query", "reference"),
    [
        ({}, False, (64, 64), (64, 64)),
        ({}, True, (60, 92), (64, 64)),  # of sides that the networks take
        ({"preprocess": "resize_and_crop", "load_size": 72}, False, (72, 72), (64, 64)),
        ({"preprocess": "scale_shortside_and_crop"}, False, (64, 96), (64, 64)),
        ({"preprocess": "scale_width_and_crop", "load_size": 120}, False, (80, 120), (64, 64)),
        ({"preprocess": "crop"}, False, (60, 92), (60, 60)),  # the encoder's input is resized, see `encode`
    ],
)
def test_a_query_is_as_large_as_in_the_training(image, data, native, query, reference):
    found = read_query(image, network(**data), native)
    assert found.x.shape == (1, 1, *query)
    assert -1 <= found.x.min() < -0.8 < 0.8 < found.x.max() <= 1
    assert read_reference(image, network(**data)).shape == (1, 1, *reference)
    pixels = found.restore(pixels_of(found))
    assert (pixels.shape, pixels.dtype) == ((HEIGHT, WIDTH, 1), np.uint16)


def test_at_its_own_size_an_image_comes_back_exactly(image):
    Image.fromarray(noise(1, 64, 128)).save(image)
    found = read_query(image, network(), native=True)
    assert np.array_equal(found.restore(pixels_of(found))[:, :, 0], noise(1, 64, 128).astype(int) * 257)


def test_a_size_beyond_the_limit_is_an_error(image):
    Image.fromarray(noise(0, 900, 4)).save(image)
    with pytest.raises(ImageError, match=r"would be scaled to 64 x 14400 pixels, more than 100,000"):
        read_query(image, network(preprocess="scale_width_and_crop", max_pixels=100_000))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/sub dir/b ü.TIF", "in/sub dir/notes.txt", "in/.hidden.png", "in/[1].jpg", "out/x.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")
    return tmp_path


def names(*sources, out="out"):
    return [image.name for image in list_images(sources, out)]


def test_sources_are_files_folders_and_globs(folder):
    everything = ["[1].jpg", "a.png", "sub dir/b ü.TIF"]
    assert names("in") == names(str(folder / "in")) == names("in/**") == everything
    assert names("in/*.png") == ["a.png"]
    assert names("in/sub*/*") == ["sub dir/b ü.TIF"]
    assert names("in/[1].jpg") == ["[1].jpg"]
    assert names("in/a.png", "in/sub dir") == ["a.png", "b ü.TIF"]


def test_earlier_results_are_not_sources(folder):
    assert names(".", out="out") == [f"in/{name}" for name in names("in")]
    Path("out/x.png").rename("out/x.txt")
    with pytest.raises(QuacError, match=r"out: holds no images \(\.bmp, "):
        names("out", out="out/more")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "nowhere: does not exist"),
        ("in/*.bmp", r"in/\*.bmp: holds no images"),
        ("in/sub dir/notes.txt", "notes.txt: holds no images"),
    ],
)
def test_a_source_without_images_is_named(folder, source, message):
    with pytest.raises(QuacError, match=message):
        names(source)


def test_results_have_the_names_of_their_queries(folder):
    images = list_images(["in"], "out")
    one = result_paths(images, ["c"], 1, "out")
    assert one[images[2], "c"] == [Path("out/sub dir/b ü.TIF")]
    several = result_paths(images, ["c", "d/e"], 2, "out")
    assert several[images[1], "d/e"] == [Path("out/d-e/a_try00.png"), Path("out/d-e/a_try01.png")]


def test_no_result_replaces_another_or_a_source(folder):
    Path("other").mkdir()
    Path("other/a.png").write_bytes(b"")
    with pytest.raises(QuacError, match=r"out/a\.png: would be written for in/a\.png and for other/a\.png"):
        result_paths(list_images(["in", "other"], "out"), ["c"], 1, "out")
    assert len(result_paths(list_images(["in/a.png", "in/a.png"], "out"), ["c"], 1, "out")) == 1
    for source in ("in", "in/a.png", "in/*.png"):
        with pytest.raises(QuacError, match=r"in/.*: is an input"):
            result_paths(list_images([source], "in"), ["c"], 1, "in")
    for out in ("in/new/..", "in/new/./../new/../sub dir/..", "elsewhere/../in"):  # `new` is made on the way
        with pytest.raises(QuacError, match=r"in/.*: is an input"):
            result_paths(list_images(["in"], out), ["c"], 1, out)
    Path("in/a_try00.png").write_bytes(b"")
    with pytest.raises(QuacError, match=r"in/a_try00\.png: is an input"):
        result_paths(list_images(["in"], "in"), ["c"], 2, "in")
    os.link("in/a.png", "out/a.png")  # or a file system to which A.png is the same
    with pytest.raises(QuacError, match=r"out/a\.png: is an input, and would be overwritten"):
        result_paths(list_images(["in/a.png"], "elsewhere"), ["c"], 1, "out")
    Path("masks").mkdir()
    Path("masks/a.png").write_bytes(b"")
    with pytest.raises(QuacError, match=r"masks/a\.png: is an input"):
        result_paths(list_images(["in/a.png"], "masks"), ["c"], 1, "masks", [Path("masks/a.png")])


def test_files_that_are_not_images_are_named_and_counted(folder, caplog):
    for name in ("in/b.gif", "in/sub dir/c.GIF", "in/@eaDir/a.png/thumb.jpg", "in/__MACOSX/._a.png", "in/README"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")
    caplog.set_level("INFO", logger="quac")
    for source in ("in", "in/**"):
        caplog.clear()
        assert names(source) == ["[1].jpg", "a.png", "sub dir/b ü.TIF"]
        assert "not converted: 2 file(s) with .gif, 1 file(s) with no ending, 1 file(s) with .txt" in caplog.text
        assert "in/sub dir/c.GIF" in caplog.text
        assert "passed over, because these names are never those of data: 1 x @eaDir" in caplog.text
    with pytest.raises(QuacError, match=r"holds no images .* to convert, but 2 file\(s\) with \.gif"):
        names("in/**/*.[gG][iI][fF]")


def test_no_result_lies_outside_of_the_folder_of_results(folder):
    images = list_images(["in/a.png"], "out")
    for targets in (["..", "c"], ["c", ".."]):
        with pytest.raises(QuacError, match=r"out/\.\./a\.png: would be written outside of out, .* class '\.\.'"):
            result_paths(images, targets, 1, "out")
    assert result_paths(images, ["../..", "c"], 1, "out")[images[0], "../.."] == [Path("out/..-../a.png")]
    Path("other").mkdir()
    Path("other/1.png").write_bytes(b"")
    above = list_images(["in/*/../../other/*.png"], "out")
    with pytest.raises(QuacError, match=r"would be written outside of out"):
        result_paths(above, ["c"], 1, "out")
    assert result_paths(list_images(["in/*/../a.png"], "out"), ["c"], 1, "out/new/..")


def test_a_path_of_windows_gets_a_hint(folder):
    with pytest.raises(QuacError, match=r"does not exist\. Check the path \(write / for \\\)"):
        names(r"in\a.png")


def test_a_result_that_cannot_be_written_is_found_before_anything_is(folder, monkeypatch):
    long = "x" * 248 + ".png"
    Path(f"in/{long}").write_bytes(b"")
    images = list_images([f"in/{long}"], "out")
    assert result_paths(images, ["c"], 1, "out")
    with pytest.raises(QuacError, match=r"_try00\.png: the result of in/x.* has a name of 258 bytes, but 255 is the"):
        result_paths(images, ["c"], 2, "out")
    for name in ("Q.png", "q.png"):
        Path("in", name).write_bytes(b"")
    images = list_images(["in/[qQ].png"], "out")
    assert len(result_paths(images, ["c"], 1, "new/out")) == 2
    monkeypatch.setattr(Path, "exists", lambda path, **_: path.is_dir() or path.name in ("q.png", "Q.png"))
    with pytest.raises(
        QuacError, match=r"out/q\.png: the result of in/q\.png is the same as Q\.png on the file system"
    ):
        result_paths(images, ["c"], 1, "new/out")
    assert not Path("new").exists()


def test_masks_that_are_not_images_are_named(folder, caplog):
    for name in ("masks/a.png", "masks/[1].gif", "masks/notes.txt"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(b"")
    assert list(match_masks(list_images(["in"], "out"), "masks").values()) == [Path("masks/a.png")]
    assert "not named as images, and no masks: 1 file(s) with .gif\n  masks/[1].gif" in caplog.text
