"""Scores of a conversion table: rates per pair of classes and their averages, with intervals.

The translation rate of (source, target) is the share of all tries, of all
queries of the source, that the judge calls the target. The conversion rate is
the share of the queries of which at least one try is called the target.
Averages are unweighted means over the ordered pairs of different classes.
Where the table has it, the diagonal is of queries that are given their own
style: how many keep their class.

Intervals are of 95 % and belong to queries, since the tries of one query are
not independent: a percentile bootstrap over queries; where all queries are
alike (a rate of 0 or 1, or one query) it has nothing to vary, and Wilson's
interval over queries takes its place.
"""

import numpy as np
import pandas as pd
from scipy.stats import norm

from quac.evaluation.metrics import MEANS, RATES
from quac.system.errors import QuacError

RESAMPLES = 2000
CONFIDENCE = 0.95


def judges_of(table):
    """Names of the further judges of a table."""
    marker = "predicted_by_"
    return [name.removeprefix(marker) for name in table.columns if name.startswith(marker)]


def per_query(table):
    """One row per source, target and query: what it adds to each number of the pair.

    `right` tells whether the judge calls the query itself its class; `translation_rate_by_<judge>` and
    `conversion_rate_by_<judge>` are by further judges.
    """
    columns = {"right": ("right", "first"), "tries": ("hit", "size")}
    hits = {"": "predicted", **{f"_by_{name}": f"predicted_by_{name}" for name in judges_of(table)}}
    table = table.assign(right=table["query_predicted"] == table["source"])
    for judge, predicted in hits.items():
        table[f"hit{judge}"] = (table[predicted] == table["target"]).astype(float)
        columns |= {
            f"translation_rate{judge}": (f"hit{judge}", "mean"),
            f"conversion_rate{judge}": (f"hit{judge}", "max"),
        }
    columns |= {name: (name, "mean") for name in MEANS if name in table}
    return table.groupby(["source", "target", "query"], sort=True).agg(**columns).reset_index()


def score(table, classes, seed=0):
    """Scores of a table of one kind.

    Args:
        table: see `quac.conversion.engine.convert`.
        classes: class names in their order.
        seed: of the bootstrap.

    Returns:
        `(cells, averages)`. Cells: a DataFrame with a row per ordered pair of classes: `source`, `target`, `scored`
        (queries), `tries` (in all), each of RATES with `_low` and `_high`, the rates by further judges, `right`
        (queries that the judge calls right to begin with) with the rates of these, `_right`, and MEANS. Averages: a
        dict of the means over the pairs of different classes, with `queries` and `tries` in all, and the rates'
        `_standard_error`s.
    """
    queries = per_query(table)
    rng = np.random.default_rng(seed)
    cells, resampled = [], {metric: [] for metric in RATES}
    for source in classes:
        own = queries[queries["source"] == source]
        targets = [target for target in classes if target in set(own["target"])]
        n = own["query"].nunique()
        values = {m: own.pivot(index="query", columns="target", values=m)[targets].to_numpy() for m in RATES}
        bootstrap = _resampled_means(rng, values)
        for column, target in enumerate(targets):
            pair = own[own["target"] == target]
            cell = {"source": source, "target": target, "scored": n, "tries": int(pair["tries"].sum())}
            for metric in RATES:
                cell |= _with_interval(metric, values[metric][:, column].mean(), bootstrap[metric][:, column], n)
            cells.append(cell | _means(pair))
        different = [column for column, target in enumerate(targets) if target != source]
        for metric in RATES:
            resampled[metric].append(bootstrap[metric][:, different])
    cells = pd.DataFrame(cells)
    pairs = cells[cells["source"] != cells["target"]]
    total = queries[["source", "query"]].drop_duplicates().shape[0]
    averages = {"queries": total, "tries": int(pairs["tries"].sum())}
    for metric in RATES:
        spread = np.concatenate(resampled[metric], axis=1).mean(1)
        averages |= _with_interval(metric, pairs[metric].mean(), spread, total)
        averages[f"{metric}_standard_error"] = _standard_error(averages, metric, spread)
    others = pairs.drop(columns=["source", "target", "scored", "tries", "right", *averages.keys() & set(pairs.columns)])
    return cells, averages | average(others)


