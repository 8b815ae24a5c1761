"""Distances between the generated and the real images of a class, by the classifier's log-probabilities.

Not FID and KID, which use the features of an Inception network trained on ImageNet: compare them only between runs with
the same classifier and images. Two anchors give them a scale: the distances of real training images of the target class
(floor) and of real images of the source class, both from the same real images of the target class.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from quac.evaluation.metrics import names_of

MAX_SAMPLES = 2000  # of either side, drawn; the kernel distance compares all pairs
MIN_PROBABILITY = 1e-12  # as `Judge.logits` has it for a classifier that returns probabilities


def frechet_distance(one: np.ndarray, other: np.ndarray) -> float | None:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of two samples (n, dims) (arXiv 1706.08500, eq. 6); None below 2."""
    if min(len(one), len(other)) < 2:
        return None
    means, covariances = zip(*((x.mean(0), np.atleast_2d(np.cov(x.T))) for x in (one, other)), strict=True)
    # The trace of (C1 C2)^(1/2) by the eigenvalues of C1^(1/2) C2 C1^(1/2), which are the same and surely real.
    values, vectors = np.linalg.eigh(covariances[0])
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ covariances[1] @ root).clip(0)).sum()
    trace = np.trace(covariances[0] + covariances[1]) - 2 * shared
    return float(max(0.0, ((means[0] - means[1]) ** 2).sum() + trace))


def kernel_distance(one: np.ndarray, other: np.ndarray, groups: np.ndarray | None = None) -> float | None:
    """Squared maximum mean discrepancy of two samples (n, dims), kernel (x y / dims + 1)^3 (arXiv 1801.01401).

    Unbiased, so it may be a little below 0. `groups` (n,): which samples of `one` are not independent, such as the
    tries of a query; pairs within a group do not count. None if there is no pair to compare.
    """
    first = _within(one, np.arange(len(one)) if groups is None else groups)
    second = _within(other, np.arange(len(other)))
    if first is None or second is None:
        return None
    return float(first + second - 2 * _kernel(one, other).mean())


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T / a.shape[1] + 1) ** 3


def _within(x: np.ndarray, groups: np.ndarray) -> float | None:
    """Mean of the kernel over the pairs of different groups, None if there is none."""
    apart = groups[:, None] != groups[None]
    return float(_kernel(x, x)[apart].mean()) if apart.any() else None


def centred_log_probabilities(logits: np.ndarray) -> np.ndarray:
    """Logits, or log-probabilities, (n, classes) -> log-probabilities minus their mean over the classes, float64.

    They are the same whether a classifier returns logits or probabilities, and have no part that the probabilities do
    not depend on. Probabilities below MIN_PROBABILITY count as that.
    """
    log_p = log_softmax(logits.astype(np.float64), axis=1).clip(np.log(MIN_PROBABILITY))
    return log_p - log_p.mean(1, keepdims=True)


def distances(one: np.ndarray, other: np.ndarray, groups: np.ndarray | None = None) -> dict[str, float | None]:
    """{name: distance} of two samples (n, dims); `groups`: see `kernel_distance`."""
    return {"frechet": frechet_distance(one, other), "kernel": kernel_distance(one, other, groups)}


def scaled(value: float | None, floor: float | None, top: float | None) -> float | None:
    """(value - floor) / (top - floor); None if one is missing, or top <= floor."""
    if value is None or floor is None or top is None or top <= floor:
        return None
    return (value - floor) / (top - floor)


def add_distances(
    cells: pd.DataFrame, table: pd.DataFrame, judged: pd.DataFrame, split: str, classes: Sequence[str], seed: int = 0
) -> pd.DataFrame:
    """Add to cells `frechet`, `kernel`, both `_scaled`, and `real`, the number of real images that they compare with.

    Args:
        table: of the tries of one style kind.
        judged: the classifier's outputs for the real images of all splits, with `split` and `class`. Both tables have
            `logit_<class>`, or else the distances are NaN.
        split: that of the tries.
        seed: of the samples.

    A scaled distance is (d - floor) / (source - floor): 0 as for real training images of the target class, 1 as for
    the real images of the source class. It is NaN if source <= floor, and on the diagonal.
    """
    names, rng = [f"logit_{name}" for name in classes], np.random.default_rng(seed)
    pairs = list(zip(cells["source"], cells["target"], strict=True))
    real, train = judged[judged["split"] == split], judged[judged["split"] == "train"]
    if not {*names} <= {*table.columns} & {*judged.columns}:
        counts = [min(MAX_SAMPLES, int((real["class"] == target).sum())) for _, target in pairs]
        return cells.assign(real=counts, **dict.fromkeys(names_of("pair"), np.nan))

    def sample(rows: pd.DataFrame) -> pd.DataFrame:
        return rows if len(rows) <= MAX_SAMPLES else rows.iloc[np.sort(rng.permutation(len(rows))[:MAX_SAMPLES])]

    def features(rows: pd.DataFrame) -> np.ndarray:
        return centred_log_probabilities(rows[names].to_numpy())

    rows = {pair: sample(tries) for pair, tries in table.groupby(["source", "target"])}
    images, training = (
        {name: features(sample(half[half["class"] == name])) for name in classes} for half in (real, train)
    )
    floors = {name: distances(training[name], images[name]) for name in classes}
    added = []
    for source, target in pairs:
        tries = rows[source, target]
        measured = distances(features(tries), images[target], tries["query"].factorize()[0])
        tops = distances(images[source], images[target]) if source != target else dict.fromkeys(measured)
        scales = {f"{name}_scaled": scaled(d, floors[target][name], tops[name]) for name, d in measured.items()}
        added.append({"real": len(images[target]), **measured, **scales})
    numbers = pd.DataFrame(added, index=cells.index)
    return cells.assign(**numbers.astype({name: float for name in numbers if name != "real"}))
