"""Distances between the generated and the real images of a class, by the classifier's logits.

Not FID and KID, which use the features of an Inception network trained on ImageNet: compare them only between runs with
the same classifier and images.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from quac.evaluation.metrics import names_of

MAX_SAMPLES = 2000  # of either side, drawn; the kernel distance compares all pairs


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


def add_distances(
    cells: pd.DataFrame, table: pd.DataFrame, real: pd.DataFrame, classes: Sequence[str], seed: int = 0
) -> pd.DataFrame:
    """Add to cells `frechet`, `kernel`, and `real`, the number of real images that they compare with.

    `table`: of tries, of one style kind; `real`: the classifier's outputs for the real images of the same split, with
    `class`. Both have `logit_<class>`, or else the distances are NaN. `seed`: of the samples.
    """
    names, rng = [f"logit_{name}" for name in classes], np.random.default_rng(seed)

    def sample(rows):
        return rows if len(rows) <= MAX_SAMPLES else rows.iloc[np.sort(rng.permutation(len(rows))[:MAX_SAMPLES])]

    if not {*names} <= {*table.columns} & {*real.columns}:
        counts = [min(MAX_SAMPLES, int((real["class"] == target).sum())) for target in cells["target"]]
        return cells.assign(real=counts, **dict.fromkeys(names_of("pair"), np.nan))
    logits = {name: sample(real[real["class"] == name])[names].to_numpy(np.float64) for name in classes}
    rows = {pair: sample(tries) for pair, tries in table.groupby(["source", "target"])}
    generated = {pair: tries[names].to_numpy(np.float64) for pair, tries in rows.items()}
    queries = {pair: tries["query"].factorize()[0] for pair, tries in rows.items()}
    pairs = list(zip(cells["source"], cells["target"], strict=True))
    return cells.assign(
        real=[len(logits[target]) for _, target in pairs],
        frechet=np.array([frechet_distance(generated[pair], logits[pair[1]]) for pair in pairs], float),
        kernel=np.array([kernel_distance(generated[pair], logits[pair[1]], queries[pair]) for pair in pairs], float),
    )
