from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from helpers.builders import make_index, make_store, storing, tiny_config
from PIL import Image

from quac.data.augment import DRAWS, augment
from quac.data.batches import DeviceCache, TrainingBatches, as_written, load, to_pixels, to_range
from quac.data.store import Store, build_store
from quac.system.errors import QuacError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store"), {"across": 20, "along": 3, "disc": 2})


def batches(store, seed=0, pairs=True, device_cache="auto", **data):
    config = tiny_config(data={"batch_size": 64, **data})
    return TrainingBatches(store, config.data, 4, seed, CPU, pairs, device_cache)


def test_every_pixel_survives_the_way_to_the_networks_and_back():
    pixels = torch.arange(256, dtype=torch.uint8)
    for scale, shift in ((2.0, -1.0), (1.0, 0.0), (4.0, 0.5)):
        assert (to_pixels(to_range(pixels, scale, shift), scale, shift) == pixels).all()
    assert to_range(pixels, 2.0, -1.0).aminmax() == (-1, 1)
    deep = torch.arange(65536, dtype=torch.int32).to(torch.uint16)
    assert to_range(deep, 2.0, -1.0).aminmax() == (-1, 1)
    assert len(to_range(deep, 2.0, -1.0).unique()) == 65536
    assert (to_pixels(to_range(deep, 2.0, -1.0), 2.0, -1.0, torch.uint16) == deep).all()
    # Values outside the range are clamped; an image without a negative value is not stretched (QuAC does both).
    assert to_pixels(torch.tensor([-9.0, 0.5, 9.0]), 2.0, -1.0).tolist() == [0, 191, 255]


@pytest.mark.parametrize("depth", [torch.uint8, torch.uint16])
@pytest.mark.parametrize(("scale", "shift"), [(2.0, -1.0), (1.0, 0.0), (-4.0, 0.5)])
def test_an_image_as_written_is_clamped_rounded_and_read_back_the_same(depth, scale, shift):
    levels = torch.iinfo(depth).max
    x = torch.tensor([-0.4, 0.0, 0.3 / levels, 0.6 / levels, 7.4 / levels, 1.0, 1.7])
    written = as_written(x * scale + shift, scale, shift, depth)
    expected = torch.tensor([0, 0, 0, 1 / levels, 7 / levels, 1, 1]) * scale + shift
    torch.testing.assert_close(written, expected, rtol=0, atol=1e-6)
    assert torch.equal(to_range(to_pixels(written, scale, shift, depth), scale, shift), written)
    assert torch.equal(as_written(written, scale, shift, depth), written)
    odd = torch.tensor([torch.nan, torch.inf, -torch.inf, 0.0])
    assert as_written(odd, scale, shift, depth).isnan().tolist() == [True, True, True, False]


def test_a_batch_is_a_function_of_seed_and_step(store):
    again, other = batches(store), batches(store, seed=1)
    first = batches(store)[3]
    for name, value in vars(first).items():
        assert torch.equal(value, getattr(again[3], name)), name
        assert not torch.equal(value, getattr(again[4], name)), name
        assert not torch.equal(value, getattr(other[3], name)), name


def test_leaving_out_pairs_changes_nothing_else(store):
    with_pairs, without = batches(store)[0], batches(store, pairs=False)[0]
    assert without.x_ref2 is None
    assert without.z_trg2 is None
    assert torch.equal(with_pairs.x_ref, without.x_ref)
    assert torch.equal(with_pairs.z_trg, without.z_trg)


def test_classes_are_drawn_evenly_and_images_belong_to_them(store):
    batch = batches(store, batch_size=3000)[0]
    for labels in (batch.y_org, batch.y_trg):
        assert (labels.bincount() / 3000 - 1 / 3).abs().max() < 0.04
    by_image = {load(store, [row], CPU, 2.0, -1.0).numpy().tobytes(): store.labels[row] for row in range(len(store))}
    for images, labels in ((batch.x_real, batch.y_org), (batch.x_ref, batch.y_trg), (batch.x_ref2, batch.y_trg)):
        assert [by_image[image[None].numpy().tobytes()] for image in images] == labels.tolist()
    assert not (batch.x_ref == batch.x_ref2).flatten(1).all(1).any()


def test_flips_are_drawn_independently_for_each_image():
    images = torch.rand(400, 1, 4, 4)
    data = tiny_config(data={"augment": {"hflip": 0.5, "vflip": 0.25}}).data
    out = augment(images, data.augment, torch.from_numpy(np.random.default_rng(0).random((DRAWS, 400), np.float32)))
    kinds = torch.stack([(out == images.flip(dims)).flatten(1).all(1) for dims in ((), (3,), (2,), (2, 3))])
    assert (kinds.sum(0) == 1).all()
    assert (kinds.float().mean(1) - torch.tensor([0.375, 0.375, 0.125, 0.125])).abs().max() < 0.07


