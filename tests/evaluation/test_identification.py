"""Whether a generated image is nearer to its own query than to the other queries of its class."""

import hashlib
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.builders import make_index, make_store, storing, write_images
from helpers.image_files import noise
from PIL import Image

from quac.conversion.engine import QueryBatch, TryBatch
from quac.data.batches import load
from quac.data.store import Store, build_store
from quac.evaluation.identification import Identification

CPU = torch.device("cpu")
CONVERTER = SimpleNamespace(info=SimpleNamespace(scale=2.0, shift=-1.0), device=CPU, prepare=lambda x: x)


def images_of(store, rows):
    return load(store, rows, CPU, 2.0, -1.0)


def identified(store, images, rows, seed=0):
    """Of images (rows, C, H, W), a single try of each query; the queries have one class and one size."""
    queries = QueryBatch(CONVERTER, images_of(store, rows), store.digests[rows], int(store.labels[rows[0]]))
    [found] = Identification(store, CONVERTER, seed)(TryBatch(queries, 1, [], [images], [images], []))
    assert found["identified"].dtype == torch.float32
    return found["identified"].tolist()


def by_hand(store, x, image, row, seed=0):
    """By the distances to the query and 99 others of its class, the first in the order of draws; x: all images."""
    others = [other for other in store.rows_of(store.labels[row]) if other != row]
    others.sort(key=lambda other: hashlib.sha256(f"{seed}\0{store.digests[other]}".encode()).digest())
    distances = (x[[row, *others[:99]]] - image).abs().mean((1, 2, 3))
    return float(distances[0] < distances[1:].min())


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store"), {"across": 120, "along": 3, "disc": 1})


def test_a_query_is_identified_by_itself(store):
    for label in range(3):
        rows = store.rows_of(label)
        assert identified(store, images_of(store, rows), rows) == [1] * len(rows)


def test_an_image_that_is_another_query_is_not_identified(store):
    rows = store.rows_of(1)
    assert identified(store, images_of(store, np.roll(rows, 1)), rows) == [0, 0, 0]


def test_images_of_other_classes_are_no_candidates(store):
    """The only query of its class is identified, whatever it became."""
    assert identified(store, images_of(store, store.rows_of(1)[:1]), store.rows_of(2)) == [1]


def test_a_known_mix(store):
    """Between two queries: nearer to the own one up to the middle, where it is a tie, which does not count."""
    (own, other), shares = store.rows_of(1)[:2], [0.0, 0.25, 0.49, 0.5, 0.51, 1.0]
    a, b = torch.where(images_of(store, [own, other]) > 0, 1.0, -1.0)  # so that the middle is exact
    pixels = ((torch.stack([a, b]) + 1) * 127.5).to(torch.uint8).numpy()
    flat, ends = store.flat.copy(), store.ends
    for row, image in zip((own, other), pixels, strict=True):
        flat[ends[row] - image.size : ends[row]] = image.ravel()
    changed = Store(**{**vars(store), "flat": flat})
    images = torch.stack([torch.lerp(a, b, share) for share in shares])
    assert identified(changed, images, np.repeat(own, 6)) == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("seed", [0, 1])
def test_of_a_large_class_the_candidates_are_the_query_and_99_drawn_ones(store, seed):
    """Images are nearest to the query after theirs; where that is none of the candidates, they are identified."""
    pixels = np.random.default_rng(0).integers(0, 256, store.flat.shape).astype(np.uint8)
    unlike, rows = Store(**{**vars(store), "flat": pixels}), store.rows_of(0)
    x = images_of(unlike, range(len(unlike)))
    mixed = torch.lerp(x[rows], x[np.roll(rows, 1)], 0.6)
    found = identified(unlike, mixed, rows, seed)
    assert found == [by_hand(unlike, x, image, row, seed) for row, image in zip(rows, mixed, strict=True)]
    assert sum(found) in (20, 21)  # of 120: 100 are candidates, one of them only if the query itself is one
    assert found != identified(unlike, mixed, rows, seed + 7)


def test_large_images_are_averaged_down(tmp_path):
    """Fine noise is averaged away, so that what is seen at 32 pixels tells."""
    coarse = [noise(number, 32, 32).repeat(4, 0).repeat(4, 1) for number in range(4)]
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number, pixels in enumerate(coarse):
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    index = make_index(tmp_path / "index.parquet", tmp_path / "images")
    build_store(tmp_path / "pixels.store", index, storing(128), "train")
    store = Store.open(tmp_path / "pixels.store", tmp_path / "index.parquet")
    rows = store.rows_of(0)
    x = images_of(store, rows)
    small = Identification(store, CONVERTER).small(x)
    torch.testing.assert_close(small, x.reshape(4, 32, 4, 32, 4).mean((2, 4)).flatten(1))
    checkered = x + 5 * (torch.arange(128) % 2 * 2 - 1)
    assert identified(store, checkered, rows) == [1] * 4


def test_queries_of_many_sizes_are_compared_on_one_square(tmp_path):
    sizes = [(48, 32), (32, 48), (64, 64), (16, 32), (48, 32)]
    for name in ("a", "b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number, size in enumerate(sizes):
            Image.fromarray(noise(number, *size)).save(tmp_path / "images" / name / f"{number}.png")
    index = make_index(tmp_path / "index.parquet", tmp_path / "images")
    build_store(tmp_path / "pixels.store", index, storing(preprocess="none"), "train")
    store = Store.open(tmp_path / "pixels.store", tmp_path / "index.parquet")
    assert Identification(store, CONVERTER).side == 16
    for row in store.rows_of(0):
        assert identified(store, images_of(store, [row]), np.array([row])) == [1]
    assert identified(store, images_of(store, [4]), np.array([0])) == [0]


def test_copies_of_a_file_are_the_query(tmp_path):
    write_images(tmp_path / "images", {"a": 3, "b": 1})
    shutil.copy(tmp_path / "images/a/a-00.png", tmp_path / "images/a/copy.png")
    index = make_index(tmp_path / "index.parquet", tmp_path / "images")
    build_store(tmp_path / "pixels.store", index, storing(), "train")
    store = Store.open(tmp_path / "pixels.store", tmp_path / "index.parquet")
    rows = store.rows_of(0)
    assert identified(store, images_of(store, rows), rows) == [1] * 4
