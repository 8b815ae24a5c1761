"""Every query counts once, in its own row and under its own class, however the work is split."""

import copy
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.builders import (
    Brightness,
    converter_of,
    judging,
    make_index,
    make_store,
    save_classifier,
    storing,
    styles_of,
    tiny_config,
)
from PIL import Image

from quac.classifier.judge import Judge
from quac.conversion.engine import convert
from quac.conversion.image_folder import BestImages
from quac.data.batches import as_written, load, to_pixels
from quac.data.store import Store, build_store
from quac.models.starganv2.networks import build_networks
from quac.system.errors import QuacError

CPU = torch.device("cpu")
COUNTS = {"a": 1, "b": 3, "c": 4, "d": 5}  # with batches of 4: a class of 1, batch - 1, batch and batch + 1 images
CLASSES = list(COUNTS)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store"), COUNTS)


class ByLevel(torch.nn.Module):
    """Calls an image by its mean: below -0.5 a, then b, then c, above 0.5 d."""

    def forward(self, x):
        level = x.mean(dim=(1, 2, 3))[:, None]
        return -(level - torch.tensor([[-0.75, -0.25, 0.25, 0.75]], device=x.device)).abs() * 10


class Stub:
    """A converter whose image is the query's mean, moved by the style: its results can be computed by hand."""

    info, device = SimpleNamespace(scale=2.0, shift=-1.0), CPU

    def __init__(self, classes=CLASSES):
        self.classes = classes

    def prepare(self, x):
        return x.mean((1, 2, 3))

    def render(self, prepared, style, target):
        return (0.1 * prepared + style[:, 0]).clamp(-1, 1)[:, None, None, None].expand(-1, 1, 32, 32)


class StubStyles:
    """Try 0 hits the target; try 1 hits class a; the name of a style begins with the digest of its query."""

    def draw(self, digests, label, number):
        levels = [(-0.75, -0.25, 0.25, 0.75)[label] if number == 0 else -0.75 for _ in digests]
        return torch.tensor(levels)[:, None], [f"{digest[:4]}-{label}-{number}" for digest in digests]


def judge(tmp_path, module=None, classes=CLASSES, device=CPU):
    path = save_classifier(tmp_path / "c.pt", module or ByLevel())
    return Judge(path, judging(), SimpleNamespace(img_size=32, input_dim=1), classes, device)


def convert_by_stub(store, tmp_path, on_best=None):
    styles = {"latent": StubStyles(), "reference": StubStyles()}
    return convert(Stub(), judge(tmp_path), store, styles, tries=2, batch_size=4, on_best=on_best)


def test_a_row_for_every_query_target_kind_and_try(store, tmp_path):
    table = convert_by_stub(store, tmp_path)
    counts = table.groupby(["kind", "source", "target", "try"]).agg(
        rows=("query", "size"), queries=("query", "nunique")
    )
    assert len(counts) == 2 * 12 * 2
    for (_, source, target, _), row in counts.iterrows():
        assert source != target
        assert row["rows"] == row["queries"] == COUNTS[source]
    assert set(table["query"]) == set(store.paths)
    assert (table["source"] == table["query"].str.split("/").str[0]).all()
    assert (table["digest"] == table["query"].map(dict(zip(store.paths, store.digests, strict=True)))).all()
    assert (table["style"].str[:4] == table["digest"].str[:4]).all()


def test_each_row_has_the_verdict_on_its_own_image(store, tmp_path):
    table = convert_by_stub(store, tmp_path)
    assert (table[table["try"] == 0]["predicted"] == table[table["try"] == 0]["target"]).all()
    assert (table[table["try"] == 1]["predicted"] == "a").all()
    means = store.flat.reshape(len(store), -1).mean(1) / 255 * 2 - 1
    levels = dict(zip(CLASSES, (-0.75, -0.25, 0.25, 0.75), strict=True))
    for row in table[table["kind"] == "latent"].itertuples():
        mean = means[store.paths.tolist().index(row.query)]
        level = 0.1 * mean + (levels[row.target] if row[table.columns.get_loc("try") + 1] == 0 else -0.75)
        level = round((level + 1) / 2 * 255) / 255 * 2 - 1  # as it is written
        logits = torch.tensor([-10 * abs(level - other) for other in levels.values()])
        p = dict(zip(CLASSES, logits.softmax(0).tolist(), strict=True))
        assert row.p_target == pytest.approx(p[row.target], abs=1e-4)
        assert row.p_source == pytest.approx(p[row.source], abs=1e-4)
        query = load(store, [store.paths.tolist().index(row.query)], CPU, 2.0, -1.0)
        assert row.l1 == pytest.approx((query - level).abs().mean().item(), abs=1e-4)


