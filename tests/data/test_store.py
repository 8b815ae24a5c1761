from types import SimpleNamespace

import numpy as np
import pytest
from builders import make_index, make_store, reading, storing
from files import broken, deep_png, kinds, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from quac.data.images import read_image, resize, to_channels, to_depth
from quac.data.store import Store, build_store
from quac.errors import QuacError
from quac.tables import read_table


def expected(path, size, channels, depth=np.uint8):
    pixels = to_channels(read_image(path, reading())[0], channels)
    return to_depth(resize(pixels, size, size), depth).transpose(2, 0, 1)


def test_the_store_holds_every_image_in_the_order_of_the_index(tmp_path):
    store = make_store(tmp_path, {"across": 3, "along": 2}, size=64, channels=3)
    assert store.flat.dtype == np.uint8
    assert isinstance(store.flat, np.memmap)
    assert store.images([4, 0]).shape == (2, 3, 64, 64)
    assert store.labels.tolist() == [0, 0, 0, 1, 1]
    assert store.rows_of(1).tolist() == [3, 4]
    for row, path in enumerate(store.paths):
        assert (store[row] == expected(f"{store.source}/{path}", 64, 3)).all()


@settings(max_examples=15, deadline=None)
@given(data=st.data(), channels=st.sampled_from([1, 3]), seed=st.integers(0, 1000))
def test_any_mix_of_files_is_stored_as_it_should_or_the_file_is_named(tmp_path_factory, data, channels, seed):
    folder = tmp_path_factory.mktemp("mix")
    (folder / "images/a").mkdir(parents=True)
    good, bad = kinds(folder / "images/a", seed), broken(folder / "images/a")
    every = sorted([*good, *bad])
    kept = data.draw(st.lists(st.sampled_from(every), min_size=1, max_size=6, unique=True))
    for path in set(every) - set(kept):
        path.unlink()
    index = make_index(folder / "index.parquet", folder / "images")
    assert set(index[index["error"] != ""]["path"]) == {f"a/{path.name}" for path in bad if path in kept}
    if set(kept) & set(bad):
        with pytest.raises(QuacError) as error:
            build_store(folder / "pixels.store", index, storing(32, channels))
        assert any(f"{path}: " in str(error.value) for path in bad if path in kept)
        return
    build_store(folder / "pixels.store", index, storing(32, channels))
    store = Store.open(folder / "pixels.store", folder / "index.parquet")
    depth = np.uint16 if any("deep" in path.name for path in kept) else np.uint8
    assert store.flat.dtype == depth
    for row, path in enumerate(store.paths):
        assert (store[row] == expected(folder / "images" / path, 32, channels, depth)).all()


def test_16_bits_stay_16_bits_and_8_beside_them_the_same_intensities(tmp_path):
    (tmp_path / "images/a").mkdir(parents=True)
    deep, plain = noise(0, 32, 32, 1, dtype=np.uint16), noise(1, 32, 32)
    deep_png(tmp_path / "images/a/a.png", deep)
    Image.fromarray(plain).save(tmp_path / "images/a/b.png")
    build_store(tmp_path / "pixels.store", make_index(tmp_path / "index.parquet", tmp_path / "images"), storing())
    store = Store.open(tmp_path / "pixels.store", tmp_path / "index.parquet")
    assert (store[0][0] == deep[:, :, 0]).all()
    assert (store[1][0] == plain.astype(int) * 257).all()


def test_images_of_many_sizes_are_read_back_bit_for_bit(tmp_path):
    """The file's own format, as its docstring says it, written by hand."""
    images = [noise(seed, 3, height, width) for seed, (height, width) in enumerate([(2, 5), (7, 1), (4, 4)])]
    with open(tmp_path / "pixels.store", "wb") as file:
        np.save(file, np.array([image.shape for image in images]))
        np.save(file, np.concatenate([image.ravel() for image in images]))
    (tmp_path / "images/a").mkdir(parents=True)
    for number in range(3):
        Image.fromarray(noise(number, 4, 4)).save(tmp_path / f"images/a/{number}.png")
    make_index(tmp_path / "index.parquet", tmp_path / "images")
    store = Store.open(tmp_path / "pixels.store", tmp_path / "index.parquet")
    for row, image in enumerate(images):
        assert (store[row] == image).all()


def test_the_store_does_not_depend_on_the_number_of_processes(tmp_path):
    make_store(tmp_path, {"across": 90, "along": 90})
    build_store(tmp_path / "again.store", read_table(tmp_path / "index.parquet"), storing(), workers=3)
    assert (tmp_path / "again.store").read_bytes() == (tmp_path / "pixels.store").read_bytes()


@pytest.mark.parametrize("workers", [1, 2])
def test_an_image_lost_after_indexing_is_named(tmp_path, workers):
    make_store(tmp_path, {"across": 130})
    (tmp_path / "images/across/across-129.png").unlink()
    with pytest.raises(QuacError, match=r"across/across-129\.png: does not exist"):
        build_store(tmp_path / "again.store", read_table(tmp_path / "index.parquet"), storing(), workers)
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
