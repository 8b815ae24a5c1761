import numpy as np
import pytest
from helpers.builders import make_index, make_store, reading, restricted_config, storing
from helpers.image_files import broken, deep_png, kinds, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from quac.config.training import Model
from quac.data.images import read_image, resize, to_channels, to_depth, write_png
from quac.data.store import Store, build_store, evenly_spaced, open_stores
from quac.system.errors import QuacError
from quac.system.tables import read_table


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
def test_any_mix_of_files_is_stored_correctly_or_the_unusable_file_is_named(tmp_path_factory, data, channels, seed):
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
            build_store(folder / "pixels.store", index, storing(32, channels), "train")
        assert any(f"{path}: " in str(error.value) for path in bad if path in kept)
        return
    build_store(folder / "pixels.store", index, storing(32, channels), "train")
    store = Store.open(folder / "pixels.store", folder / "index.parquet")
    depth = np.uint16 if any("deep" in path.name for path in kept) else np.uint8
    assert store.flat.dtype == depth
    for row, path in enumerate(store.paths):
        assert (store[row] == expected(folder / "images" / path, 32, channels, depth)).all()


def test_8_bit_images_keep_their_intensities_in_a_store_of_16_bits(tmp_path):
    (tmp_path / "images/a").mkdir(parents=True)
    deep, plain = noise(0, 32, 32, 1, dtype=np.uint16), noise(1, 32, 32)
    deep_png(tmp_path / "images/a/a.png", deep)
    Image.fromarray(plain).save(tmp_path / "images/a/b.png")
    build_store(
        tmp_path / "pixels.store", make_index(tmp_path / "index.parquet", tmp_path / "images"), storing(), "train"
    )
    store = Store.open(tmp_path / "pixels.store", tmp_path / "index.parquet")
    assert (store[0][0] == deep[:, :, 0]).all()
    assert (store[1][0] == plain.astype(int) * 257).all()


def test_images_of_many_sizes_are_read_back_bit_for_bit(tmp_path):
    """The file format in the docstring of the module, written by hand."""
    images = [noise(seed, 3, height, width) for seed, (height, width) in enumerate([(2, 5), (7, 1), (4, 4)])]
    with open(tmp_path / "pixels.store", "wb") as file:
        np.save(file, np.array([image.shape for image in images]))
        np.save(file, 0)
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
    build_store(tmp_path / "again.store", read_table(tmp_path / "index.parquet"), storing(), "train", workers=3)
    assert (tmp_path / "again.store").read_bytes() == (tmp_path / "pixels.store").read_bytes()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_lost_after_indexing_is_named(tmp_path, workers):
    make_store(tmp_path, {"across": 130})
    (tmp_path / "images/across/across-129.png").unlink()
    with pytest.raises(QuacError, match=r"across/across-129\.png: does not exist"):
        build_store(tmp_path / "again.store", read_table(tmp_path / "index.parquet"), storing(), "train", workers)
    assert not (tmp_path / "again.store").exists()


def test_a_store_of_another_index_is_refused(tmp_path):
    make_store(tmp_path / "a", {"across": 2})
    make_store(tmp_path / "b", {"across": 3})
    with pytest.raises(QuacError, match="holds 2 images"):
        Store.open(tmp_path / "a/pixels.store", tmp_path / "b/index.parquet")


def model(img_size, input_dim=1):
    return Model(img_size=img_size, input_dim=input_dim)


def test_a_store_of_another_size_or_other_classes_is_refused(tmp_path):
    store = make_store(tmp_path, {"a": 2, "b": 2})
    store.require(model(32), ["a", "b"], squares=True)
    store.require(model(64), ["a", "b"])  # conversion takes any multiple of 64 / 16
    refused = [(model(32), ["b", "a"], False), (model(32, 3), ["a", "b"], False), (model(1024), ["a", "b"], False)]
    for wanted, classes, squares in [*refused, (model(64), ["a", "b"], True)]:
        with pytest.raises(QuacError, match=r"is stored as .* Run the workflow again"):
            store.require(wanted, classes, squares)


MODES = [
    # (mode, load_size, width and height of a file, stored width and height)
    ("resize", None, (50, 40), (32, 32)),
    ("resize_and_crop", 40, (50, 40), (40, 40)),
    ("resize_and_center_crop", 40, (50, 40), (32, 32)),
    ("crop", None, (50, 40), (50, 40)),
    ("center_crop", None, (50, 40), (32, 32)),
    ("scale_width", 64, (50, 40), (64, 52)),  # 51.2, to the nearest even number: a multiple of 32 / 16
    ("scale_width_and_crop", 48, (50, 40), (48, 38)),
    ("scale_shortside", None, (50, 40), (40, 32)),
    ("scale_shortside", None, (40, 50), (32, 40)),
    ("scale_shortside_and_crop", None, (40, 51), (32, 41)),
    ("none", None, (51, 40), (52, 40)),
    ("none", None, (3, 1), (4, 4)),  # the smallest that the generator takes
]


