import numpy as np
import pytest

from quac.data.near import components, near_pairs


def all_pairs(hashes, distance):
    """What `near_pairs` promises, by comparing each with each."""
    pairs, first_of = [], {}
    for row, value in enumerate(hashes.tolist()):
        if value in first_of:
            pairs.append((first_of[value], row))
            continue
        near = np.bitwise_count(hashes[:row] ^ hashes[row]) <= distance
        pairs += [(other, row) for other in np.flatnonzero(near) if first_of[int(hashes[other])] == other]
        first_of[value] = row
    return sorted(pairs)


def clustered(rng, n, centres, bits):
    """Hashes that differ from one of a few centres in at most so many bits; equal ones among them."""
    flips = np.bitwise_or.reduce(np.uint64(1) << rng.integers(0, 64, (bits, n), dtype=np.uint64), axis=0)
    flips[rng.random(n) < 0.1] = 0
    return rng.integers(0, 2**64, centres, dtype=np.uint64)[rng.integers(0, centres, n)] ^ flips


@pytest.mark.parametrize("distance", [0, 1, 2, 4, 7, 10])
@pytest.mark.parametrize("n", [2, 3, 60, 600])
def test_no_pair_is_missed_and_none_is_too_far(n, distance):
    rng = np.random.default_rng([n, distance])
    for hashes in (
        rng.integers(0, 2**64, n, dtype=np.uint64),
        rng.integers(0, 2**12, n, dtype=np.uint64),
        rng.integers(0, 2**12, n, dtype=np.uint64) << np.uint64(52),
        clustered(rng, n, centres=max(1, n // 20), bits=8),
    ):
        first, second = near_pairs(hashes, distance)
        assert first.dtype == second.dtype == np.int64
        assert list(zip(first.tolist(), second.tolist(), strict=True)) == all_pairs(hashes, distance)


def test_thousands_of_hashes():
    hashes = clustered(np.random.default_rng(0), 4000, centres=300, bits=5)
    first, second = near_pairs(hashes, 4)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == all_pairs(hashes, 4)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_for_a_pair(n):
    first, second = near_pairs(np.zeros(n, np.uint64), 4)
    assert len(first) == len(second) == 0
    assert components(n, first, second).tolist() == [0] * n


def test_equal_hashes_are_paired_only_with_the_first():
    first, second = near_pairs(np.full(1000, 7, np.uint64), 4)
    assert first.tolist() == [0] * 999
    assert second.tolist() == list(range(1, 1000))


def test_components_are_connected_through_other_rows():
    assert len(set(components(5, np.array([0, 1]), np.array([1, 3])).tolist())) == 3
    chain = np.array([0, 0b111, 2**64 - 1, 0b111111], np.uint64)
    number = components(4, *near_pairs(chain, 3))
    assert number[0] == number[1] == number[3] != number[2]
