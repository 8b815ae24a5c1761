"""Draws that are functions of names: they do not depend on the order of the work, or on how it is split."""

import hashlib
from collections.abc import Iterable

import numpy as np


def generator_of(*names: object) -> np.random.Generator:
    """The random generator of some names and numbers, such as a seed, the digest of a query, and a class."""
    key = hashlib.sha256("\0".join(map(str, names)).encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(key[:16], np.uint64)))


def draw_keys(digests: Iterable[str], seed: int) -> list[str]:
    """Texts whose order is random, but the same for the same seed and digests: the first n of them are n draws."""
    return [hashlib.sha256(f"{seed}\0{digest}".encode()).hexdigest() for digest in digests]
