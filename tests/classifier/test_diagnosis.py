"""The error about a weak classifier names what would help: its input range, or the order of its classes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from helpers.builders import judging, make_store, save_classifier, tiny_config
from PIL import Image
from torch import nn

from quac.classifier.accuracy import judge_store
from quac.classifier.diagnosis import MEAN, STD, require_accuracy
from quac.classifier.judge import Judge
from quac.config.training import Model
from quac.system.errors import QuacError

CPU, DATA = torch.device("cpu"), tiny_config().data
LEVELS = {"a": 0.2, "b": 0.5, "c": 0.8}  # grey, of pixels in [0, 1]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Images whose class is their grey level."""
    folder = tmp_path_factory.mktemp("levels")
    for name, level in LEVELS.items():
        (folder / "images" / name).mkdir(parents=True)
        for number in range(6):
            noise = np.random.default_rng([number, ord(name)]).normal(0, 5, (32, 32))
            pixels = (255 * level + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / name / f"{number}.png")
    return make_store(folder, {})


class ByLevel(nn.Module):
    """Calls an image by its mean, in the range that it was made for; `order` is that of its outputs."""

    def __init__(self, scale: list[float], shift: list[float], order: list[int], channels: int):
        super().__init__()
        levels = torch.tensor([list(LEVELS.values())[i] for i in order])[:, None]
        self.means = nn.Parameter(levels * torch.tensor(scale) + torch.tensor(shift))
        self.channels = channels
        self.sharpness = 10 / scale[0]

    def forward(self, x):
        means = x.reshape(x.shape[0], self.channels, -1).mean(2)
        return -(means[:, None, :] - self.means).abs().mean(2) * self.sharpness


def weak(tmp_path, store, scale=(1.0,), shift=(0.0,), order=(0, 1, 2), least=0.9, **options):
    path = save_classifier(tmp_path / "c.pt", ByLevel(list(scale), list(shift), list(order), len(scale)))
    judge = Judge(path, judging(**options), Model(img_size=32, input_dim=1), store.classes, CPU)
    logits = judge_store(judge, store, DATA, 4, CPU)
    require_accuracy(judge, logits, store, DATA, 4, least)
    return judge


def test_a_strong_judge_passes(tmp_path, store):
    weak(tmp_path, store, scale=[2.0], shift=[-1.0], least=0.99)


@pytest.mark.parametrize(
    ("scale", "shift", "message"),
    [
        ([1.0], [0.0], r"pixels in \[0, 1\]: set, in validation_config, scale: 0\.5, shift: 0\.5"),
        ([255.0], [0.0], r"pixels in \[0, 255\]: set, in validation_config, scale: 127\.5, shift: 127\.5"),
        (
            [1 / s for s in STD],
            [-m / s for m, s in zip(MEAN, STD, strict=True)],
            r"pixels normalised as ImageNet: .* scale: \[2\.18341, 2\.23214, 2\.22222\], shift: \[0\.06",
        ),
    ],
)
def test_the_right_range_is_suggested(tmp_path, store, scale, shift, message):
    with pytest.raises(
        QuacError,
        match=rf"c\.pt: classifies .*% of the 6 real .* with scale 1.* accuracy is at least 100\.0% with {message}",
    ):
        weak(tmp_path, store, scale, shift)


def test_the_suggested_settings_work(tmp_path, store):
    path = save_classifier(tmp_path / "c.pt", ByLevel([1.0], [0.0], [2, 0, 1], 1))
    fixed = judging(scale=0.5, shift=0.5, classes=["c", "a", "b"])
    judge = Judge(path, fixed, Model(img_size=32, input_dim=1), store.classes, CPU)
    require_accuracy(judge, judge_store(judge, store, DATA, 4, CPU), store, DATA, 4, 0.99)


def test_the_right_order_of_the_classes_is_suggested(tmp_path, store):
    with pytest.raises(QuacError, match=r"another class order: set, in validation_config, classes: \[c, a, b\]$"):
        weak(tmp_path, store, [2.0], [-1.0], order=[2, 0, 1])


def test_range_and_order_together(tmp_path, store):
    with pytest.raises(QuacError, match=r"set, in validation_config, scale: 0\.5, shift: 0\.5, classes: \[c, a, b\]$"):
        weak(tmp_path, store, [1.0], [0.0], order=[2, 0, 1])


def test_a_wrong_order_in_the_config_is_corrected(tmp_path, store):
    path = save_classifier(tmp_path / "c.pt", ByLevel([2.0], [-1.0], [2, 0, 1], 1))
    judge = Judge(path, judging(classes=["b", "c", "a"]), Model(img_size=32, input_dim=1), store.classes, CPU)
    with pytest.raises(QuacError, match=r"classes: \[c, a, b\]$"):
        require_accuracy(judge, judge_store(judge, store, DATA, 4, CPU), store, DATA, 4, 0.9)


def test_the_error_states_that_no_suggestion_helps(tmp_path, store):
    with pytest.raises(QuacError, match=r"No usual input range and no other class order helps \(at best"):
        weak(tmp_path, store, [-77.0], [13.0])


def test_the_suggested_order_is_yaml(tmp_path, store):
    """Class names that YAML would read as something else are quoted."""
    path = save_classifier(tmp_path / "c.pt", ByLevel([2.0], [-1.0], [2, 0, 1], 1))
    names = ["no", "01", "a, b"]
    judge = Judge(path, judging(), Model(img_size=32, input_dim=1), names, CPU)
    named = replace(store, classes=names)
    logits = judge_store(judge, store, DATA, 4, CPU)
    with pytest.raises(QuacError) as error:
        require_accuracy(judge, logits, named, DATA, 4, 0.9)
    assert yaml.safe_load(str(error.value).split("set, in validation_config, ")[1]) == {"classes": ["a, b", "no", "01"]}