def rates_of(table, metrics=RATES):
    """{name: number} of a table of tries: `translation_rate_latent`, the mean over the pairs of different classes, and
    `translation_rate_latent/<source>/<target>`; the same of each kind and each of `metrics`."""
    found = {}
    for kind, tries in table[table["source"] != table["target"]].groupby("kind", sort=True):
        pairs = per_query(tries).groupby(["source", "target"])[list(metrics)].mean()
        for metric in metrics:
            found[f"{metric}_{kind}"] = float(pairs[metric].mean())
            found |= {f"{metric}_{kind}/{a}/{b}": float(number) for (a, b), number in pairs[metric].items()}
    return found


def average(numbers):
    """Means over the rows of a DataFrame, {column: mean}; a pair that has none does not count, no pair gives None."""
    means = numbers.astype(float).mean()
    return {name: None if np.isnan(value) else float(value) for name, value in means.items()}


def _means(pair):
    """What has no interval."""
    numbers = pair.drop(columns=["source", "target", "query", "tries", "right", *RATES]).mean().to_dict()
    right = pair[pair["right"]]
    return {**numbers, "right": len(right), **{f"{metric}_right": right[metric].mean() for metric in RATES}}


def _resampled_means(rng, values):
    """{metric: (queries, targets)} -> {metric: (resamples, targets)}; a resample draws the same queries for all."""
    n = len(values[RATES[0]])
    means = {metric: [] for metric in RATES}
    block = max(1, 10_000_000 // n)  # resamples at a time: 80 MB
    for start in range(0, RESAMPLES, block):
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=min(block, RESAMPLES - start)) / n
        for metric in RATES:
            means[metric].append(drawn @ values[metric])
    return {metric: np.concatenate(parts) for metric, parts in means.items()}


def _with_interval(metric, rate, resampled, n):
    low, high = np.quantile(resampled, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    if high - low < 1e-9:  # all queries alike: the bootstrap has nothing to vary
        low, high = wilson_interval(rate, n)
    return {metric: float(rate), f"{metric}_low": float(low), f"{metric}_high": float(high)}


def _standard_error(averages, metric, resampled):
    """Of the resamples; where they do not vary, what Wilson's interval stands for."""
    half = (averages[f"{metric}_high"] - averages[f"{metric}_low"]) / 2
    return float(resampled.std()) if np.ptp(resampled) > 1e-9 else half / norm.ppf((1 + CONFIDENCE) / 2)


def wilson_interval(rate, n):
    """Wilson's score interval (1927) of a rate of n independent queries."""
    z = norm.ppf((1 + CONFIDENCE) / 2)
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def require_complete(table, index, what):
    """Stop unless a table has each query of the index, the stated number of tries into each other class.

    Where the table has the diagonal (one try each), it must have all of it. Returns {class: number of its queries}.
    """
    classes, tries, most = index.attrs["classes"], table.attrs["tries"], table.attrs["max_per_class"]
    expected = {name: int((index["class"] == name).sum()) for name in classes}
    expected = {name: min(count, most or count) for name, count in expected.items()}
    counts = table.groupby(["source", "target", "query"])["try"].agg(["size", "nunique"])
    own = counts.index.get_level_values("source") == counts.index.get_level_values("target")
    scored = counts.groupby(["source", "target"]).size()
    for source in classes:
        for target in classes:
            found = int(scored.get((source, target), 0))
            if found != (expected[source] if source != target or own.any() else 0):
                raise QuacError(
                    f"{what}: {source} to {target} scores {found} queries, but {expected[source]} are expected; "
                    "delete it and run the same command again"
                )
    if not (counts[~own] == tries).all(axis=None) or not (counts[own] == 1).all(axis=None):
        raise QuacError(f"{what}: not every query has {tries} tries; delete it and run the same command again")
    return expected


def matrix(cells, classes, metric):
    """A metric as a matrix, rows source and columns target."""
    return cells.pivot(index="source", columns="target", values=metric).reindex(index=classes, columns=classes)
