"""The check of the classifiers on real images, without a command line."""

import re

import numpy as np
import pytest
import torch
from helpers.builders import Brightness, make_store, restricted_config, save_classifier

from quac.classifier.accuracy import accuracy_report, judge_store
from quac.classifier.check import are_one_vs_rest, check_classifier
from quac.classifier.judge import Judge
from quac.system.errors import QuacError
from quac.system.files import file_sha256


class Direction(torch.nn.Module):
    """A classifier of stripes: across, or along; with `sign` -1 it is always wrong."""

    def __init__(self, sign: int):
        super().__init__()
        self.sign = sign

    def forward(self, x):
        down, right = (
            (x[:, :, 1:] - x[:, :, :-1]).abs().mean((1, 2, 3)),
            (x[..., 1:] - x[..., :-1]).abs().mean((1, 2, 3)),
        )
        return self.sign * torch.stack([down - right, right - down], 1)


class Ends(torch.nn.Sequential):
    """Three outputs of an image, and a last layer."""

    def __init__(self, last: str):
        torch.manual_seed(0)
        layer = torch.nn.Softmax(1) if last == "Softmax" else getattr(torch.nn, last)()
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(32 * 32, 3), layer)


CPU, CLASSES = torch.device("cpu"), ["across", "along"]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    counts = {"train": 4, "validation": 3, "test": 2}
    return {
        split: make_store(folder / split, dict.fromkeys(CLASSES, count), seed=seed)
        for seed, (split, count) in enumerate(counts.items())
    }


def test_every_image_of_every_split_is_judged(stores, tmp_path, caplog):
    caplog.set_level("INFO", logger="quac")
    path, strict = (save_classifier(tmp_path / name, Brightness()) for name in ("c.pt", "strict.pt"))
    oracles = {"strict": {"classifier_checkpoint": "strict.pt", "scale": -1.0}}
    config = restricted_config("check", validation_config={"scale": 2.0, "min_accuracy": 0.0}, oracles=oracles)
    check, table = check_classifier(config, stores, path, [strict], CPU)
    assert (check["classifier"], check["digest"]) == (str(path), file_sha256(path))
    assert (check["outputs"], check["channels"], check["classes"]) == ("logits", 1, CLASSES)
    judge = Judge(path, config.validation_config, config.model, CLASSES, CPU)
    for split, store in stores.items():
        logits, rows = judge_store(judge, store, config.data, 4, CPU), table[table["split"] == split]
        assert (rows[["logit_across", "logit_along"]].to_numpy() == logits).all()
        assert rows["path"].tolist() == store.paths.tolist()
        assert rows["class"].tolist() == [CLASSES[label] for label in store.labels]
        assert check["splits"][split] == accuracy_report(logits, store.labels, CLASSES)
        assert f"strict, {split}: accuracy" in caplog.text
    confusion = check["splits"]["train"]["confusion"]
    assert [row[::-1] for row in confusion] == check["oracles"]["strict"]["splits"]["train"]["confusion"]


def test_a_weak_classifier_stops_the_check(stores, tmp_path):
    path = save_classifier(tmp_path / "c.pt", Brightness())
    config = restricted_config("check", validation_config={"min_accuracy": 1.0})
    with pytest.raises(
        QuacError, match=r"c\.pt: classifies .* real validation images of (across|along) correctly with scale 1"
    ):
        check_classifier(config, stores, path, [], CPU)


def test_a_weak_oracle_is_a_warning(stores, tmp_path, caplog):
    good, weak = (save_classifier(tmp_path / name, Direction(sign)) for name, sign in (("c.pt", 1), ("weak.pt", -1)))
    config = restricted_config("check", validation_config={"min_accuracy": 0.9}, oracles={"weak": "weak.pt"})
    check, _ = check_classifier(config, stores, good, [weak], CPU)
    assert check["splits"]["validation"]["accuracy"] == 1
    assert check["oracles"]["weak"]["splits"]["validation"]["accuracy"] == 0
    (warning,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert re.match(r"oracles\.weak: .*weak\.pt: classifies 0\.0% of the 3 real validation images", warning)


def test_one_vs_rest_outputs_are_found_with_a_warning(tmp_path, caplog):
    names = ("across", "along", "disc")
    images = {split: make_store(tmp_path / split, dict.fromkeys(names, 2)) for split in ("train", "validation")}
    found = {}
    for name in ("Sigmoid", "Softmax", "Identity"):
        path = save_classifier(tmp_path / f"{name}.pt", Ends(name))
        for outputs in ("auto", "probabilities"):
            config = restricted_config(
                "check", validation_config={"min_accuracy": 0.0, "outputs": outputs}, oracles="none"
            )
            caplog.clear()
            check, _ = check_classifier(config, images, path, [], CPU)
            found[name, outputs] = check["one_vs_rest"]
            assert ("Set validation_config.outputs to probabilities" in caplog.text) == check["one_vs_rest"]
    assert [case for case, is_found in found.items() if is_found] == [("Sigmoid", "auto")]


def test_what_one_vs_rest_outputs_are():
    sigmoid = np.array([[0.018, 0.982, 0.731], [0.5, 0.4, 0.05]])
    assert are_one_vs_rest(sigmoid)
    assert are_one_vs_rest(sigmoid[:, :2])  # two classes
    assert not are_one_vs_rest(sigmoid[:, :1])
    assert not are_one_vs_rest(sigmoid / sigmoid.sum(1, keepdims=True))
    assert not are_one_vs_rest(np.log(sigmoid / (1 - sigmoid)))


def test_stores_of_other_classes_are_refused(stores, tmp_path):
    path = save_classifier(tmp_path / "c.pt", Brightness())
    other = {**stores, "test": make_store(tmp_path, {"across": 2, "disc": 2})}
    with pytest.raises(QuacError, match=r"is stored as .* with the classes across, disc, but"):
        check_classifier(restricted_config("check"), other, path, [], CPU)
