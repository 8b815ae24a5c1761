"""Scores of a conversion table: rates per pair of classes and their averages, with intervals.

The translation rate of (source, target) is the share of all tries, of all
queries of the source, that the judge calls the target. The conversion rate is
the share of the queries of which at least one try is called the target.
Averages are unweighted means over the ordered pairs of different classes.

Intervals are of 95 % and belong to queries, since the tries of one query are
not independent: a percentile bootstrap over queries; where all queries are
alike (a rate of 0 or 1, or one query) it has nothing to vary, and Wilson's
interval over queries takes its place.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm

from quac.errors import QuacError

METRICS = ("translation_rate", "conversion_rate")
RESAMPLES = 2000
CONFIDENCE = 0.95


def per_query(table):
    """One row per source, target and query: the two rates' contributions, the mean l1, and the number of tries."""
    hit = (table["predicted"] == table["target"]).astype(float)
    groups = table.assign(hit=hit).groupby(["source", "target", "query"], sort=True)
    return groups.agg(
        translation_rate=("hit", "mean"), conversion_rate=("hit", "max"), l1=("l1", "mean"), tries=("hit", "size")
    ).reset_index()


def score(table, classes, seed=0):
    """Scores of a table of one kind.

    Args:
        table: see `quac.conversion.convert.convert`.
        classes: class names in their order.
        seed: of the bootstrap.

    Returns:
        `(cells, averages)`. Cells: a DataFrame with a row per ordered pair of
        different classes: `source`, `target`, `scored` (queries), `tries` (in all), each
        metric with `_low` and `_high`, and `l1`. Averages: a dict of the same
        metrics over all pairs, `l1`, and `queries`, `tries` in all.
    """
    queries = per_query(table)
    rng = np.random.default_rng(seed)
    cells, resampled = [], {metric: [] for metric in METRICS}
    for source in classes:
        own = queries[queries["source"] == source]
        targets = [target for target in classes if target != source]
        n = own["query"].nunique()
        values = {m: own.pivot(index="query", columns="target", values=m)[targets].to_numpy() for m in METRICS}
        bootstrap = _resampled_means(rng, values)
        for column, target in enumerate(targets):
            pair = own[own["target"] == target]
            cell = {"source": source, "target": target, "scored": n, "tries": int(pair["tries"].sum())}
            for metric in METRICS:
                rate = values[metric][:, column].mean()
                cell |= _with_interval(metric, rate, bootstrap[metric][:, column], n)
            cells.append(cell | {"l1": float(pair["l1"].mean())})
        for metric in METRICS:
            resampled[metric].append(bootstrap[metric])
    cells = pd.DataFrame(cells)
    total = queries[["source", "query"]].drop_duplicates().shape[0]
    averages = {"queries": total, "tries": len(table)}
    for metric in METRICS:
        spread = np.concatenate(resampled[metric], axis=1).mean(1)
        averages |= _with_interval(metric, cells[metric].mean(), spread, total)
    return cells, averages | {"l1": float(cells["l1"].mean())}


def _resampled_means(rng, values):
    """{metric: (queries, targets)} -> {metric: (resamples, targets)}; a resample draws the same queries for all."""
    n = len(values[METRICS[0]])
    means = {metric: [] for metric in METRICS}
    block = max(1, 10_000_000 // n)  # resamples at a time: 80 MB
    for start in range(0, RESAMPLES, block):
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=min(block, RESAMPLES - start)) / n
        for metric in METRICS:
            means[metric].append(drawn @ values[metric])
    return {metric: np.concatenate(parts) for metric, parts in means.items()}


def _with_interval(metric, rate, resampled, n):
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    if high - low < 1e-9:  # all queries alike: the bootstrap has nothing to vary
        low, high = wilson_interval(rate, n)
    return {metric: float(rate), f"{metric}_low": float(low), f"{metric}_high": float(high)}


def wilson_interval(rate, n):
    """Wilson's score interval (1927) of a rate of n independent queries."""
    z = norm.ppf((1 + CONFIDENCE) / 2)
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def require_complete(table, index, what):
    """Stop unless a table has each query of the index, the stated number of tries into each other class.

    Returns {class: number of its queries}.
    """
    classes, tries = index.attrs["classes"], table.attrs["tries"]
    expected = {name: int((index["class"] == name).sum()) for name in classes}
    counts = table.groupby(["source", "target", "query"])["try"].agg(["size", "nunique"])
    scored = counts.groupby(["source", "target"]).size()
    for source in classes:
        for target in classes:
            found = int(scored.get((source, target), 0))
            if found != (expected[source] if source != target else 0):
                raise QuacError(
                    f"{what}: {source} to {target} scores {found} queries, but {expected[source]} are expected; "
                    "delete it and run the same command again"
                )
    if not (counts == tries).all(axis=None):
        raise QuacError(f"{what}: not every query has {tries} tries; delete it and run the same command again")
    return expected


def matrix(cells, classes, metric):
    """A metric as a matrix, rows source and columns target; the diagonal is empty."""
    return cells.pivot(index="source", columns="target", values=metric).reindex(index=classes, columns=classes)
