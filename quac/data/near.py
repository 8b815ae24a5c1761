"""Pairs of nearly equal hashes, found without comparing all pairs.

Multi-index hashing (Norouzi, Punjani and Fleet, CVPR 2012), with several blocks per key.
"""

from collections.abc import Iterator
from itertools import combinations, count

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

BITS = 64
# Of the thumbnails of near duplicates: copies that were saved again, rescaled or brightened have 0.99; handwritten
# digits whose hashes happen to be near have at most 0.97.
MIN_CORRELATION = 0.98


def near_pairs(hashes: np.ndarray, distance: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows whose hashes differ in few bits; they connect all near duplicates, but are not all pairs.

    Rows of equal hashes are paired with the first of them only, and two different hashes give one pair, of the first
    row of each, so that an image that occurs a thousand times does not make a million pairs. Of different hashes no
    pair is missed. Time and memory grow with the number of pairs.

    Args:
        hashes: (n,) uint64.
        distance: largest number of bits, 0 to 10, in which the hashes of a pair differ.

    Returns:
        `(first, second)`: int64 rows with first < second, sorted, each pair once.
    """
    values, rows, value_of = np.unique(hashes, return_index=True, return_inverse=True)
    chained = rows[value_of]
    repeats = np.flatnonzero(chained != np.arange(len(hashes)))
    numbers = [chained[repeats] * len(hashes) + repeats]  # a pair as one number: small, and fast to sort
    for left, right in _near_values(values, distance):
        left, right = rows[left], rows[right]
        numbers.append(np.minimum(left, right) * len(hashes) + np.maximum(left, right))
    pairs = np.concatenate(numbers)
    pairs.sort()
    return np.divmod(pairs, max(1, len(hashes)))


def thumbnail_correlation(thumbnails: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Correlation of the two thumbnails of each pair of rows, (pairs,) from -1 to 1.

    Args:
        thumbnails: (n,) of bytes, all of one length.
        pairs: (pairs, 2) int, rows.
    """
    correlations = [np.empty(0)]
    for part in np.array_split(pairs, 1 + len(pairs) // 10_000):
        if not len(part):
            continue
        first, second = (
            np.frombuffer(b"".join(thumbnails[rows]), np.uint8).reshape(len(part), -1).astype(np.float32)
            for rows in part.T
        )
        first, second = (values - values.mean(1, keepdims=True) for values in (first, second))
        scale = np.sqrt((first**2).sum(1) * (second**2).sum(1))
        correlations.append(np.divide((first * second).sum(1), scale, out=np.ones_like(scale), where=scale > 0))
    return np.concatenate(correlations)


def components(n: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """A number per row, (n,) int: equal for rows that are connected by pairs, directly or through other rows."""
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def _near_values(values: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield positions of all pairs of different values, (n,) uint64, within the distance: two int64 arrays each.

    The bits are divided into `distance + shared` blocks; two values within the distance agree on at least `shared` of
    them. So for each choice of that many blocks, only values that agree on them are compared.
    """
    few = len(values).bit_length() - 3  # bits of a key that up to eight values share: comparing these is cheap
    shared = next(k for k in count(1) if BITS * k >= few * (distance + k))
    blocks = distance + shared
    # The bits of a block come from all over the hash: neighbouring bits of a perceptual hash are correlated.
    masks = [np.uint64(sum(1 << bit for bit in range(block, BITS, blocks))) for block in range(blocks)]
    for choice in combinations(range(blocks), shared):
        keys = values & np.bitwise_or.reduce([masks[block] for block in choice])
        order = np.argsort(keys)
        keys, ordered = keys[order], values[order]
        skipped = [masks[block] for block in range(choice[-1]) if block not in choice]
        starts = np.arange(len(values))
        for offset in count(1):
            starts = starts[: np.searchsorted(starts, len(values) - offset)]
            starts = starts[keys[starts] == keys[starts + offset]]
            if not len(starts):
                break
            differing = ordered[starts] ^ ordered[starts + offset]
            # A pair that also agrees on a skipped block was found by an earlier choice.
            new = np.bitwise_count(differing) <= distance
            for mask in skipped:
                new &= differing & mask != 0
            yield order[starts[new]], order[starts[new] + offset]
