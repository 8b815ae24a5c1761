"""Pairs of nearly equal hashes, without comparing each with each.

Multi-index hashing (Norouzi, Punjani and Fleet, "Fast search in Hamming space
with multi-index hashing", CVPR 2012), with several blocks to a key.
"""

from itertools import combinations, count

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

BITS = 64
# Least correlation of the thumbnails of near duplicates: copies that were saved, scaled or lit anew have 0.99;
# handwritten digits whose hashes happen to be near have at most 0.97.
ALIKE = 0.98


def near_pairs(hashes, distance):
    """Pairs of rows whose hashes differ in few bits; they connect all near duplicates, but are not all pairs.

    Rows of equal hashes are paired with the first of them only, and two
    different hashes give one pair, of the first row of each: so that an image
    that occurs a thousand times makes no million pairs. Of different hashes
    none is missed. Time and memory grow with the pairs that there are.

    Args:
        hashes: (n,) uint64.
        distance: the most bits, 0 to 10, in which a pair may differ.

    Returns:
        `(first, second)`: int64, rows with first < second, sorted, each pair once.
    """
    values, rows, value_of = np.unique(hashes, return_index=True, return_inverse=True)
    chained = rows[value_of]
    repeats = np.flatnonzero(chained != np.arange(len(hashes)))
    found = [chained[repeats] * len(hashes) + repeats]  # a pair as one number, which sorts fast and is small
    for left, right in _near_values(values, distance):
        left, right = rows[left], rows[right]
        found.append(np.minimum(left, right) * len(hashes) + np.maximum(left, right))
    pairs = np.concatenate(found)
    pairs.sort()
    return np.divmod(pairs, max(1, len(hashes)))


def likeness(thumbnails, pairs):
    """Correlation of the two thumbnails (bytes) of each pair of rows, (pairs,) from -1 to 1."""
    found = [np.empty(0)]
    for part in np.array_split(pairs, 1 + len(pairs) // 10_000):
        if not len(part):
            continue
        one, other = (
            np.frombuffer(b"".join(thumbnails[side]), np.uint8).reshape(len(part), -1).astype(np.float32)
            for side in part.T
        )
        one, other = (side - side.mean(1, keepdims=True) for side in (one, other))
        spread = np.sqrt((one**2).sum(1) * (other**2).sum(1))
        found.append(np.divide((one * other).sum(1), spread, out=np.ones_like(spread), where=spread > 0))
    return np.concatenate(found)


def groups(n, first, second):
    """A number per row, (n,) int: equal for rows that pairs connect, directly or over others."""
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def _near_values(values, distance):
    """Positions of all pairs of different values, (n,) uint64, within the distance, in pieces: two int64 arrays.

    The bits are cut into `distance + shared` blocks; two values within the
    distance agree on at least `shared` of them. So for each choice of that
    many blocks, only values that agree on them are compared.
    """
    few = len(values).bit_length() - 3  # bits of a key that up to eight values share: to compare them is cheap
    shared = next(k for k in count(1) if BITS * k >= few * (distance + k))
    blocks = distance + shared
    # A block takes its bits from all over the hash: of a perceptual hash, neighbouring bits tell less.
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
