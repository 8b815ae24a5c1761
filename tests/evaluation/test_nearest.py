"""The nearest image is found exactly, whatever the order, the parts and the sizes."""

import numpy as np
import pytest
import torch
from helpers.builders import make_index, make_store, storing
from PIL import Image

from quac.data.batches import load
from quac.data.store import Store, build_store
from quac.evaluation import nearest
from quac.evaluation.nearest import l1_distances, mean_distances, nearest_images

CPU = torch.device("cpu")


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "store", {"across": 9, "along": 9})


@pytest.mark.parametrize("pixels", [2**24, 3 * 1024, 1])
def test_the_nearest_image_is_found_in_parts_of_any_size(store, monkeypatch, pixels):
    monkeypatch.setattr(nearest, "MAX_PIXELS", pixels)
    x, rows = load(store, store.rows_of(0)[:4], CPU, 2.0, -1.0), store.rows_of(1)
    distances = np.array([[np.abs(query.numpy() - (store[row] / 127.5 - 1)).mean() for row in rows] for query in x])
    images, found = nearest_images(x, store, rows, 2.0, -1.0)
    assert found.tolist() == rows[distances.argmin(1)].tolist()
    assert torch.equal(images, load(store, found, CPU, 2.0, -1.0))
    assert (images - x).abs().mean((1, 2, 3)).numpy() == pytest.approx(distances.min(1), abs=1e-5)
    assert mean_distances(x, store, rows, 2.0, -1.0).numpy() == pytest.approx(distances.mean(1), abs=1e-5)


def test_an_image_is_nearest_to_itself(store):
    rows = store.rows_of(0)
    x = load(store, rows, CPU, 2.0, -1.0)
    assert nearest_images(x, store, rows, 2.0, -1.0)[1].tolist() == rows.tolist()


def test_only_differences_inside_of_the_mask_count(store):
    rng = np.random.default_rng(0)
    x, mask = load(store, store.rows_of(0)[:3], CPU, 2.0, -1.0), torch.zeros(3, 1, 32, 32)
    rows = store.rows_of(1)
    candidates = load(store, rows, CPU, 2.0, -1.0)
    for query, number in enumerate(rng.permutation(9)[:3]):  # each query's own part is that of an image
        mask[query, :, : 8 + 8 * query] = 1
        x[query, :, : 8 + 8 * query] = candidates[number, :, : 8 + 8 * query]
        assert nearest_images(x, store, rows, 2.0, -1.0, mask)[1][query] == rows[number]
    literal = ((x[:, None] - candidates).abs() * mask[:, None]).mean((2, 3, 4))
    assert torch.allclose(l1_distances(x, candidates, mask), literal, atol=1e-6)


def test_images_of_other_sizes_are_resized(tmp_path):
    (tmp_path / "images/a").mkdir(parents=True)
    for number, (level, size) in enumerate([(10, (32, 32)), (120, (64, 48)), (250, (32, 64))]):
        Image.new("L", size, level).save(tmp_path / f"images/a/{number}.png")
    index = make_index(tmp_path / "index.parquet", tmp_path / "images")
    build_store(tmp_path / "pixels.store", index, storing(preprocess="none"), "train")
    store = Store.open(tmp_path / "pixels.store", tmp_path / "index.parquet")
    x = torch.stack([torch.full((1, 32, 48), level / 127.5 - 1) for level in (240, 100, 0)])
    images, found = nearest_images(x, store, store.rows_of(0), 2.0, -1.0)
    assert found.tolist() == [2, 1, 0]
    assert images.shape == x.shape
    assert images.mean((1, 2, 3)).numpy() == pytest.approx(np.array([250, 120, 10]) / 127.5 - 1, abs=1e-5)
