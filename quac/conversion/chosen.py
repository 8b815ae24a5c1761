"""Which queries are converted, and into which classes, if not all are: drawn by a seed."""

import numpy as np

from quac.data.store import Store
from quac.system.keyed_random import draw_keys


def chosen_queries(store: Store, label: int, seed: int = 0, max_per_class: int | None = None) -> np.ndarray:
    """Rows of the queries of a class: all, or `max_per_class` of them, drawn by the seed and their digests."""
    rows = store.rows_of(label)
    if max_per_class is None or len(rows) <= max_per_class:
        return rows
    draws = draw_keys(store.digests[rows], seed)
    return np.sort(rows[sorted(range(len(rows)), key=lambda i: (draws[i], i))[:max_per_class]])


def drawn_targets(classes: int, most: int, seed: int) -> list[list[int]] | None:
    """Of each class, the labels that its queries are converted into; None: all others.

    If there are more than `most` ordered pairs of classes, so many of them are drawn.
    """
    pairs = [(source, target) for source in range(classes) for target in range(classes) if source != target]
    if len(pairs) <= most:
        return None
    drawn = np.random.default_rng(seed).choice(len(pairs), most, replace=False)
    targets: list[list[int]] = [[] for _ in range(classes)]
    for source, target in (pairs[number] for number in sorted(drawn)):
        targets[source].append(target)
    return targets
