"""A classifier is tried out before it is trusted: with four images, with one of them, and with the four again."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from classifier.test_judge import Fixed, export, load
from helpers.builders import make_store, restricted_config, save_classifier
from torch import nn

from quac.classifier.check import check_classifier
from quac.classifier.judge import Judge
from quac.explanation.attribution import attribute
from quac.system.errors import QuacError

CPU = torch.device("cpu")
ROOT = Path(__file__).parent.parent.parent


class Pooled(nn.Module):
    """Two logits of an image; `end` is what comes after the network."""

    def __init__(self, end: nn.Module | None = None, outputs: int = 2):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head, self.end = nn.Linear(8, outputs), end or nn.Identity()

    def forward(self, x):
        return self.head(self.end(self.body(x)))


class Squeezed(Pooled):
    def forward(self, x):
        return super().forward(x).squeeze()


def traced(path, module):
    """Saved as it is, also in training mode."""
    torch.manual_seed(0)
    torch.jit.trace(module, torch.rand(4, 1, 32, 32), check_trace=False).save(path)
    return path


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Pooled(nn.Dropout(0.5)).train(), "other outputs for the same images, as with dropout; call model.eval()"),
        (Pooled(nn.BatchNorm1d(8)).train(), "alone than beside others, as with batch normalisation in training mode"),
        (Squeezed().eval(), r"shape \(2,\) for 1 image.*in place of squeeze\(\)"),
        (Squeezed(outputs=1).eval(), r"shape \(4,\) for 4 image.*in place of squeeze\(\)"),
    ],
    ids=["dropout", "batch normalisation", "squeeze", "squeeze of one output"],
)
def test_outputs_that_are_not_those_of_the_image_are_refused(tmp_path, module, message):
    with pytest.raises(QuacError, match=f"c.pt: .*{message}"):
        load(traced(tmp_path / "c.pt", module))
    load(traced(tmp_path / "good.pt", Pooled(nn.Dropout(0.5)).eval()))
    load(traced(tmp_path / "good.pt", Pooled(nn.BatchNorm1d(8)).eval()))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gain", [0.1, 1.0, 10.0])
def test_it_is_found_whatever_the_range_of_the_outputs(tmp_path, seed, gain):
    torch.manual_seed(seed)
    for layer in (nn.Dropout(0.2), nn.BatchNorm1d(8)):
        module = Pooled(layer)
        with torch.no_grad():
            module.head.weight.mul_(gain)
        torch.jit.trace(module.train(), torch.rand(4, 1, 32, 32), check_trace=False).save(tmp_path / "c.pt")
        with pytest.raises(QuacError, match=r"model\.eval\(\)"):
            load(tmp_path / "c.pt")


class RarelyRandom(nn.Module):
    """Has dropout where an image is dark throughout, as no image of the trial is."""

    def forward(self, x):
        level = x.amax((1, 2, 3))
        noise = torch.where(level < 2, torch.rand(len(x)), torch.zeros(len(x)))
        return torch.stack([level, noise], 1)


def test_real_images_are_judged_twice_by_the_check(tmp_path, monkeypatch):
    monkeypatch.setattr("quac.classifier.judge.try_out", lambda path, run, images: run(images))
    with pytest.raises(QuacError, match="as with dropout"):
        checked(tmp_path, RarelyRandom())


def test_dropout_in_an_exported_program_is_refused(tmp_path):
    module = Pooled(nn.Dropout(0.5)).train()
    shapes = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(module, (torch.rand(3, 1, 32, 32),), dynamic_shapes=shapes), tmp_path / "c")
    with pytest.raises(QuacError, match="as with dropout"):
        load(tmp_path / "c")
    load(export(tmp_path / "good", Pooled(nn.Dropout(0.5))))


def test_one_output_is_the_logit_or_the_probability_of_the_second_class(tmp_path):
    images = torch.zeros(3, 1, 32, 32)
    judge = load(save_classifier(tmp_path / "logit.pt", Fixed([2.0])))
    p = torch.tensor(2.0).sigmoid()
    torch.testing.assert_close(judge(images), torch.stack([1 - p, p]).expand(3, 2))
    with pytest.raises(QuacError, match=r"as a sigmoid does; set validation_config\.outputs"):
        load(save_classifier(tmp_path / "p.pt", Fixed([0.7])))
    judge = load(tmp_path / "p.pt", outputs="probabilities")
    torch.testing.assert_close(judge(images), torch.tensor([[0.3, 0.7]]).expand(3, 2))
    judge = load(tmp_path / "logit.pt", order=["bright", "dark"])
    assert judge(images).argmax(1).tolist() == [0] * 3
    with pytest.raises(QuacError, match=r"there are 3 classes"):
        load(tmp_path / "logit.pt", classes=("a", "b", "c"))


class Brightest(nn.Module):
    def forward(self, x):
        return 9 * x.mean((1, 2, 3))[:, None] - 2


def test_one_output_has_gradients_for_both_classes(tmp_path):
    judge = load(save_classifier(tmp_path / "c.pt", Brightest()))
    dark, bright = torch.full((2, 1, 32, 32), -0.5), torch.full((2, 1, 32, 32), 0.5)
    bright[:, :, :16] = -0.5
    for label in (0, 1):
        found = attribute("d_ig", judge, dark, bright, torch.tensor([label, label]))
        assert (found[:, :, 16:] == 1).all()
        assert (found[:, :, :16] == 0).all()


def checked(tmp_path, module, **options):
    stores = {split: make_store(tmp_path / split, {"across": 4, "along": 2}) for split in ("train", "validation")}
    path = save_classifier(tmp_path / "c.pt", module)
    options = {"min_accuracy": 0.0, "classifier_checkpoint": str(path), **options}
    config = restricted_config("check", validation_config=options, oracles="none")
    return check_classifier(config, stores, path, [], CPU)


def test_one_output_that_is_a_probability_is_found_on_real_images(tmp_path):
    with pytest.raises(QuacError, match=r"from 0 to 1 for every image, as a sigmoid does; set validation_config\.out"):
        checked(tmp_path, nn.Sequential(Brightest(), nn.Sigmoid()))
    check, _ = checked(tmp_path, nn.Sequential(Brightest(), nn.Sigmoid()), outputs="probabilities")
    assert (check["has_one_output"], check["outputs"]) == (True, "probabilities")
    assert checked(tmp_path, Brightest())[0]["outputs"] == "logits"


def test_classes_that_the_data_does_not_have_are_left_out(tmp_path, caplog):
    caplog.set_level("INFO")
    names, outputs = ["disc", "along", "across", "ring"], [3.0, 1.0, 2.0, 0.0]
    check, judged = checked(tmp_path, Fixed(outputs), classes=names)
    assert check["left_out"] == ["disc", "ring"]
    assert "classes that the data does not have are left out: disc, ring" in caplog.text
    judge = load(tmp_path / "c.pt", classes=("across", "along"), order=names)
    images, p = torch.zeros(2, 1, 32, 32), torch.tensor(outputs).softmax(0)
    torch.testing.assert_close(judge(images), p[[2, 1]].expand(2, 2))  # among all four
    torch.testing.assert_close(judge.logits(images).exp(), judge(images))
    assert judged["logit_across"].to_numpy() == pytest.approx(np.log(p[2].item()), abs=1e-6)
    with pytest.raises(QuacError, match=r"more than the data, name them all in validation_config\.classes"):
        load(tmp_path / "c.pt")
    with pytest.raises(QuacError, match="each once"):
        load(tmp_path / "c.pt", classes=("across", "along"), order=["across", "across", "along", "disc"])


def test_a_classifier_that_always_says_the_frequent_class_is_refused(tmp_path):
    """Though it is right on most images."""
    with pytest.raises(QuacError, match=r"classifies 0\.0% of the 2 real validation images of along.*classes, 50\.0%"):
        checked(tmp_path, Fixed([1.0, 0.0]), min_accuracy=0.5)


def test_the_same_weights_are_the_same_file_in_every_process(tmp_path):
    """By the variable that the rule sets: TorchScript writes sets in the order of the hashes of their strings."""
    rules = (ROOT / "workflow/rules/classifier.smk").read_text()
    name, value = re.search(r'"(\w+)=(\w+) quac fit-classifier', rules).groups()
    code = (
        "import sys, torch; from quac.classifier.backbones import SmallClassifier\n"
        "from quac.classifier.fit import save_torchscript; torch.manual_seed(0)\n"
        "save_torchscript(SmallClassifier(1, 3, 4).eval(), sys.argv[1])"
    )
    for number in range(2):
        environment = {**os.environ, "PYTHONHASHSEED": "random", name: value}
        subprocess.run([sys.executable, "-c", code, tmp_path / f"{number}.pt"], env=environment, check=True)
    assert (tmp_path / "0.pt").read_bytes() == (tmp_path / "1.pt").read_bytes()


def test_the_judge_of_a_run_is_tried_out_for_its_channels(tmp_path):
    """A classifier of colour gets grey images as such, also one alone."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 2, 32), nn.Flatten())
    assert isinstance(load(save_classifier(tmp_path / "c.pt", module)), Judge)
