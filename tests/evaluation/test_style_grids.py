"""Each image of a grid is its row's query in its column's style."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.builders import (
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
from quac.data.batches import as_written, load, to_pixels
from quac.data.store import Store, build_store
from quac.evaluation.style_grids import QUERIES, STYLES, few_queries, make_grids
from quac.models.starganv2.networks import build_networks
from quac.system.errors import QuacError

CPU = torch.device("cpu")


class Levels(torch.nn.Module):
    """Three classes, by the mean of an image."""

    def forward(self, x):
        level = x.mean(dim=(1, 2, 3))[:, None]
        return torch.cat([-level, level, 0 * level], 1)


def grids_of(folder, store, converter=None, batch_size=3):
    """`(made, kept, networks, styles, judge)`: grids of untrained networks, and the images by their places."""
    torch.manual_seed(0)
    channels, classes = int(store.shapes[0, 0]), store.classes
    config = tiny_config(data={"grayscale": channels == 1})
    networks = build_networks(config.model, len(classes)).eval().requires_grad_(False)
    path = save_classifier(folder / "c.pt", Levels())
    judge = Judge(path, judging(), SimpleNamespace(img_size=32, input_dim=channels), classes, CPU)
    untrained, kept = converter_of(networks, classes, data={"grayscale": channels == 1}), {}
    styles = styles_of(untrained, store, batch_size)
    made = make_grids(
        *(converter or untrained, judge, store, styles),
        batch_size=batch_size,
        on_image=lambda image, *place: kept.update({place: image}),
    )
    return made, kept, networks, styles, judge


@pytest.fixture
def oblong(tmp_path):
    """Queries of three sizes in three classes, of 16 bits."""
    for name in ("a", "b", "c"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number, size in enumerate([(32, 32), (48, 32), (32, 64)]):
            rng = np.random.default_rng([number, *name.encode()])
            pixels = rng.integers(0, 65536, size[::-1]).astype(np.uint16)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    index = make_index(tmp_path / "index.parquet", tmp_path / "images")
    build_store(tmp_path / "pixels.store", index, storing(preprocess="none"), "train")
    return Store.open(tmp_path / "pixels.store", tmp_path / "index.parquet")


def require_literal(made, kept, networks, styles, judge, store):
    """Every image and number is that of one query and one style alone."""
    queries = [query["query"] for query in made["queries"]]
    assert [(grid["kind"], grid["target"]) for grid in made["grids"]] == [
        (kind, target) for kind in ("latent", "reference") for target in store.classes
    ]
    depth = torch.uint8 if store.flat.dtype == np.uint8 else torch.uint16
    seen = set()
    for grid in made["grids"]:
        label = store.classes.index(grid["target"])
        drawn, names = styles[grid["kind"]].shared(label, STYLES)
        assert grid["styles"] == names
        others = [number for number, query in enumerate(made["queries"]) if query["source"] != grid["target"]]
        assert [row["query"] for row in grid["rows"]] == others
        for row in grid["rows"]:
            x = load(store, [store.paths.tolist().index(queries[row["query"]])], CPU, 2.0, -1.0)
            for number, style in enumerate(drawn):
                image = as_written(networks["generator"](x, style[None]), 2.0, -1.0, depth)
                p = judge(image)[0]
                assert row["p_target"][number] == pytest.approx(p[label].item(), abs=5e-5)
                assert row["predicted"][number] == store.classes[p.argmax()]
                place = (grid["kind"], grid["target"], row["query"], number)
                expected = to_pixels(image, 2.0, -1.0, depth)[0].numpy()
                assert kept[place].dtype == expected.dtype
                assert kept[place].shape == expected.shape
                assert np.abs(kept[place].astype(int) - expected.astype(int)).max() <= 2
                seen.add(place)
    assert seen == kept.keys()


def test_images_of_many_sizes_and_16_bits(oblong, tmp_path):
    made, *rest = grids_of(tmp_path, oblong)
    assert len(made["queries"]) == QUERIES
    require_literal(made, *rest, oblong)


def test_colour_and_classes_of_few_images(tmp_path):
    store = make_store(tmp_path / "store", {"a": 1, "b": 2, "c": 9}, channels=3)
    made, *rest = grids_of(tmp_path, store, batch_size=16)
    assert [query["source"] for query in made["queries"]] == ["a", "b", "c", "b", "c", "c"]
    require_literal(made, *rest, store)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([100, 100], [0, 100, 33, 133, 66, 166, 99, 199]),
        ([100, 1], [0, 100, 33, 66, 99]),
        ([10] * 3, [0, 10, 20, 4, 14, 24, 9, 19]),
        ([10] * 8, [0, 10, 20, 30, 40, 50, 60, 70]),
        ([10] * 40, [0, 60, 110, 170, 220, 280, 330, 390]),
    ],
)
def test_queries_are_spread_over_the_classes_and_within_them(counts, expected):
    labels = np.repeat(np.arange(len(counts)), counts)
    store = SimpleNamespace(classes=[str(n) for n in range(len(counts))], rows_of=lambda n: np.flatnonzero(labels == n))
    assert few_queries(store).tolist() == expected


def test_nan_is_an_error(tmp_path):
    class Broken:
        info, device = SimpleNamespace(scale=2.0, shift=-1.0), CPU

        def prepare(self, x):
            return x

        def render(self, prepared, style, target):
            return prepared * float("nan")

    store = make_store(tmp_path / "store", {"a": 1, "b": 1, "c": 1})
    with pytest.raises(QuacError, match="NaN or infinity"):
        grids_of(tmp_path, store, Broken())