def test_the_best_try_is_marked_and_written(store, tmp_path):
    with BestImages(tmp_path / "images", store) as write:
        table = convert_by_stub(store, tmp_path, lambda kind, *rest: write(kind, *rest) if kind == "latent" else None)
    best = table[table["best"]]
    assert len(best) == 2 * len(store) * 3
    assert not best.duplicated(["kind", "query", "target"]).any()
    assert (best[best["target"] != "a"]["try"] == 0).all()
    assert (best[best["target"] == "a"]["try"] == 0).all()  # both tries are equal: the first of them
    files = {str(file.relative_to(tmp_path / "images")) for file in (tmp_path / "images").rglob("*.png")}
    assert files == {
        f"{p.split('/')[0]}/{t}/{p.split('/')[1]}" for p in store.paths for t in CLASSES if t != p.split("/")[0]
    }
    means = store.flat.reshape(len(store), -1).mean(1) / 255 * 2 - 1
    pixels = np.asarray(Image.open(tmp_path / "images" / "d" / "c" / "d-04.png"))
    level = torch.tensor(0.25 + 0.1 * means[store.paths.tolist().index("d/d-04.png")])
    assert (pixels == to_pixels(level, 2.0, -1.0).item()).all()


def test_any_hit_is_better_than_a_miss_of_higher_probability(tmp_path):
    store, kept = make_store(tmp_path, {"a": 1, "b": 1, "c": 1}), {}

    class Rendered(Stub):
        def render(self, prepared, style, target):
            return style[:, :1, None, None].expand(-1, 1, 32, 32)

    class Probabilities(torch.nn.Module):
        """For level 0 (try 0): b by 0.40, c by 0.30; for level 1 (try 1): c by 0.49, b by 0.46."""

        def forward(self, x):
            first = (x.mean(dim=(1, 2, 3)) < 0.5)[:, None]
            return torch.where(first, torch.tensor([[0.3, 0.4, 0.3]]), torch.tensor([[0.05, 0.46, 0.49]]))

    class Levels:
        def draw(self, digests, label, number):
            return torch.full((len(digests), 1), float(number)), ["style"] * len(digests)

    judged = judge(tmp_path, Probabilities(), ["a", "b", "c"])

    def on_best(style_kind, row, target, image):
        kept[row, target] = image

    converter = Rendered(["a", "b", "c"])
    table = convert(converter, judged, store, {"latent": Levels()}, tries=2, batch_size=4, on_best=on_best)
    best = table[table["best"] & (table["target"] == "b") & (table["source"] == "a")]
    assert best["try"].tolist() == [0]
    assert best["p_target"].item() == pytest.approx(0.40)
    assert (kept[0, 1] == to_pixels(torch.tensor(0.0), 2.0, -1.0).item()).all()


