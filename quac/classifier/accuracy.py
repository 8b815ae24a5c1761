"""The accuracy of a classifier on real images, and the calibration of its confidence."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from quac.classifier.judge import Judge
from quac.config.data import Data
from quac.data.batches import batches_of, load
from quac.data.store import Store
from quac.system.errors import QuacError

BINS = 15
DRAWS, LIMIT = 200, 0.95  # of labels that follow the confidence, and the quantile of their calibration errors


@torch.inference_mode()
def judge_store(judge: Judge, store: Store, data: Data, batch_size: int, device: torch.device) -> np.ndarray:
    """Logits (images, classes), float32, of the real images of a split. Raises QuacError if one is NaN.

    `data`: the networks' range (scale, shift).
    """
    logits = np.empty((len(store), len(judge.classes)), np.float32)
    for rows in batches_of(store, np.arange(len(store)), batch_size):
        logits[rows] = judge.logits(load(store, rows, device, data.scale, data.shift)).cpu().numpy()
    if not (finite := np.isfinite(logits).all(1)).all():
        raise QuacError(
            f"{judge.path}: returns NaN for {(~finite).sum()} real image(s), such as {store.paths[~finite][0]}; "
            "inspect the image, or use another classifier"
        )
    return logits


def accuracy_report(logits: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Accuracy over all images and per class, confusion matrix (true classes in rows), and calibration; JSON values.

    Args:
        logits: (images, classes).
        labels: (images,), the true classes.
    """
    confusion = confusion_matrix(logits.argmax(1), labels, len(classes))
    correct, counts = confusion.diagonal(), confusion.sum(1)
    per_class = {name: float(k / n) if n else None for name, k, n in zip(classes, correct, counts, strict=True)}
    return {
        "images": int(counts.sum()),
        "accuracy": float(correct.sum() / counts.sum()),
        "accuracy_per_class": per_class,
        "confusion": confusion.tolist(),
        **calibration(logits, labels),
    }


def class_accuracies(confusion: np.ndarray) -> np.ndarray:
    """(classes,) the share of the images of each class that are judged so, from `confusion_matrix`; NaN without any."""
    with np.errstate(invalid="ignore"):
        return confusion.diagonal() / confusion.sum(1)


def confusion_matrix(judged: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Number of images by true class (rows) and judged class (columns); `judged` and `labels` are (images,)."""
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (labels, judged), 1)
    return confusion


def calibration(logits: np.ndarray, labels: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """How the confidence of a classifier (the largest probability) compares with its accuracy.

    Returns:
        `calibration_error`: the expected calibration error (arXiv 1706.04599, eq. 5: the mean over images of
            |accuracy - confidence| in bins of equal width).
        `calibration_limit`: the error that a classifier with these confidences exceeds by chance in 5 % of such splits
            if it is perfectly calibrated. (The error is biased upwards: it is 0.13 on average for 50 images.) From
            DRAWS draws, by `seed`, of labels that are right with the probability of the confidence.
        `calibration`: a row for each bin that holds images.
    """
    exponents = np.exp(logits - logits.max(1, keepdims=True), dtype=np.float64)
    confidence = 1 / exponents.sum(1)
    correct = logits.argmax(1) == labels
    bin_of = np.minimum((confidence * BINS).astype(int), BINS - 1)
    rows = []
    for low in np.unique(bin_of):
        inside = bin_of == low
        row = {"low": float(low / BINS), "high": float((low + 1) / BINS), "images": int(inside.sum())}
        row |= {"confidence": float(confidence[inside].mean()), "accuracy": float(correct[inside].mean())}
        rows.append(row)
    rng = np.random.default_rng(seed)
    errors = [_calibration_error(confidence, rng.random(len(labels)) < confidence, bin_of) for _ in range(DRAWS)]
    return {
        "calibration_error": _calibration_error(confidence, correct, bin_of),
        "calibration_limit": float(np.quantile(errors, LIMIT)),
        "calibration": rows,
    }


def _calibration_error(confidence: np.ndarray, correct: np.ndarray, bin_of: np.ndarray) -> float:
    """The mean over images of |accuracy - confidence| of their bin; all are (images,)."""
    return float(np.abs(np.bincount(bin_of, correct - confidence)).sum() / len(correct))
