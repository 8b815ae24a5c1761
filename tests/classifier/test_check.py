"""The check of the classifiers on real images, without a command line."""

import pytest
import torch
from helpers.builders import Brightness, make_store, restricted_config, save_classifier

from quac.classifier.accuracy import accuracy_report, judge_store
from quac.classifier.check import check_classifier
from quac.classifier.judge import Judge
from quac.system.errors import QuacError
from quac.system.files import file_sha256

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
    judges = {"strict": {"classifier_checkpoint": "strict.pt", "scale": -1.0}}
    config = restricted_config("check", validation_config={"scale": 2.0, "min_accuracy": 0.0}, judges=judges)
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
    assert [row[::-1] for row in confusion] == check["judges"]["strict"]["splits"]["train"]["confusion"]


def test_a_weak_classifier_stops_the_check(stores, tmp_path):
    path = save_classifier(tmp_path / "c.pt", Brightness())
    config = restricted_config("check", validation_config={"min_accuracy": 1.0})
    with pytest.raises(QuacError, match=r"c\.pt: classifies .* of 6 real validation images correctly with scale 1"):
        check_classifier(config, stores, path, [], CPU)


def test_stores_of_other_classes_are_refused(stores, tmp_path):
    path = save_classifier(tmp_path / "c.pt", Brightness())
    other = {**stores, "test": make_store(tmp_path, {"across": 2, "disc": 2})}
    with pytest.raises(QuacError, match=r"is stored as .* with the classes across, disc, but"):
        check_classifier(restricted_config("check"), other, path, [], CPU)