@pytest.mark.parametrize(("mode", "load_size", "size", "stored"), MODES)
def test_images_are_scaled_and_cropped_by_the_preprocess_mode(tmp_path, mode, load_size, size, stored):
    (tmp_path / "images/a").mkdir(parents=True)
    picture = Image.fromarray(noise(0, 3, *reversed(size)).transpose(1, 2, 0))
    picture.save(tmp_path / "images/a/one.png")
    index = make_index(tmp_path / "index.parquet", tmp_path / "images")
    build_store(tmp_path / "pixels.store", index, storing(channels=3, preprocess=mode, load_size=load_size), "train")
    store = Store.open(tmp_path / "pixels.store", tmp_path / "index.parquet")
    assert store[0].shape == (3, *reversed(stored))
    assert store.crop_size == (32 if mode.endswith("crop") and not mode.endswith("center_crop") else None)
    scaled = {"resize_and_center_crop": (40, 40), "center_crop": size}.get(mode, stored)
    expected = picture.resize(scaled, Image.Resampling.BICUBIC) if scaled != size else picture
    if "center" in mode:
        left, top = ((length - 32) // 2 for length in scaled)
        expected = expected.crop((left, top, left + 32, top + 32))
    assert (store[0] == np.asarray(expected).transpose(2, 0, 1)).all()


def test_images_smaller_than_the_crop_are_named(tmp_path):
    (tmp_path / "images/a").mkdir(parents=True)
    for name, size in (("good", (40, 32)), ("flat", (40, 31))):
        Image.new("L", size).save(tmp_path / f"images/a/{name}.png")
    index = make_index(tmp_path / "index.parquet", tmp_path / "images")
    with pytest.raises(QuacError, match=r"1 image\(s\) are smaller than the crop of 32 pixels(.|\n)*a/flat.png: 40x31"):
        build_store(tmp_path / "pixels.store", index, storing(preprocess="crop"), "train")


def test_images_scaled_beyond_the_limit_are_named(tmp_path):
    (tmp_path / "images/a").mkdir(parents=True)
    Image.new("L", (900, 1)).save(tmp_path / "images/a/line.png")
    index = make_index(tmp_path / "index.parquet", tmp_path / "images")
    wanted = storing(preprocess="scale_shortside_and_crop", load_size=40, max_pixels=10**6)
    with pytest.raises(QuacError, match=r"a/line.png: 900x1 is scaled to 36000x40"):
        build_store(tmp_path / "pixels.store", index, wanted, "train")


def test_an_image_of_another_size_than_when_it_was_indexed_is_named(tmp_path):
    make_store(tmp_path, {"across": 3})
    Image.new("L", (44, 44)).save(tmp_path / "images/across/across-00.png")
    with pytest.raises(QuacError, match=r"across-00\.png: has changed since it was indexed"):
        build_store(
            tmp_path / "again.store", read_table(tmp_path / "index.parquet"), storing(preprocess="crop"), "train"
        )


def test_a_batch_is_no_larger_than_there_are_images_of_its_size(tmp_path):
    (tmp_path / "images/a").mkdir(parents=True)
    for number, size in enumerate([32] * 5 + [64]):
        Image.new("L", (size, 32)).save(tmp_path / f"images/a/{number}.png")
    index = make_index(tmp_path / "index.parquet", tmp_path / "images")
    build_store(tmp_path / "pixels.store", index, storing(preprocess="none"), "train")
    store = Store.open(tmp_path / "pixels.store", tmp_path / "index.parquet")
    assert [store.batch_size(row, 16) for row in (0, 5)] == [4, 1]
    assert make_store(tmp_path / "one", {"a": 5}).batch_size(0, 16) == 16


def test_evenly_spaced_rows():
    rows = np.arange(10, 20)
    assert evenly_spaced(rows, 4).tolist() == [10, 13, 16, 19]
    assert evenly_spaced(rows[:2], 4).tolist() == [10, 11]
    assert evenly_spaced(rows[:0], 4).tolist() == []


def test_truncated_files_are_named(tmp_path):
    make_store(tmp_path, {"across": 2})
    for name in ("pixels.store", "index.parquet"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(QuacError, match=rf"{name}: cannot be read .* Delete it and run the workflow again"):
            Store.open(tmp_path / "pixels.store", tmp_path / "index.parquet")
        (tmp_path / name).write_bytes(whole)


def test_a_split_is_stored_by_the_settings_of_its_key(tmp_path):
    (tmp_path / "images/a").mkdir(parents=True)
    Image.fromarray(noise(0, 40, 50)).save(tmp_path / "images/a/one.png")
    index = make_index(tmp_path / "index.parquet", tmp_path / "images")
    for split, shape in (("train", (1, 32, 32)), ("test", (1, 40, 50))):
        config = restricted_config("store", split, test_data={"source": "x", "preprocess": "none"})
        assert config.data.img_size == 32
        build_store(tmp_path / "pixels.store", index, config, split)
        store = open_stores([tmp_path / "pixels.store"], [tmp_path / "index.parquet"])["train"]
        assert store[0].shape == shape
        assert store.details is None


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_the_training_split_has_larger_images_for_random_crops(tmp_path, depth):
    (tmp_path / "images/a").mkdir(parents=True)
    pixels = (np.arange(50 * 60).reshape(50, 60) * (np.iinfo(depth).max // 3000 or 1)).astype(depth)
    write_png(tmp_path / "images/a/one.png", pixels[:, :, None])
    index = make_index(tmp_path / "index.parquet", tmp_path / "images")
    crops, stores = {"augment": {"crop_probability": 0.5}}, {}
    for split, data in (("train", {}), ("train", crops), ("test", crops)):
        config = restricted_config("store", split, data=data)
        build_store(tmp_path / f"{split}{len(data)}.store", index, config, split)
        stores[split, len(data)] = Store.open(tmp_path / f"{split}{len(data)}.store", tmp_path / "index.parquet")
    plain, cropped, test = stores.values()
    assert (plain.details, test.details) == (None, None)
    assert (cropped[0] == plain[0]).all()
    assert (cropped.details.flat.reshape(50, 60) == pixels).all()
    whole = cropped.zooms([0], np.zeros((2, 1), int), np.array([[0], [0], [1], [1]]), 32)
    assert whole.dtype == depth
    assert (whole[0] == plain[0]).all()
