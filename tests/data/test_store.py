from types import SimpleNamespace

import numpy as np
import pytest
from builders import make_store
from PIL import Image

from quac.data.images import to_pixels
from quac.data.store import Store, build_store
from quac.errors import QuacError
from quac.tables import read_table


def test_the_store_holds_every_image_in_the_order_of_the_index(tmp_path):
    store = make_store(tmp_path, {"across": 3, "along": 2}, size=64, channels=3)
    assert store.pixels.shape == (5, 3, 64, 64)
    assert store.pixels.dtype == np.uint8
    assert isinstance(store.pixels, np.memmap)
    assert store.labels.tolist() == [0, 0, 0, 1, 1]
    assert store.rows_of(1).tolist() == [3, 4]
    for row, path in enumerate(store.paths):
        expected = to_pixels(Image.open(f"{store.source}/{path}"), 64, 3)
        assert (store.pixels[row] == expected).all()


def test_the_store_does_not_depend_on_the_number_of_threads(tmp_path):
    make_store(tmp_path, {"across": 20, "along": 20})
    build_store(tmp_path / "again.store", read_table(tmp_path / "index.parquet"), 32, 1, threads=4)
    assert (tmp_path / "again.store").read_bytes() == (tmp_path / "pixels.store").read_bytes()


def test_an_image_lost_after_indexing_is_named(tmp_path):
    make_store(tmp_path, {"across": 2})
    (tmp_path / "images/across/across-01.png").unlink()
    with pytest.raises(QuacError, match=r"across/across-01\.png: does not exist"):
        build_store(tmp_path / "again.store", read_table(tmp_path / "index.parquet"), 32, 1)
    assert not (tmp_path / "again.store").exists()


def test_a_store_that_is_not_of_its_index_is_refused(tmp_path):
    make_store(tmp_path / "a", {"across": 2})
    make_store(tmp_path / "b", {"across": 3})
    with pytest.raises(QuacError, match="holds 2 images"):
        Store.open(tmp_path / "a/pixels.store", tmp_path / "b/index.parquet")


def test_a_store_of_another_size_or_other_classes_is_refused(tmp_path):
    store, model = make_store(tmp_path, {"a": 2, "b": 2}), SimpleNamespace(img_size=32, input_dim=1)
    store.require(model, ["a", "b"])
    for img_size, classes in ((64, ["a", "b"]), (32, ["b", "a"])):
        with pytest.raises(QuacError, match=r"is stored as .* run the same command again"):
            store.require(SimpleNamespace(img_size=img_size, input_dim=1), classes)


def test_torn_files_are_named(tmp_path):
    make_store(tmp_path, {"across": 2})
    for name in ("pixels.store", "index.parquet"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(QuacError, match=rf"{name}: cannot be read .* delete it and run the same command again"):
            Store.open(tmp_path / "pixels.store", tmp_path / "index.parquet")
        (tmp_path / name).write_bytes(whole)