def test_no_augmentation_by_default():
    images = torch.rand(8, 1, 4, 4)
    data = tiny_config().data
    assert set(data.augment.model_dump().values()) == {0}
    assert augment(images, data.augment, torch.zeros(DRAWS, 8)) is images


def zoomable(folder, images, **options):
    """The store of images (arrays) of a training with random crops."""
    (folder / "images/a").mkdir(parents=True)
    for number, pixels in enumerate(images):
        Image.fromarray(pixels).save(folder / f"images/a/{number:03d}.png")
    index, config = make_index(folder / "index.parquet", folder / "images"), storing(**options)
    chances = config.data.augment.model_copy(update={"crop_probability": 0.5})
    config = config.model_copy(update={"data": config.data.model_copy(update={"augment": chances})})
    build_store(folder / "pixels.store", index, config, "train")
    return Store.open(folder / "pixels.store", folder / "index.parquet")


def test_crops_show_a_part_of_the_image_at_the_full_size(tmp_path):
    ramp = np.arange(128, dtype=np.uint8) + np.arange(96, dtype=np.uint8)[:, None]  # to the right, and down
    store = zoomable(tmp_path, [ramp] * 2)
    out = batches(store, batch_size=200, augment={"crop_probability": 0.5})[0].x_real
    cropped = (out != load(store, [0], CPU, 2.0, -1.0)).flatten(1).any(1)
    assert out.shape == (200, 1, 32, 32)
    assert abs(cropped.float().mean() - 0.5) < 0.1
    width = (out[cropped][:, 0, 0, -1] - out[cropped][:, 0, 0, 0]) / (
        out[~cropped][0, 0, 0, -1] - out[~cropped][0, 0, 0, 0]
    )
    assert 0.8 < width.min() < 0.9
    assert width.max() <= 1.01
    assert out[cropped][:, 0, 0, 0].amin() < -0.9
    assert out[cropped][:, 0, -1, -1].amax() > 0.7


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (64, {}),
        (300, {}),  # more than 4 times as large: kept at 128
        (64, {"preprocess": "resize_and_crop", "load_size": 40}),
        (64, {"preprocess": "resize_and_center_crop", "load_size": 40}),
    ],
)
def test_a_crop_is_as_sharp_as_an_image_that_is_not_cropped(tmp_path, size, options):
    rng = np.random.default_rng(0)
    store = zoomable(tmp_path, rng.integers(0, 256, (20, size, size), np.uint8), **options)
    plain, cropped = (batches(store, augment={"crop_probability": chance})[0].x_real for chance in (0, 1))
    assert 0.95 < cropped.var() / plain.var() < 1.6  # fewer pixels of the file are averaged
    assert not (plain == cropped).flatten(1).all(1).any()


def test_a_crop_is_of_the_image_and_place_that_was_drawn(tmp_path):
    """Smooth images of many sizes: a crop is nearly the same as one of the stored image, resized by Pillow."""
    y, x = np.mgrid[:70, :90]
    images = [(127 + 60 * np.sin(y / (9 + n)) + 60 * np.cos(x / (7 + n))).astype(np.uint8) for n in range(6)]
    store = zoomable(tmp_path, images, preprocess="scale_shortside_and_crop", load_size=40)
    rows, offsets = np.arange(6), np.array([np.arange(6), 2 * np.arange(6)])
    boxes = np.array([[0.05], [0.1], [0.9], [0.85]]).repeat(6, 1)
    for row, crop in zip(rows, store.zooms(rows, offsets, boxes, 32), strict=True):
        top, left = offsets[:, row] + 32 * boxes[1::-1, 0]
        box = (left, top, left + 32 * 0.9, top + 32 * 0.85)
        expected = Image.fromarray(store[row][0]).resize((32, 32), Image.Resampling.BICUBIC, box)
        assert np.abs(crop[0].astype(int) - np.asarray(expected)).max() < 12
        assert np.abs(crop[0].astype(int) - np.asarray(expected)).mean() < 2


def test_without_random_crops_the_store_holds_no_larger_images(tmp_path):
    image = np.zeros((64, 64), np.uint8)
    assert zoomable(tmp_path / "zoomable", [image]).details.shapes.tolist() == [[1, 64, 64]]
    store = make_store(tmp_path / "plain", {"a": 2})
    assert store.details is None
    with pytest.raises(QuacError, match=r"without the larger images for crops. Run the workflow again"):
        batches(store, augment={"crop_probability": 0.5})[0]


