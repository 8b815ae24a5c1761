"""Sizes on the way to the networks and back."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.builders import tiny_config, training_settings
from helpers.image_files import noise
from PIL import Image

from quac.conversion.query import read_query, read_reference
from quac.data.batches import to_pixels
from quac.data.decode import ImageError
from quac.models.starganv2.checkpoint_info import description_of

WIDTH, HEIGHT = 90, 60


def network(**data):
    settings = training_settings(tiny_config(data={"img_size": 64, **data}))
    return SimpleNamespace(
        description=description_of(settings, ["a", "b"], 1),
        device=torch.device("cpu"),
    )


def pixels_of(query):
    return to_pixels(query.x[0], 2.0, -1.0, torch.uint16).permute(1, 2, 0).numpy()


@pytest.fixture
def image(tmp_path):
    Image.fromarray(noise(0, HEIGHT, WIDTH)).save(tmp_path / "x.png")
    return tmp_path / "x.png"


@pytest.mark.parametrize(
    ("data", "native", "query", "reference"),
    [
        ({}, False, (64, 64), (64, 64)),
        ({}, True, (60, 92), (64, 64)),  # of sides that the networks take
        ({"preprocess": "resize_and_crop", "load_size": 72}, False, (72, 72), (64, 64)),
        ({"preprocess": "scale_shortside_and_crop"}, False, (64, 96), (64, 64)),
        ({"preprocess": "scale_width_and_crop", "load_size": 120}, False, (80, 120), (64, 64)),
        ({"preprocess": "crop"}, False, (60, 92), (60, 60)),  # the encoder's input is resized, see `encode`
    ],
)
def test_all_of_an_image_is_shown_as_large_as_in_the_training(image, data, native, query, reference):
    found = read_query(image, network(**data), native)
    assert found.x.shape == (1, 1, *query)
    assert -1 <= found.x.min() < -0.8 < 0.8 < found.x.max() <= 1
    assert read_reference(image, network(**data)).shape == (1, 1, *reference)
    pixels = found.restore(pixels_of(found))
    assert (pixels.shape, pixels.dtype) == ((HEIGHT, WIDTH, 1), np.uint16)


def test_at_its_own_size_an_image_comes_back_exactly(image):
    Image.fromarray(noise(1, 64, 128)).save(image)
    found = read_query(image, network(), native=True)
    assert np.array_equal(found.restore(pixels_of(found))[:, :, 0], noise(1, 64, 128).astype(int) * 257)


def test_a_size_beyond_the_limit_is_said(image):
    Image.fromarray(noise(0, 900, 4)).save(image)
    with pytest.raises(ImageError, match=r"would be scaled to 64 x 14400 pixels, more than 100,000"):
        read_query(image, network(preprocess="scale_width_and_crop", max_pixels=100_000))
