"""How far generated images are from real ones of the target class, by the judge's logits.

Not the distances that are known as FID and KID, which take the features of an Inception network trained on ImageNet:
compare them only between runs that were judged by the same classifier on the same images.
"""

import numpy as np

MOST = 2000  # samples of a side, drawn; the kernel distance compares all pairs


def frechet_distance(one, other):
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


def kernel_distance(one, other, groups=None):
    """Squared maximum mean discrepancy of two samples (n, dims), kernel (x y / dims + 1)^3 (arXiv 1801.01401).

    Unbiased, so it may be a little below 0. `groups` (n,) says what in `one` is not independent, such as the tries of
    a query: pairs of one group do not count. None where there are no two to compare.
    """
    parts = _within(one, np.arange(len(one)) if groups is None else groups), _within(other, np.arange(len(other)))
    if None in parts:
        return None
    return float(sum(parts) - 2 * _kernel(one, other).mean())


def _kernel(a, b):
    return (a @ b.T / a.shape[1] + 1) ** 3


def _within(x, groups):
    """Mean of the kernel over the pairs of different groups."""
    apart = groups[:, None] != groups[None]
    return float(_kernel(x, x)[apart].mean()) if apart.any() else None


def add_distances(cells, table, real, classes, seed=0):
    """Add to cells (DataFrame) `frechet`, `kernel`, and `real`, the number of real images they compare with.

    Args:
        table: of tries, of one kind, with `logit_<class>`.
        real: what the judge says of the real images of the same split, with `class` and `logit_<class>`.
    """
    names, rng = [f"logit_{name}" for name in classes], np.random.default_rng(seed)

    def sample(rows):
        return rows if len(rows) <= MOST else rows.iloc[np.sort(rng.permutation(len(rows))[:MOST])]

    of_class = {name: sample(real[real["class"] == name])[names].to_numpy(np.float64) for name in classes}
    rows = {pair: sample(tries) for pair, tries in table.groupby(["source", "target"])}
    generated = {pair: tries[names].to_numpy(np.float64) for pair, tries in rows.items()}
    queries = {pair: tries["query"].factorize()[0] for pair, tries in rows.items()}
    pairs = list(zip(cells["source"], cells["target"], strict=True))
    return cells.assign(
        real=[len(of_class[target]) for _, target in pairs],
        frechet=[frechet_distance(generated[pair], of_class[pair[1]]) for pair in pairs],
        kernel=[kernel_distance(generated[pair], of_class[pair[1]], queries[pair]) for pair in pairs],
    )
