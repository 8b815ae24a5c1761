"""Accuracy and calibration on real images, computed by hand."""

import numpy as np
import pytest
import torch
from helpers.builders import Brightness, judging, make_store, save_classifier, tiny_config

from quac.classifier.accuracy import accuracy_report, calibration, judge_store
from quac.classifier.judge import Judge
from quac.config.training import Model

CPU = torch.device("cpu")


def test_every_image_is_judged_once_whatever_the_batch_size(tmp_path):
    store = make_store(tmp_path, {"across": 5, "along": 2})
    path = save_classifier(tmp_path / "c.pt", Brightness())
    judge = Judge(path, judging(), Model(img_size=32, input_dim=1), ["dark", "bright"], CPU)
    data = tiny_config().data
    levels = store.flat.reshape(7, -1).mean(1) / 255 * 2 - 1
    for size in (1, 3, 7, 50):
        logits = judge_store(judge, store, data, size, CPU)
        assert logits.shape == (7, 2)
        np.testing.assert_allclose(logits, np.stack([-levels, levels], 1), atol=1e-5)


def test_accuracy_and_confusion():
    logits = np.log([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])
    report = accuracy_report(logits, np.array([0, 0, 1, 0]), ["a", "b"])
    assert report["images"] == 4
    assert report["accuracy"] == 0.5
    assert report["accuracy_per_class"] == {"a": pytest.approx(1 / 3), "b": 1.0}
    assert report["confusion"] == [[1, 2], [0, 1]]
    assert accuracy_report(logits, np.zeros(4, int), ["a", "b"])["accuracy_per_class"]["b"] is None


def test_calibration():
    # Confidence 0.9 twice, right once; 0.6 twice, right twice: (2 * |0.5 - 0.9| + 2 * |1 - 0.6|) / 4
    logits = np.log([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    found = calibration(logits, np.array([0, 1, 0, 1]))
    assert found["calibration_error"] == pytest.approx(0.4)
    low, high = found["calibration"]
    assert (low["images"], low["confidence"], low["accuracy"]) == (2, pytest.approx(0.6), 1.0)
    assert (high["images"], high["confidence"], high["accuracy"]) == (2, pytest.approx(0.9), 0.5)
    assert high["low"] < 0.9 <= high["high"]


def test_a_judge_whose_confidence_equals_its_accuracy_is_calibrated():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 1, 20_000)
    right = rng.random(20_000) < p
    found = calibration(np.log(np.stack([p, 1 - p], 1)), np.where(right, 0, 1))
    assert found["calibration_error"] < 0.02
    sure = calibration(np.log(np.stack([p**0.1, 1 - p**0.1], 1)), np.where(right, 0, 1))
    assert sure["calibration_error"] > 0.1


def test_a_confidence_of_1_is_in_the_last_bin():
    found = calibration(np.array([[1000.0, 0.0]]), np.array([0]))
    assert found["calibration_error"] == 0
    assert found["calibration"][0]["high"] == 1.0


def warned(errors, images, seed, exponent=1.0):
    """Whether one warns of a classifier that is right with its confidence to a power; to `errors`: without limit."""
    rng = np.random.default_rng([images, seed])
    p = rng.uniform(0.5, 1, images)
    right = rng.random(images) < p**exponent
    found = calibration(np.log(np.stack([p, 1 - p], 1)), np.where(right, 0, 1))
    errors.append(found["calibration_error"] > 0.1)
    return found["calibration_error"] > max(0.1, found["calibration_limit"])


def test_a_calibrated_classifier_is_seldom_warned_of_on_few_images():
    before = []
    assert np.mean([warned(before, 50, seed) for seed in range(200)]) <= 0.08
    assert np.mean(before) > 0.6  # without the limit
    assert np.mean([warned(before, 50, seed, exponent=4) for seed in range(50)]) > 0.8  # far too sure


def test_the_limit_shrinks_with_the_number_of_images_and_is_repeatable():
    p = np.full(2000, 0.8)
    logits, labels = np.log(np.stack([p, 1 - p], 1)), np.arange(2000) % 2
    few, many = (calibration(logits[:count], labels[:count]) for count in (50, 2000))
    assert few["calibration_limit"] == calibration(logits[:50], labels[:50])["calibration_limit"]
    # One bin: the error is |k/n - 0.8|, of which 1.96 standard deviations are the 95 % quantile.
    assert few["calibration_limit"] == pytest.approx(1.96 * (0.8 * 0.2 / 50) ** 0.5, rel=0.2)
    assert many["calibration_limit"] == pytest.approx(1.96 * (0.8 * 0.2 / 2000) ** 0.5, rel=0.2)
