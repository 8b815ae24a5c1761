from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builders import Brightness, make_store, save_classifier
from torch import nn

from quac.classifier.judge import Judge, accuracy_report, judge_store, require_accuracy
from quac.errors import QuacError

CPU = torch.device("cpu")
MODEL = SimpleNamespace(img_size=32, input_dim=1)


def settings(scale=1.0, shift=0.0, img_size=32):
    return SimpleNamespace(scale=scale, shift=shift, img_size=img_size)


def load(path, classes=("dark", "bright"), model=MODEL, **options):
    return Judge(path, settings(**options), model, list(classes), CPU)


class Fixed(nn.Module):
    """Says of every image what it was made to say."""

    def __init__(self, outputs: list[float]):
        super().__init__()
        self.outputs = nn.Parameter(torch.tensor(outputs))

    def forward(self, x):
        return self.outputs.expand(len(x), -1)


def test_logits_become_probabilities_and_probabilities_stay(tmp_path):
    images = torch.zeros(3, 1, 32, 32)
    judge = load(save_classifier(tmp_path / "logits.pt", Fixed([0.0, 2.0])))
    torch.testing.assert_close(judge(images), torch.tensor([0.0, 2.0]).softmax(0).expand(3, 2))
    judge = load(save_classifier(tmp_path / "probabilities.pt", Fixed([0.25, 0.75])))
    assert judge.gives_probabilities
    torch.testing.assert_close(judge(images), torch.tensor([[0.25, 0.75]]).expand(3, 2))


def test_the_classifier_gets_its_own_range(tmp_path):
    path = save_classifier(tmp_path / "c.pt", Brightness())
    image = torch.full((1, 1, 32, 32), 0.5)
    for scale, shift in ((1.0, 0.0), (0.5, 0.5), (-1.0, 0.0)):
        level = 0.5 * scale + shift
        expected = torch.tensor([[-level, level]]).softmax(1)
        torch.testing.assert_close(load(path, scale=scale, shift=shift)(image), expected)


class Side(nn.Module):
    """Accepts 16 x 16 only."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(256, 2)

    def forward(self, x):
        return self.linear(x.flatten(1))


def test_the_classifier_gets_its_own_size(tmp_path):
    path = save_classifier(tmp_path / "c.pt", Side())
    assert load(path, img_size=16)(torch.zeros(3, 1, 32, 32)).shape == (3, 2)
    with pytest.raises(QuacError, match=r"does not accept images of 1 x 32 x 32 .*set validation_config\.img_size"):
        load(path)


def test_another_number_of_classes_is_named(tmp_path):
    path = save_classifier(tmp_path / "c.pt", Fixed([0.0, 1.0, 2.0]))
    with pytest.raises(QuacError, match=r"2 classes \(dark, bright\): expected \(4, 2\)"):
        load(path)


def test_other_channels_are_named(tmp_path):
    path = save_classifier(tmp_path / "c.pt", nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    with pytest.raises(QuacError, match=r"or data\.grayscale to its channels"):
        load(path)


class Pair(nn.Module):
    def forward(self, x):
        return x, x


def test_outputs_that_are_no_tensor_are_named(tmp_path):
    with pytest.raises(QuacError, match=r"returns a tuple instead of a tensor \(images, classes\)"):
        load(save_classifier(tmp_path / "c.pt", Pair()))


def test_another_precision_is_named(tmp_path):
    path = save_classifier(tmp_path / "c.pt", nn.Sequential(nn.Flatten(), nn.Linear(1024, 2)).double())
    with pytest.raises(QuacError, match="or save it in float32"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"no classifier"])
def test_a_file_that_is_no_torchscript_is_named(tmp_path, content):
    (tmp_path / "c.pt").write_bytes(content)
    with pytest.raises(QuacError, match=r"c\.pt: cannot be loaded as TorchScript"):
        load(tmp_path / "c.pt")


def test_a_state_dict_is_no_torchscript(tmp_path):
    torch.save(Side().state_dict(), tmp_path / "c.pt")
    with pytest.raises(QuacError, match=r"save it with torch\.jit\.script"):
        load(tmp_path / "c.pt")


def test_every_image_is_judged_once_whatever_the_batch_size(tmp_path):
    store = make_store(tmp_path, {"across": 5, "along": 2})
    judge = load(save_classifier(tmp_path / "c.pt", Brightness()))
    data = SimpleNamespace(scale=2.0, shift=-1.0)
    tables = [judge_store(judge, store, data, size, CPU) for size in (1, 3, 7, 50)]
    levels = store.flat.reshape(7, -1).mean(1) / 255 * 2 - 1
    for table in tables:
        assert table.shape == (7, 2)
        np.testing.assert_allclose(table[:, 1], 1 / (1 + np.exp(-2 * levels)), atol=1e-5)


def test_accuracy_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])
    report = accuracy_report(probabilities, np.array([0, 0, 1, 0]), ["a", "b"])
    assert report == {
        "images": 4,
        "accuracy": 0.5,
        "accuracy_per_class": {"a": pytest.approx(1 / 3), "b": 1.0},
        "confusion": [[1, 2], [0, 1]],
    }


def test_a_weak_classifier_stops_the_workflow():
    report = {"accuracy": 0.34, "images": 50}
    require_accuracy(report, 0.34, "c.pt")
    with pytest.raises(QuacError, match=r"c\.pt: calls 34\.0% of 50 real validation images right, less than"):
        require_accuracy(report, 0.8, "c.pt")


def test_gradients_go_through_to_the_images_alone(tmp_path):
    """For the classifier loss."""
    judge = load(save_classifier(tmp_path / "c.pt", Side()), img_size=16)
    images = torch.rand(3, 1, 32, 32, requires_grad=True)
    judge(images)[:, 1].log().mean().backward()
    assert images.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in judge.module.parameters())