@pytest.mark.parametrize(
    ("batch_size", "device"),
    [(1, "cpu"), (3, "cpu"), (5, "cpu"), (64, "cpu"), pytest.param(4, "cuda", marks=pytest.mark.gpu)],
)
def test_batch_size_and_device_do_not_change_the_numbers(store, tmp_path, batch_size, device):
    keys = ["kind", "query", "target", "try"]
    networks = build_networks(tiny_config().model, 4).eval().requires_grad_(False)

    def run(size, device):
        converter = converter_of(copy.deepcopy(networks).to(device), CLASSES, device)
        judged, styles = judge(tmp_path, device=torch.device(device)), styles_of(converter, store, size)
        return convert(converter, judged, store, styles, tries=2, batch_size=size).sort_values(keys)

    one, other = run(4, "cpu").reset_index(drop=True), run(batch_size, device).reset_index(drop=True)
    pd.testing.assert_frame_equal(
        one.drop(columns=["predicted", "query_predicted", "best", "batch"]),
        other.drop(columns=["predicted", "query_predicted", "best", "batch"]),
        # A value near the border of two levels is rounded to either. (A GPU multiplies in TF32.)
        atol=1e-4 if device == "cpu" else 5e-3,
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_errors_although_images_are_clamped(store, tmp_path, value):
    class Broken(Stub):
        def render(self, *given):
            images = super().render(*given).clone()
            images[..., 0, 0] = value
            return images

    with pytest.raises(QuacError, match="NaN or infinity"):
        convert(Broken(), judge(tmp_path), store, {"latent": StubStyles()}, tries=2, batch_size=4)


def test_a_probability_of_two_classes_sums_to_one(tmp_path):
    store = make_store(tmp_path, {"a": 3, "b": 2})
    judged = judge(tmp_path, Brightness(), ["a", "b"])
    table = convert(Stub(["a", "b"]), judged, store, {"latent": StubStyles()}, tries=2, batch_size=4)
    np.testing.assert_allclose(table["p_source"] + table["p_target"], 1, atol=1e-6)


@pytest.fixture
def oblong(tmp_path):
    """Queries of four sizes, two of each, in two classes."""
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number, size in enumerate([(32, 32), (48, 32), (32, 64), (62, 33)] * 2):
            pixels = np.random.default_rng([number, *name.encode()]).integers(0, 256, size[::-1], np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    index = make_index(tmp_path / "index.parquet", tmp_path / "images")
    build_store(tmp_path / "pixels.store", index, storing(preprocess="none"), "train")
    return Store.open(tmp_path / "pixels.store", tmp_path / "index.parquet")


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_images_of_many_sizes_are_converted_whole(oblong, tmp_path, batch_size):
    torch.manual_seed(0)
    networks = build_networks(tiny_config().model, 2).eval().requires_grad_(False)
    converter = converter_of(networks, "ab")
    styles, kept = styles_of(converter, oblong, batch_size), {}
    table = convert(
        *(converter, judge(tmp_path, Brightness(), ["a", "b"]), oblong, styles),
        tries=2,
        batch_size=batch_size,
        on_best=lambda *place: kept.update({place[:2]: place[3]}),
    )
    assert len(table) == 16 * 2 * 2
    assert set(map(tuple, oblong.shapes.tolist())) == {(1, 32, 32), (1, 32, 48), (1, 64, 32), (1, 34, 62)}
    for (kind, row), image in kept.items():
        assert image.shape == tuple(oblong.shapes[row])
        best = table[(table["query"] == oblong.paths[row]) & table["best"] & (table["kind"] == kind)].iloc[0]
        x = load(oblong, [row], CPU, 2.0, -1.0)
        style, _ = styles[kind].draw([best["digest"]], 1 - oblong.labels[row], best["try"])
        alone = as_written(networks["generator"](x, style), 2.0, -1.0, torch.uint8)
        assert (alone - x).abs().mean().item() == pytest.approx(best["l1"], abs=5e-5)
        assert abs(to_pixels(alone, 2.0, -1.0)[0].numpy().astype(int) - image).max() <= 1


def test_the_style_of_an_oblong_reference_is_that_of_its_square(oblong):
    networks = build_networks(tiny_config().model, 2).eval().requires_grad_(False)
    styles = styles_of(converter_of(networks, "ab"), oblong)["reference"]
    drawn, names = styles.draw([str(number) for number in range(40)], 0, 0)
    assert len(set(names)) == 8
    for style, name in zip(drawn, names, strict=True):
        image = load(oblong, [oblong.paths.tolist().index(name)], CPU, 2.0, -1.0)
        image = torch.nn.functional.interpolate(image, size=(32, 32), mode="bilinear", antialias=True)
        torch.testing.assert_close(style, networks["style_encoder"](image, torch.tensor([0]))[0], rtol=1e-4, atol=1e-5)


def test_generated_images_have_the_depth_of_the_data(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        levels = np.random.default_rng(0).integers(0, 65536, (32, 32)).astype(np.uint16)
        Image.fromarray(levels).save(tmp_path / "images" / name / "0.png")
    index = make_index(tmp_path / "index.parquet", tmp_path / "images")
    build_store(tmp_path / "pixels.store", index, tiny_config(), "train")
    deep = Store.open(tmp_path / "pixels.store", tmp_path / "index.parquet")
    who = judge(tmp_path, Brightness(), ["a", "b"])
    with BestImages(tmp_path / "out", deep) as write:
        table = convert(Stub(["a", "b"]), who, deep, {"latent": StubStyles()}, tries=2, batch_size=4, on_best=write)
    written = np.asarray(Image.open(tmp_path / "out" / "a" / "b" / "0.png")).astype(int)
    x = load(deep, [0], CPU, 2.0, -1.0)
    best = table[table["best"] & (table["source"] == "a")].iloc[0]
    level = 0.1 * x.mean().item() + (-0.25 if best["try"] == 0 else -0.75)
    assert abs(written - (level + 1) / 2 * 65535).max() <= 1
