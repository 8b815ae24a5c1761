"""The network from Python."""

import subprocess
import sys

import pytest
import torch
from helpers.builders import ours

import quac
from quac.system.errors import QuacError


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = ours(tmp_path_factory.mktemp("network") / "x.ckpt", classes=("3", "5", "8"), data={"img_size": 64})
    return quac.ConversionNetwork.load(path, device="cpu")


def images(count=3, height=64, width=64, seed=0):
    return torch.rand(count, 1, height, width, generator=torch.Generator().manual_seed(seed))


def test_nothing_heavy_is_imported_before_it_is_used():
    code = "import sys, quac, quac.config, quac.config.resolve; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(AttributeError, match="module quac has no attribute Network"):
        quac.Network  # noqa: B018


def test_shapes_and_ranges(network):
    assert network.classes == ["3", "5", "8"]
    one, several = network.convert(images(), "8"), network.convert(images(height=24, width=100), "8", tries=4)
    assert one.shape == (3, 1, 64, 64)
    assert several.shape == (4, 3, 1, 24, 100)
    for converted in (one, several):
        assert converted.dtype == torch.float32
        assert 0 <= converted.min() < converted.max() <= 1
        assert not converted.requires_grad


def test_a_conversion_is_the_generator_with_the_style_of_a_reference(network):
    x, reference = images(), images(3, 32, 48, seed=1)
    scaled = torch.nn.functional.interpolate(reference, (64, 64), mode="bilinear", antialias=True)
    styles = network.style_encoder(scaled * 2 - 1, torch.tensor([1, 1, 1]))
    expected = (network.generator(x * 2 - 1, styles) / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(network.convert(x, "5", reference), expected)
    torch.testing.assert_close(network.convert(x, "5", reference[:1])[:1], expected[:1])


def test_draws_are_a_function_of_seed_image_class_and_try(network):
    x = images()
    tries = network.convert(x, "5", tries=3)
    assert torch.equal(network.convert(x, "5", tries=3), tries)
    torch.testing.assert_close(network.convert(x[:2], "5"), tries[0, :2], rtol=0, atol=2e-5)  # they have 16 bits
    for other in (network.convert(x, "8"), network.convert(x, "5", seed=1), tries[1]):
        assert not torch.allclose(other, tries[0])
    same = network.convert(x[:1].expand(2, -1, -1, -1), "5")
    assert not torch.allclose(same[0], same[1])


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (images() * 2 - 1, {}, r"images: have values outside \[0, 1\]"),
        (images() / 0, {}, r"images: have values outside \[0, 1\]"),
        ((images() * 255).byte(), {}, "images: must be a float tensor"),
        (images()[0], {}, "images: must be a float tensor"),
        (images().repeat(1, 3, 1, 1), {}, r"images: have 3 channel\(s\), but the network takes 1"),
        (images(1, 30, 64), {}, "images: have 30 x 64 pixels, but the network takes multiples of 4 from 8 on"),
        (images(1, 64, 4), {}, "images: have 64 x 4 pixels"),
        (images(), {"to": "4"}, "4: not a class of this network. Choose from 3, 5, 8"),
        (images(), {"tries": 0}, "tries: is 0"),
        (images(), {"reference": images(1), "tries": 2}, "tries: is 2"),
        (images(), {"reference": images(2)}, "reference: holds 2 images. Give 1, or one for each of the 3"),
        (images(), {"reference": images(1) * 9}, "reference: have values outside"),
    ],
)
def test_inputs_that_are_refused(network, x, options, message):
    with pytest.raises(QuacError, match=message):
        network.convert(x, **{"to": "5", **options})


def test_a_missing_device_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(QuacError, match="torch finds no GPU"):
        quac.ConversionNetwork.load("x.ckpt", device="cuda")
    with pytest.raises(QuacError, match=r"device: gpu is not a device.* auto, cpu or cuda"):
        quac.ConversionNetwork.load("x.ckpt", device="gpu")
