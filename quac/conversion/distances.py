"""How far generated images are from real ones of the target class, by the judge's logits.

Not the distances that are known as FID and KID, which take the features of an Inception network trained on ImageNet:
compare them only between runs that were judged by the same classifier on the same images.
"""

import numpy as np

MOST = 5000  # samples of a side; the kernel distance compares all pairs


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


def kernel_distance(one, other):
    """Squared maximum mean discrepancy of two samples (n, dims), kernel (x y / dims + 1)^3 (arXiv 1801.01401).

    Unbiased, so it may be a little below 0; None where a sample has fewer than 2.
    """
    if min(len(one), len(other)) < 2:
        return None

    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(x):
        k = kernel(x, x)
        return (k.sum() - k.trace()) / (len(x) * (len(x) - 1))

    return float(within(one) + within(other) - 2 * kernel(one, other).mean())


def add_distances(cells, table, real, classes, seed=0):
    """Add to cells (DataFrame) `frechet`, `kernel`, and `real`, the number of real images they compare with.

    Args:
        table: of tries, of one kind, with `logit_<class>`.
        real: what the judge says of the real images of the same split, with `class` and `logit_<class>`.
    """
    names, rng = [f"logit_{name}" for name in classes], np.random.default_rng(seed)

    def sample(rows):
        values = rows[names].to_numpy(np.float64)
        return values if len(values) <= MOST else rng.permutation(values)[:MOST]

    of_class = {name: sample(real[real["class"] == name]) for name in classes}
    generated = {pair: sample(rows) for pair, rows in table.groupby(["source", "target"])}
    pairs = list(zip(cells["source"], cells["target"], strict=True))
    return cells.assign(
        real=[len(of_class[target]) for _, target in pairs],
        frechet=[frechet_distance(generated[pair], of_class[pair[1]]) for pair in pairs],
        kernel=[kernel_distance(generated[pair], of_class[pair[1]]) for pair in pairs],
    )
