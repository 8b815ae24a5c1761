"""Masks: of every depth, at the size of their image, hard or soft."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from helpers.builders import reading, restricted_config, storing
from helpers.image_files import deep_png
from PIL import Image

from quac.data.decoded import ImageError
from quac.data.masks import Masks, masks_of_stage, read_mask, soften
from quac.system.errors import QuacError

INSIDE = np.zeros((6, 8), bool)
INSIDE[1:4, 2:7] = True


def written(folder, name, values, **options):
    Image.fromarray(values).save(folder / name, **options)
    return folder / name


def values_of(path, width=8, height=6):
    mask = read_mask(path, width, height, reading())
    assert (mask.shape[2], mask.dtype) == (1, np.uint16)
    return mask[:, :, 0]


def test_the_highest_value_of_any_depth_is_inside(tmp_path):
    shallow, white = INSIDE * np.uint8(255), np.full((6, 8, 3), 255, np.uint8)
    deep_png(tmp_path / "deep.png", INSIDE[:, :, None] * np.uint16(65535))
    tifffile.imwrite(tmp_path / "float.tif", INSIDE.astype(np.float32))
    paths = [
        written(tmp_path, "bits.png", INSIDE),
        written(tmp_path, "grey.bmp", shallow),
        written(tmp_path, "colour.png", np.stack([shallow] * 3, 2)),
        written(tmp_path, "clear.png", np.concatenate([white, shallow[:, :, None]], 2)),
        tmp_path / "deep.png",
        tmp_path / "float.tif",
    ]
    for path in paths:
        assert np.array_equal(values_of(path), INSIDE * np.uint16(65535)), path
    assert values_of(written(tmp_path, "half.png", np.full((6, 8), 128, np.uint8)))[0, 0] == 128 * 257
    assert not values_of(written(tmp_path, "empty.png", 0 * shallow)).any()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((6, 6), 255, np.uint8), "has 6 x 6 pixels, but the image 8 x 6; give it the image's shape"),
        (np.full((8, 6), 255, np.uint8), "has 6 x 8 pixels, but the image 8 x 6"),
        (INSIDE.astype(np.uint8), "has no value above 1, but the inside is 255; save it with 0 and 255"),
        (INSIDE * np.uint16(255), "has no value above 255, but the inside is 65535"),
        (INSIDE * np.float32(255), "has values of 32 bits .* save it with 8 or 16 bits, or from 0.0 to 1.0"),
        (INSIDE * np.float32("nan"), "has values of 32 bits"),
        (INSIDE.astype(np.int32), "has values of 32 bits"),
        (INSIDE.astype(np.uint32), "has values of 32 bits"),
    ],
)
def test_unusable_masks_are_refused_with_their_reason(tmp_path, values, message):
    tifffile.imwrite(tmp_path / "m.tif", values)
    with pytest.raises(ImageError, match=message):
        read_mask(tmp_path / "m.tif", 8, 6, reading())


def test_a_mask_may_be_smaller_or_larger_than_its_image(tmp_path):
    for width, height in ((4, 3), (16, 12), (3, 2)):  # 8/6 is 3/2, as far as it can be
        written(tmp_path, "m.png", np.full((height, width), 255, np.uint8))
        assert values_of(tmp_path / "m.png").shape == (height, width)


def test_a_soft_edge_falls_off_inwards():
    mask = np.zeros((9, 40, 1), np.uint16)
    mask[:, 10:] = 65535  # up to the image's own border, where nothing falls off
    assert soften(mask, 0) is mask
    for edge in (1, 3, 8):
        soft = soften(mask, edge)[:, :, 0].astype(int)
        assert (soft == soft[0]).all()
        assert (soft[0, :10] == 0).all()
        assert (soft[0, 10 + edge :] == 65535).all()
        steps = soft[0, 10 : 10 + edge]
        assert steps.tolist() == [round(65535 * (i + 1) / (edge + 1)) for i in range(edge)]
        assert (np.diff(soft[0]) >= 0).all()
    full, empty = np.full((4, 4, 1), 65535, np.uint16), np.zeros((4, 4, 1), np.uint16)
    assert np.array_equal(soften(full, 3), full)
    assert np.array_equal(soften(empty, 3), empty)
    half = soften(mask // 2, 3)
    assert half.max() == 32767
    assert ((half > 0) == (mask > 0)).all()


def masks_of(folder, files, size=(8, 6), edge=0, **options):
    """Masks of images of one size: `files` are their masks, "" for none."""
    index = pd.DataFrame({"mask": files, "width": size[0], "height": size[1]})
    index.attrs = {"base": str(folder)}
    config = storing(**options)
    conversion = config.conversion.model_copy(update={"mask_edge": edge})
    return Masks(index, config.model_copy(update={"conversion": conversion}), "train")


def test_masks_are_scaled_and_cropped_as_the_images(tmp_path):
    half = np.zeros((64, 96), np.uint8)
    half[:, :48] = 255
    written(tmp_path, "m.png", half)
    for options, shape in (
        ({}, (32, 32)),
        ({"preprocess": "center_crop"}, (32, 32)),
        ({"preprocess": "scale_shortside_and_center_crop", "load_size": 40}, (32, 32)),
        ({"preprocess": "scale_width"}, (22, 32)),
        ({"preprocess": "none"}, (64, 96)),
    ):
        masks = masks_of(tmp_path, ["m.png", ""], (96, 64), **options)
        masks.read([0, 1])
        found = masks[[0, 1, 0]]
        assert (found.shape, found.dtype) == ((3, 1, *shape), np.float32)
        middle, reach = shape[1] // 2, 4
        assert (found[0, 0, :, : middle - reach] == 1).all()
        assert (found[0, 0, :, middle + reach :] == 0).all()
        assert (found[1] == 1).all()
        assert np.array_equal(found[0], found[2])
    assert masks.count == 1
    soft = masks_of(tmp_path, ["m.png"], (96, 64), edge=3, preprocess="none")
    soft.read([0])
    assert soft[[0]][0, 0, 0, 44:50] == pytest.approx([1, 0.75, 0.5, 0.25, 0, 0], abs=1e-4)


def test_all_unusable_masks_are_named(tmp_path):
    written(tmp_path, "good.png", INSIDE)
    written(tmp_path, "square.png", np.zeros((9, 9), np.uint8))
    (tmp_path / "torn.png").write_bytes(b"x")
    masks = masks_of(tmp_path, ["good.png", "torn.png", "", "square.png", "nowhere.png"])
    with pytest.raises(QuacError) as error:
        masks.read(range(5))
    lines = str(error.value).splitlines()
    assert lines[0] == "3 mask(s) cannot be used:"
    for line, (name, reason) in zip(
        lines[1:],
        {"torn": "is not an image", "square": "has 9 x 9 pixels", "nowhere": "does not exist"}.items(),
        strict=True,
    ):
        assert f"{tmp_path}/{name}.png: {reason}" in line
    masks.read([0, 2])  # only the requested ones


def test_a_stage_has_masks_if_its_settings_ask_for_them(tmp_path):
    written(tmp_path, "m.png", INSIDE)
    index = pd.DataFrame({"mask": ["m.png"], "width": 8, "height": 6})
    index.attrs = {"base": str(tmp_path)}
    for job in (("score", None), ("convert", "test"), ("style_grids", "validation")):
        split = job[1] or "validation"
        assert masks_of_stage(index, restricted_config(*job), split) is None
        masks = masks_of_stage(index, restricted_config(*job, conversion={"mask": "paste", "mask_edge": 2}), split)
        masks.read([0])
        assert (masks[[0]].shape, masks.edge) == ((1, 1, 32, 32), 2)
