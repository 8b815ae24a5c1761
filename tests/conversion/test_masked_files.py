"""`quac convert --masks`: outside of a mask a result is its query, bit for bit."""

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from helpers.builders import Brightness, command, ours, save_classifier
from helpers.image_files import broken, deep_png, kinds, noise
from PIL import Image

from quac import ConversionNetwork
from quac.data.decode import decode
from quac.system.files import file_sha256

SHAPE = (40, 60)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a network of 64 pixels, m.ckpt, a classifier, c.pt, and an empty one `in`."""
    monkeypatch.chdir(tmp_path)
    ours(tmp_path / "m.ckpt", classes=("dark", "bright"), data={"img_size": 64})
    save_classifier(tmp_path / "c.pt", Brightness())
    (tmp_path / "in/deeper").mkdir(parents=True)
    return tmp_path


def convert(*arguments):
    fixed = ("--model", "m.ckpt", "--to", "bright", "--out", "out", "--threads", 1, "--device", "cpu")
    return command("convert", "in", *arguments, *fixed)


def write_mask(path, columns=30, shape=SHAPE):
    """White in the first columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros(shape, np.uint8)
    mask[:, :columns] = 255
    Image.fromarray(mask).save(path)


def test_every_kind_of_file_keeps_its_pixels_outside_of_the_mask(here):
    found = {**kinds(here / "in", size=SHAPE), **kinds(here / "in/deeper", 1, size=SHAPE)}
    for path in found:
        write_mask((here / "masks" / path.relative_to(here / "in")).with_suffix(".png"))
    done = convert("--masks", "masks")
    assert done.status == 0, done.output
    assert f"{len(found)} of {len(found)} image(s) have a mask" in done.output
    for path, pixels in found.items():
        result = decode(here / "out" / path.relative_to(here / "in")).values
        assert result.dtype == decode(path).values.dtype
        assert result.shape == pixels.shape
        loss = 24 if path.suffix == ".JPG" else 0
        assert np.abs(result[:, 30:].astype(int) - pixels[:, 30:].astype(int)).max() <= loss, path
        assert np.abs(result[:, :30].astype(float) - pixels[:, :30]).mean() > 10


def test_values_outside_of_a_range_are_kept_too(here):
    values = np.linspace(-500, 1500, SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE)
    tifffile.imwrite("in/float.tif", values)
    write_mask(here / "masks/float.png")
    assert convert("--masks", "masks", "--range", 0, 1000).status == 0
    result = tifffile.imread("out/float.tif")
    assert np.array_equal(result[:, 30:], values[:, 30:])
    assert 0 <= result[:, :30].min() < result[:, :30].max() <= 1000


def test_the_classifier_sees_the_masked_image_and_an_image_without_a_mask_is_converted_whole(here):
    for name in ("masked", "whole"):
        Image.fromarray(np.full((64, 64), 255, np.uint8)).save(f"in/{name}.bmp")
    write_mask(here / "masks/masked.png", columns=10, shape=(64, 64))
    options = ("--classifier", "c.pt", "--tries", 2)
    done = convert("--masks", "masks", *options)
    assert (done.status, "1 of 2 image(s) have a mask; the others are converted whole" in done.output) == (0, True)
    table, network = pd.read_csv("out/tries.csv").set_index("query"), ConversionNetwork.load("m.ckpt", "cpu")
    x = torch.ones(1, 1, 64, 64)
    styles, digest = network.latent_styles(seed=0), file_sha256("in/masked.bmp")
    drawn = [styles.draw([digest], network.label_of("bright"), number)[0] for number in range(2)]
    images = torch.cat([network.generator(x, style) for style in drawn])
    images = (images * 127.5 + 127.5).round() / 127.5 - 1  # as a file of 8 bits holds them
    for name, columns in (("whole", 64), ("masked", 10)):
        images[:, :, :, columns:] = 1.0
        tries = table.loc[f"in/{name}.bmp"]
        assert tries["l1"].tolist() == pytest.approx((1 - images).mean((1, 2, 3)).tolist(), abs=1e-5)
        assert tries["p_target"].tolist() == pytest.approx((2 * images.mean((1, 2, 3))).sigmoid().tolist(), abs=1e-5)
    before = table.drop(columns="file")
    assert convert(*options).status == 0
    alone = pd.read_csv("out/tries.csv").set_index("query").drop(columns="file")
    pd.testing.assert_frame_equal(alone.loc[["in/whole.bmp"]], before.loc[["in/whole.bmp"]], atol=1e-6)