def test_rotations_are_by_quarters_with_equal_chances():
    images = torch.rand(600, 1, 4, 4)
    data = tiny_config(data={"augment": {"rot90": 0.75}}).data
    out = augment(images, data.augment, torch.from_numpy(np.random.default_rng(0).random((DRAWS, 600), np.float32)))
    turned = torch.stack([(out == images.rot90(turn, (2, 3))).flatten(1).all(1) for turn in range(4)])
    assert (turned.sum(0) == 1).all()
    assert (turned.float().mean(1) - 0.25).abs().max() < 0.06


def test_a_cache_keeps_16_bits():
    values = np.arange(32, dtype=np.uint16) * 2000

    class Deep:
        flat, shapes, ends = values, np.full((8, 3), (1, 2, 2)), np.arange(4, 33, 4)

    cache = DeviceCache(Deep(), CPU)
    addresses = torch.from_numpy(cache.addresses(np.array([7, 0]), np.zeros((2, 2), int)))
    assert (cache.crops(addresses, 2).numpy() == values.reshape(8, 1, 2, 2)[[7, 0]]).all()


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    """Images of many sizes, which are cropped to squares of 32 pixels at random."""
    folder, rng = tmp_path_factory.mktemp("larger"), np.random.default_rng(0)
    for name in ("a", "b"):
        (folder / "images" / name).mkdir(parents=True)
        for number in range(6):
            height, width = rng.integers(32, 60, 2)
            pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "images" / name / f"{number}.png")
    index = make_index(folder / "index.parquet", folder / "images")
    build_store(folder / "pixels.store", index, storing(channels=3, preprocess="crop"), "train")
    return Store.open(folder / "pixels.store", folder / "index.parquet")


def places_of(store, image):
    """Where an image of a batch was cut out: (row, top, left) of all squares that are the same."""
    pixels = to_pixels(image, 2.0, -1.0).numpy()
    found = []
    for row in range(len(store)):
        windows = np.lib.stride_tricks.sliding_window_view(store[row], (32, 32), (1, 2))
        same = (windows == pixels[:, None, None]).all((0, 3, 4))
        found += [(row, int(top), int(left)) for top, left in np.argwhere(same)]
    return found


def test_random_crops_are_squares_of_the_stored_images_anywhere_in_them(larger):
    batch = batches(larger, batch_size=40)[0]
    places = [places_of(larger, image) for image in batch.x_real]
    assert all(len(found) == 1 for found in places)
    assert [larger.labels[found[0][0]] for found in places] == batch.y_org.tolist()
    assert len({found[0] for found in places}) > 30
    room = larger.shapes[:, 1:] - 32
    shares = np.array([np.divide(found[0][1:], np.maximum(room[found[0][0]], 1)) for found in places])
    assert shares.min() < 0.2
    assert shares.max() > 0.8


@pytest.mark.parametrize("crops", [True, False])
def test_a_cache_of_images_of_many_sizes_changes_nothing(larger, store, crops):
    images = larger if crops else store
    mapped, cached = batches(images)[5], batches(images, device_cache="always")[5]
    for name, value in vars(mapped).items():
        assert torch.equal(value, getattr(cached, name)), name


def test_without_offsets_a_crop_is_from_the_middle(larger):
    x = load(larger, [3], CPU, 2.0, -1.0)
    _, height, width = larger.shapes[3]
    assert (3, (height - 32) // 2, (width - 32) // 2) in places_of(larger, x[0])


def test_batches_made_one_step_ahead_are_the_same(store):
    """What a thread prepares for a GPU, here for the CPU; also if steps are skipped or repeated."""
    ahead, plain = batches(store), batches(store)
    ahead.ahead = ThreadPoolExecutor(1)
    for step in (0, 1, 2, 7, 8, 8):
        for name, value in vars(plain[step]).items():
            assert torch.equal(value, getattr(ahead[step], name)), (step, name)


@pytest.mark.gpu
@pytest.mark.parametrize("choice", ["always", "never"])
def test_batches_on_a_gpu_are_those_of_the_cpu(store, choice):
    config = tiny_config(data={"batch_size": 64, "augment": {"hflip": 0.5, "rot90": 0.5}})
    gpu = TrainingBatches(store, config.data, 4, 0, torch.device("cuda"), device_cache=choice)
    cpu = TrainingBatches(store, config.data, 4, 0, CPU)
    for step in (0, 1, 5):
        for name, value in vars(cpu[step]).items():
            if value is not None:  # images to the last bit: a GPU divides by multiplying
                torch.testing.assert_close(getattr(gpu[step], name).cpu(), value, rtol=0, atol=1e-6)
