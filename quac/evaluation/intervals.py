"""95 % intervals of rates over queries, of their averages over source classes, and of paired differences.

The tries of a query are not independent, so every interval is over queries: each counts by its rate, which is the share
of its tries (or targets, or style kinds) that have some property.
"""

from collections.abc import Mapping

import numpy as np

Z = 1.96  # quantile of the normal distribution
RESAMPLES = 2000


def rate_interval(values: np.ndarray, groups: np.ndarray | None = None) -> tuple[float, float]:
    """95 % interval of the mean of the rates of queries (n,), each from 0 to 1; n >= 1.

    Agresti and Coull (1998), for rates: add Z^2 / 2 queries of rate 0 and as many of rate 1 to the n queries; of all
    these, with mean m and population standard deviation s, the interval is m +- Z s / sqrt(n + Z^2), within [0, 1].
    For rates of 0 and 1 it is their interval.

    The lower limit is the smallest that this gives for these rates or any higher ones, so it is monotone: a rate that
    falls never raises it. That differs from the plain formula only where few queries are far above the others, since
    the spread then falls with them. The upper limit likewise.

    Args:
        groups: (n,) group (patient, plate) of each query, whose queries are not independent. Every query then counts
            with the mean of its group, which leaves the mean as it is, and n is the number of groups: if their sizes
            k differ, the effective one (Kish 1965), (sum k)^2 / sum k^2.
    """
    rates, n = np.asarray(values, float), float(len(values))
    if groups is not None:
        _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
        rates, n = (np.bincount(group, rates) / sizes)[group], n**2 / float((sizes**2).sum())
    return _lower(rates, n), 1 - _lower(1 - rates, n)


def _lower(rates: np.ndarray, n: float) -> float:
    # The formula is concave in the rates and symmetric, so it is smallest where some of the highest are raised to 1.
    # Entry k: the k highest are.
    highest = np.sort(rates)[::-1]
    sums = rates.sum() + np.append(0, np.cumsum(1 - highest))
    squares = (rates**2).sum() + np.append(0, np.cumsum(1 - highest**2))
    mean, square = ((n * total / len(rates) + Z**2 / 2) / (n + Z**2) for total in (sums, squares))
    limits = mean - Z * np.sqrt((square - mean**2) / (n + Z**2))
    return max(0.0, float(limits.min()))


def average_interval(
    values: Mapping[str, np.ndarray], groups: Mapping[str, np.ndarray] | None = None
) -> tuple[float, float]:
    """95 % interval of the unweighted mean over source classes of the means over queries.

    MOVER (Zou and Donner 2008): with the means m_i and intervals (l_i, u_i) of K sources, the limits are
    mean(m) - sqrt(sum (m_i - l_i)^2) / K and mean(m) + sqrt(sum (u_i - m_i)^2) / K.

    Args:
        values: {source: (queries,)}: the mean of each query over targets (and style kinds), from 0 to 1.
        groups: {source: (queries,)}, see `rate_interval`.
    """
    means = np.array([np.mean(rates) for rates in values.values()])
    intervals = [rate_interval(rates, None if groups is None else groups[name]) for name, rates in values.items()]
    low, high = np.array(intervals).T
    mean, count = float(means.mean()), len(means)
    below, above = (float(np.sqrt(((means - ends) ** 2).sum())) / count for ends in (low, high))
    return max(0.0, mean - below), min(1.0, mean + above)


def paired_difference(
    one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(one - other, lower, upper): difference of the unweighted means over source classes, with its 95 % interval.

    A percentile bootstrap over the queries within each source: a resample draws the same queries of both.

    Args:
        one, other: {source: (queries, ...)}: numbers of each query; the same sources, and the same queries in the same
            order. Each of the further axes is compared by itself, and stays in the result.
        seed: of the resamples.
    """
    rng = np.random.default_rng(seed)
    differences = [np.asarray(one[source], float) - np.asarray(other[source], float) for source in sorted(one)]
    resampled = sum(_resampled_means(rng, difference) for difference in differences) / len(differences)
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    return np.mean([difference.mean(0) for difference in differences], axis=0), low, high


def _resampled_means(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """Means (RESAMPLES, ...) of as many draws with replacement of values (n, ...)."""
    n = len(values)
    block, means = max(1, 2_000_000 // n), []  # resamples at a time: 32 MB
    for start in range(0, RESAMPLES, block):
        size = min(block, RESAMPLES - start)
        drawn = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        means.append(np.tensordot(counts / n, values, 1))
    return np.concatenate(means)
