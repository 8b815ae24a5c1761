import io

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from quac.classifier.backbones import SmallClassifier, build_backbone
from quac.config.choices import BACKBONES
from quac.config.evaluation import Classifier
from quac.system.errors import QuacError


def build(backbone, channels=3, classes=4, weights=None):
    torch.manual_seed(0)
    return build_backbone(Classifier(backbone=backbone, width=4), channels, classes, weights)


def save(path, backbone="resnet18", classes=7):
    torch.manual_seed(1)
    network = get_model(backbone, weights=None, num_classes=classes)
    torch.save(network.state_dict(), path)
    return network.eval()


def test_the_small_classifier_takes_any_size_and_channels():
    assert SmallClassifier(3, 5, 4).eval()(torch.zeros(2, 3, 100, 60)).shape == (2, 5)


# Those that take longer are slow; every family is here.
@pytest.mark.parametrize(
    "backbone",
    [
        name if name in ("small", "resnet18", "mobilenet_v3_small") else pytest.param(name, marks=pytest.mark.slow)
        for name in BACKBONES
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_backbone_learns_from_two_images_and_is_torchscript(backbone, channels):
    network = build(backbone, channels)
    network.train()(torch.randn(2, channels, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(network.eval()), buffer)
    buffer.seek(0)
    script = torch.jit.load(buffer)
    with torch.inference_mode():
        for side in (32, 64, 50):
            images = torch.randn(3, channels, side, side)
            assert script(images).shape == (3, 4)
            torch.testing.assert_close(script(images), network(images))


def test_weights_of_a_file_with_another_number_of_classes(tmp_path):
    path, images = tmp_path / "ü weights.pt", torch.randn(2, 3, 32, 32)
    theirs, ours = save(path), build("resnet18", weights=path).eval()
    ours.fc = theirs.fc = nn.Identity()
    torch.testing.assert_close(ours(images), theirs(images))


def test_grey_images_are_seen_as_grey_rgb(tmp_path):
    path, images = tmp_path / "weights.pt", torch.randn(2, 1, 32, 32)
    theirs = save(path, classes=4)
    torch.testing.assert_close(
        build("resnet18", 1, weights=path).eval()(images), theirs(images.repeat(1, 3, 1, 1)), rtol=1e-4, atol=1e-4
    )


def test_a_file_of_another_network_is_refused_and_named(tmp_path):
    path = tmp_path / "weights.pt"
    save(path, "resnet34")  # which has every layer of resnet18, and more
    with pytest.raises(QuacError, match=r"weights.pt belongs to another network than resnet18: layer1.2"):
        build("resnet18", weights=path)
    for content in ([1, 2], {"a": 1}):
        torch.save(content, path)
        with pytest.raises(QuacError, match=r"weights.pt does not hold a state_dict of resnet18; write it by torch"):
            build("resnet18", weights=path)
    for broken in (b"", b"no weights"):
        path.write_bytes(broken)
        with pytest.raises(QuacError, match=r"weights.pt cannot be read as a state_dict"):
            build("resnet18", weights=path)
    torch.jit.script(SmallClassifier(1, 2, 4)).save(str(path))
    with pytest.raises(QuacError, match=r"weights.pt cannot be read as a state_dict"):
        build("resnet18", weights=path)