def test_a_soft_edge_falls_off_inside(here):
    Image.fromarray(np.zeros(SHAPE, np.uint8)).save("in/x.png")
    write_mask(here / "masks/x.png")
    results = {}
    for edge in (0, 9):
        assert convert("--masks", "masks", "--mask-edge", edge).status == 0
        results[edge] = np.asarray(Image.open("out/x.png")).astype(float)
    share = results[9][:, :30].sum(0) / results[0][:, :30].sum(0)
    assert (results[9][:, 30:] == 0).all()
    assert np.abs(share[:21] - 1).max() < 0.02
    assert share[21:] == pytest.approx(np.arange(9, 0, -1) / 10, abs=0.03)


def test_a_grey_network_leaves_colours_outside(here):
    """A result has the colours that its query has, where it has a mask."""
    colour = noise(0, *SHAPE, 3, dtype=np.uint16)
    deep_png("in/x.png", colour)
    write_mask(here / "masks/x.png")
    assert convert("--masks", "masks").status == 0
    result = decode("out/x.png").values
    assert np.array_equal(result[:, 30:], colour[:, 30:])
    assert (np.ptp(result[:, :30].astype(int), axis=2) == 0).all()


def test_masks_that_cannot_be_used_are_named_with_their_image(here):
    broken_ones = broken(here / "in")
    for name in ("good", "torn", "turned"):
        Image.fromarray(noise(0, *SHAPE)).save(f"in/{name}.bmp")
    write_mask(here / "masks/good.tif")
    write_mask(here / "masks/turned.png", shape=SHAPE[::-1])
    (here / "masks/torn.png").write_bytes(b"x")
    done = convert("--masks", "masks")
    assert done.status == 1
    assert f"{len(broken_ones) + 2} image(s) could not be converted" in done.output
    assert "in/torn.bmp: its mask masks/torn.png is not an image" in done.output
    assert "in/turned.bmp: its mask masks/turned.png has 40 x 60 pixels, but the image 60 x 40" in done.output
    assert (here / "out/good.bmp").exists()
    assert not (here / "out/turned.bmp").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--masks", "nowhere"], "--masks: nowhere is not a folder"),
        (["--masks", "m.ckpt"], "--masks: m.ckpt is not a folder"),
        (
            ["--masks", "empty"],
            "--masks: empty holds no mask for any of the 1 image(s). Give masks the names of their images, such",
        ),
        (["--masks", "twice"], "--masks: twice/x.bmp and twice/x.png are both of in/x.png. Remove one."),
        (["--mask-edge", 3], "--mask-edge: needs masks. Give --masks"),
    ],
)
def test_options_that_are_refused(here, arguments, message):
    Image.fromarray(noise(0, *SHAPE)).save("in/x.png")
    (here / "empty").mkdir()
    write_mask(here / "twice/x.png")
    write_mask(here / "twice/x.bmp")
    done = convert(*arguments)
    assert (done.status, message in done.output) == (1, True), done.output
    assert not (here / "out").exists()


def test_masks_may_lie_among_the_images(here):
    Image.fromarray(noise(0, *SHAPE)).save("in/x.bmp")
    write_mask(here / "in/masks/x.png")
    done = convert("--masks", "in/masks")
    assert "out: 1 image(s) converted" in done.output, done.output
    Image.fromarray(noise(0, *SHAPE)).save("in/deeper/y.bmp")
    write_mask(here / "in/deeper/y.png")
    fixed = ("--model", "m.ckpt", "--to", "bright", "--out", "out", "--threads", 1, "--device", "cpu")
    nested = command("convert", "in/deeper/*.bmp", "--masks", "in/deeper", *fixed)
    assert "1 of 1 image(s) have a mask" in nested.output, nested.output
