"""`quac convert` and `quac interpolate`, from files to files."""

import weakref

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from helpers.builders import Brightness, command, ours, save_classifier, write_images
from helpers.image_files import broken, kinds, noise
from PIL import Image

from quac import ConversionNetwork
from quac.conversion import image_files
from quac.conversion.interpolation import interpolate
from quac.data.decode import decode
from quac.system.files import file_sha256

CLASSES = ("dark", "bright")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a network of 64 pixels, m.ckpt, and a classifier, c.pt."""
    monkeypatch.chdir(tmp_path)
    ours(tmp_path / "m.ckpt", classes=CLASSES, data={"img_size": 64})
    save_classifier(tmp_path / "c.pt", Brightness())
    return tmp_path


def convert(*arguments, **options):
    given = {"model": "m.ckpt", "to": "bright", "out": "out", "threads": 1, "device": "cpu", **options}
    return command("convert", *arguments, *(word for name in given for word in (f"--{name}", given[name])))


def grey(path):
    return np.asarray(Image.open(path)).astype(int)


def test_a_result_has_the_kind_and_the_place_of_its_query(here):
    (here / "in/deep er/ü").mkdir(parents=True)
    found = [*kinds(here / "in", size=(21, 43)), *kinds(here / "in/deep er/ü", 1, size=(64, 64))]
    before = {path: file_sha256(path) for path in found}
    done = convert("in", out="in/out")
    assert done.status == 0, done.output
    assert "12 image(s) are transparent: blended with the background" in done.output
    for path in found:
        query, result = decode(path), decode(here / "in/out" / path.relative_to(here / "in"))
        assert result.values.shape[:2] == query.values.shape[:2]
        assert result.values.dtype == query.values.dtype
        assert result.values.std() > 0
        assert file_sha256(path) == before[path]
    again = convert("in", out="in/out")
    assert f"in/out: {len(found)} image(s) converted into bright" in again.output


def test_a_result_is_the_image_of_the_network_at_the_size_of_the_training(here):
    network = ConversionNetwork.load("m.ckpt", "cpu")
    Image.fromarray(noise(0, 64, 64)).save("a.png")
    assert convert("a.png", "--seed", 3).status == 0
    x = torch.from_numpy(grey("a.png") / 255).float()[None, None] * 2 - 1
    style = network.latent_styles(3).draw([file_sha256("a.png")], network.label_of("bright"), 0)[0]
    expected = network.from_range(network.generator(x, style))[0, 0].numpy() * 255
    assert np.abs(grey("out/a.png") - expected).max() <= 0.5 + 1e-3
    Image.fromarray(noise(0, 64, 64)).resize((128, 96), Image.Resampling.NEAREST).save("large.png")
    scaled, native = convert("large.png"), convert("large.png", "--native", out="native")
    assert (scaled.status, native.status) == (0, 0)
    assert grey("out/large.png").shape == grey("native/large.png").shape == (96, 128)
    assert np.abs(grey("out/large.png") - grey("native/large.png")).mean() > 1


def test_a_query_with_a_lookup_table_is_read_as_grey_and_said(here):
    """Its result has 8 bits, as the query has."""
    image = Image.fromarray(noise(0, 64, 64))
    image.save("a.png")
    table = image.convert("P")
    table.putpalette(bytes(value for level in range(256) for value in (0, 0, level)))
    table.save("in.tif")
    done = convert("in.tif", "--seed", 3)
    assert "1 image(s) of which each has a palette of shades of one colour" in done.output
    assert decode("out/in.tif").values.dtype == np.uint8


def test_deep_images_keep_their_depth_and_a_given_range(here):
    tifffile.imwrite("deep.tif", noise(0, 64, 64, dtype=np.uint16))
    tifffile.imwrite("float.tif", np.linspace(-500, 1500, 64 * 64, dtype=np.float32).reshape(64, 64))
    assert convert("deep.tif").status == 0
    deep = tifffile.imread("out/deep.tif")
    assert len(np.unique(deep)) > 256
    backwards = convert("float.tif", "--range", 2, 1)
    assert (backwards.status, "--range: the lowest value comes first" in backwards.output) == (1, True)
    refused = convert("float.tif")
    assert (refused.status, "float.tif: has values of 32 bits" in refused.output) == (1, True)
    assert convert("float.tif", "--range", -1000, 2000).status == 0
    result = tifffile.imread("out/float.tif")
    assert result.dtype == np.float32
    assert -1000 <= result.min() < result.max() <= 2000
    assert len(np.unique(result)) > 256


def test_a_classifier_chooses_the_best_try_and_all_are_listed(here):
    write_images("in", {"x": 2, "y": 1}, size=64)
    assert convert("in", "--tries", 4, "--classifier", "c.pt", to="dark,bright").status == 0
    assert convert("in", "--tries", 4, to="bright", out="all").status == 0
    table = pd.read_csv("out/tries.csv")
    assert len(table) == 3 * 2 * 4
    assert table.groupby(["query", "target"])["best"].sum().eq(1).all()
    for (_, target), tries in table.groupby(["query", "target"]):
        best = tries[tries["best"]].iloc[0]
        hits = tries[tries["predicted"] == target]
        assert best["p_target"] == (hits if len(hits) else tries)["p_target"].max()
    best = table[table["best"] & (table["target"] == "bright")]
    for row in best.itertuples():
        assert row.file == row.query.replace("in/", "out/bright/")
        chosen = row.query.replace("in/", "all/").replace(".png", f"_try{row[4]:02d}.png")
        assert np.array_equal(grey(row.file), grey(chosen))
        assert row.digest == file_sha256(row.query)


def test_a_reference_gives_its_style(here):
    write_images("in", {"x": 1, "y": 1}, size=64)
    done = convert("in/x/x-00.png", "--reference", "in/y/y-00.png")
    assert done.status == 0, done.output
    network = ConversionNetwork.load("m.ckpt", "cpu")
    query, reference = (
        torch.from_numpy(grey(f"in/{name}/{name}-00.png") / 255).float()[None, None] for name in ("x", "y")
    )
    expected = network.convert(query, "bright", reference)[0, 0].numpy() * 255
    assert np.abs(grey("out/x-00.png") - expected).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("options", [["--tries", 2], ["--tries", 3, "--classifier", "c.pt"], ["--native"]])
def test_results_do_not_depend_on_the_batches(here, monkeypatch, options):
    for number in range(20):
        size = [(21, 43), (64, 64), (64, 64), (90, 33), (8, 200)][number % 5]
        (here / f"in/{number % 3}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(number, *size, dtype=np.uint16)).save(f"in/{number % 3}/{number:02d}.png")
    assert convert("in", *options, to="dark,bright", out="together").status == 0
    for name, most in (("TRIES", 1), ("PIXELS", 1)):
        with monkeypatch.context() as patched:
            patched.setattr(f"quac.conversion.image_files.{name}", most)
            assert convert("in", *options, to="dark,bright", out=name).status == 0
        found = sorted(path.relative_to(here / name) for path in (here / name).rglob("*.png"))
        assert len(found) == 20 * 2 * (2 if options[1:] == [2] else 1)
        for path in found:
            assert np.abs(grey(here / "together" / path) - grey(here / name / path)).max() <= 1
        if "--classifier" in options:
            one, other = (pd.read_csv(f"{folder}/tries.csv").drop(columns="file") for folder in ("together", name))
            pd.testing.assert_frame_equal(one, other, atol=1e-5)


def test_no_more_queries_than_needed_are_in_memory(here, monkeypatch):
    (here / "in").mkdir()
    for number in range(90):
        Image.fromarray(noise(number, 16, 16 + 4 * (number % 30))).save(f"in/{number:03d}.png")
    alive, most, read = set(), [0], image_files.read_query

    def counted(*arguments):
        query = read(*arguments)
        alive.add(id(query))
        most[0] = max(most[0], len(alive))
        weakref.finalize(query, alive.discard, id(query))
        return query

    monkeypatch.setattr(image_files, "read_query", counted)
    monkeypatch.setattr(image_files, "PIXELS", 5 * 16 * 74)
    done = convert("in", "--native")
    assert "90 image(s) converted" in done.output
    assert most[0] < 40


def test_broken_files_are_named_and_the_others_converted(here):
    (here / "in").mkdir()
    found = broken(here / "in")
    Image.fromarray(noise(0, 8, 9)).save("in/z.png")
    done = convert("in", "--classifier", "c.pt")
    assert done.status == 1
    assert f"error: {len(found)} image(s) could not be converted:" in done.output
    assert all(f"in/{path.name}: " in done.output for path in found)
    assert "out: 1 image(s) converted" in done.output
    assert "Traceback" not in done.output
    assert sorted(path.name for path in (here / "out").iterdir()) == ["tries.csv", "z.png"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "light"}, "light: not a class of this network. Choose from dark, bright."),
        ({"tries": 2, "reference": "a.png"}, "--tries: a reference is one style"),
        ({"reference": "c.pt"}, "--reference: c.pt is not an image"),
        ({"model": "c.pt"}, "c.pt: cannot be read as a checkpoint"),
        ({"out": "a.png"}, "--out: a.png is a file; give a folder"),
        ({"out": "."}, "a.png: is an input, and would be overwritten"),
        ({"to": ""}, "--to: names no class. Choose from dark, bright."),
        ({"model": "."}, ".: cannot be read as a checkpoint (is a directory)"),
        ({"scale": "nan"}, "--scale, --shift: give numbers"),
        ({"classifier": "a.png"}, "a.png: cannot be loaded as TorchScript"),
    ],
)
def test_refusals_come_before_anything_is_written(here, options, message):
    Image.fromarray(noise(0, 8, 9)).save("a.png")
    before = sorted(path.name for path in here.rglob("*"))
    done = convert("a.png", **options)
    assert done.status == 1
    assert message in done.output
    assert "Traceback" not in done.output
    assert "arbitrary code" not in done.output  # torch advises to load what is no checkpoint all the same
    assert sorted(path.name for path in here.rglob("*")) == before


def test_interpolation_goes_evenly_from_style_to_style():
    styles = torch.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 2.0]])
    assert interpolate(styles, 5).tolist() == [[0, 0], [0.5, 1], [1, 2], [2, 2], [3, 2]]
    assert interpolate(styles[:2], 2).tolist() == [[0, 0], [1, 2]]


@pytest.mark.parametrize(("ending", "frames"), [("png", 1), ("gif", 5), ("webp", 5)])
def test_a_strip_and_animations(here, ending, frames):
    write_images("in", {"x": 1, "y": 2}, size=48)
    styles = ["--reference", "in/y/y-00.png", "--reference", "in/y/y-01.png"]
    for number, way in enumerate((styles, ["--latents", 3])):
        file = here / f"{number}.{ending}"
        done = command(
            *("interpolate", "in/x/x-00.png", "--model", "m.ckpt", "--to", "dark", *way, "--frames", 5),
            *("--out", file, "--threads", 1),
        )
        assert done.status == 0, done.output
        with Image.open(file) as image:
            assert image.size == ((6 * 48, 48) if ending == "png" else (48, 48))
            assert getattr(image, "n_frames", 1) == frames
            pixels = np.asarray(image.convert("L"))
        if ending == "png":
            assert np.abs(pixels[:, :48].astype(int) - grey("in/x/x-00.png")).mean() < 8  # scaled to 64 and back
    command(
        "convert", "in/x/x-00.png", "--model", "m.ckpt", "--to", "dark", "--reference", "in/y/y-01.png", "--out", "o"
    )
    if ending == "png":
        assert np.array_equal(grey("0.png")[:, -48:], grey("o/x-00.png"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "a.png"], "--reference, --latents: give"),
        (["--reference", "q.png", "--out", "a.png"], "--reference, --latents: give"),
        (["--latents", 2, "--out", "a.jpg"], "a.jpg must end in .png, for a strip, or in .gif or .webp"),
        (["--latents", 2, "--out", "q.png"], "would be overwritten"),
        (
            ["--latents", 2, "--out", "folder.png"],
            "error: folder.png: is a folder; rename or remove it, or choose another",
        ),
    ],
)
def test_interpolations_that_are_refused(here, arguments, message):
    Image.fromarray(noise(0, 8, 9)).save("q.png")
    (here / "folder.png").mkdir()
    done = command("interpolate", "q.png", "--model", "m.ckpt", "--to", "dark", *arguments)
    assert (done.status, message in done.output) == (1, True), done.output
