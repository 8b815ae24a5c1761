"""How often the judge is right on real images, and how far its confidence can be trusted."""

import numpy as np
import torch

from quac.data.batches import batches_of, load
from quac.system.errors import QuacError

BINS = 15


@torch.inference_mode()
def judge_store(judge, store, data, batch_size, device):
    """Logits (images, classes) of the real images of a split, as a NumPy array.

    `data` gives the networks' range: scale, shift.
    """
    logits = np.empty((len(store), len(judge.classes)), np.float32)
    for rows in batches_of(store, np.arange(len(store)), batch_size):
        logits[rows] = judge.logits(load(store, rows, device, data.scale, data.shift)).cpu().numpy()
    if not (finite := np.isfinite(logits).all(1)).all():
        raise QuacError(
            f"{judge.path}: gives NaN for {(~finite).sum()} real image(s), {store.paths[~finite][0]} among them; "
            "look at the image, or give another classifier"
        )
    return logits


def accuracy_report(logits, labels, classes):
    """Accuracy over all images and per class, confusion matrix (rows true class, columns judged), and calibration."""
    confusion = confusion_matrix(logits.argmax(1), labels, len(classes))
    right, counts = confusion.diagonal(), confusion.sum(1)
    return {
        "images": int(counts.sum()),
        "accuracy": float(right.sum() / counts.sum()),
        "accuracy_per_class": {
            name: float(r / n) if n else None for name, r, n in zip(classes, right, counts, strict=True)
        },
        "confusion": confusion.tolist(),
        **calibration(logits, labels),
    }


def confusion_matrix(judged, labels, classes):
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (labels, judged), 1)
    return confusion


def calibration(logits, labels):
    """How the judge's confidence (probability of the class that it names) compares with how often it is right.

    Returns `calibration_error`, the expected calibration error (arXiv 1706.04599, eq. 5: the mean over images of
    |accuracy - confidence| in bins of equal width), and `calibration`, a row for each bin that holds images.
    """
    exponents = np.exp(logits - logits.max(1, keepdims=True), dtype=np.float64)
    confidence = 1 / exponents.sum(1)
    right = logits.argmax(1) == labels
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    rows = [
        {
            "low": float(low / BINS),
            "high": float((low + 1) / BINS),
            "images": int((place == low).sum()),
            "confidence": float(confidence[place == low].mean()),
            "accuracy": float(right[place == low].mean()),
        }
        for low in np.unique(place)
    ]
    error = sum(row["images"] * abs(row["accuracy"] - row["confidence"]) for row in rows) / len(labels)
    return {"calibration_error": float(error), "calibration": rows}
