"""Scores of a conversion: rates (see METRICS) of each pair of classes and their averages, with intervals.

Averages are unweighted means over the ordered pairs of different classes. If the table has a diagonal, it is of queries
that are given their own style: the share that keeps its class.

Intervals are of 95 % and over queries, since the tries of one query are not independent: a percentile bootstrap over
queries. If all queries are alike (a rate of 0 or 1, or one query) the bootstrap has nothing to vary, and Wilson's
interval over queries takes its place.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from quac.evaluation.metrics import RATES, names_of
from quac.evaluation.tries import Tries
from quac.system.errors import QuacError

RESAMPLES = 2000
CONFIDENCE = 0.95


def judges_of(table: pd.DataFrame) -> list[str]:
    """Names of the further classifiers of a table."""
    marker = "predicted_by_"
    return [name.removeprefix(marker) for name in table.columns if name.startswith(marker)]


def per_query(table: pd.DataFrame) -> pd.DataFrame:
    """One row per source, target and query: its tries, rates, and means of the metrics that the table has.

    `right`: whether the classifier calls the query itself its class. `translation_rate_by_<judge>` and
    `conversion_rate_by_<judge>` are by further classifiers.
    """
    columns = {"right": ("right", "first"), "tries": ("hit", "size")}
    hits = {"": "predicted", **{f"_by_{name}": f"predicted_by_{name}" for name in judges_of(table)}}
    table = table.assign(right=table["query_predicted"] == table["source"])
    for judge, predicted in hits.items():
        table[f"hit{judge}"] = (table[predicted] == table["target"]).astype(float)
        columns |= {f"{rate}{judge}": (f"hit{judge}", how) for rate, how in zip(RATES, ("mean", "max"), strict=True)}
    columns |= {name: (name, "mean") for name in names_of("try") if name in table}
    return table.groupby(["source", "target", "query"], sort=True).agg(**columns).reset_index()


def score(table: pd.DataFrame, classes: Sequence[str], seed: int = 0) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Scores of a table of one style kind, see `quac.conversion.engine.convert`; `seed`: of the bootstrap.

    Returns:
        `(cells, averages)`. Cells: a DataFrame with a row per ordered pair of classes: `source`, `target`, `scored`
        (queries), `tries` (in all), each of RATES with `_low` and `_high`, the rates by further classifiers, `right`
        (queries whose class the classifier gets right to begin with) with the rates of these, `_right`, and the metrics
        of tries. Averages: a dict of the means over the pairs of different classes, with `queries` and `tries` in all,
        and the rates' `_standard_error`s.
    """
    queries = per_query(table)
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    resampled: dict[str, list[np.ndarray]] = {metric: [] for metric in RATES}
    for source in classes:
        source_queries = queries[queries["source"] == source]
        targets = [target for target in classes if target in set(source_queries["target"])]
        n = source_queries["query"].nunique()
        values = {m: source_queries.pivot(index="query", columns="target", values=m)[targets].to_numpy() for m in RATES}
        bootstrap = _resampled_means(rng, values)
        for column, target in enumerate(targets):
            pair = source_queries[source_queries["target"] == target]
            cell: dict[str, Any] = {"source": source, "target": target, "scored": n, "tries": int(pair["tries"].sum())}
            for metric in RATES:
                cell |= _with_interval(metric, values[metric][:, column].mean(), bootstrap[metric][:, column], n)
            rows.append(cell | _means(pair))
        different = [column for column, target in enumerate(targets) if target != source]
        for metric in RATES:
            resampled[metric].append(bootstrap[metric][:, different])
    cells = pd.DataFrame(rows)
    pairs = cells[cells["source"] != cells["target"]]
    total = queries[["source", "query"]].drop_duplicates().shape[0]
    averages: dict[str, Any] = {"queries": total, "tries": int(pairs["tries"].sum())}
    for metric in RATES:
        spread = np.concatenate(resampled[metric], axis=1).mean(1)
        averages |= _with_interval(metric, pairs[metric].mean(), spread, total)
        averages[f"{metric}_standard_error"] = _standard_error(averages, metric, spread)
    others = pairs.drop(columns=["source", "target", "scored", "tries", "right", *averages.keys() & set(pairs.columns)])
    return cells, averages | average(others)


def rates_of(table: pd.DataFrame, metrics: Sequence[str] = RATES) -> dict[str, float]:
    """{name: number} of a table of tries, for each style kind and metric.

    `translation_rate_latent` is the mean over the pairs of different classes, and
    `translation_rate_latent/<source>/<target>` that of a pair.
    """
    rates = {}
    for style_kind, tries in table[table["source"] != table["target"]].groupby("kind", sort=True):
        pairs = per_query(tries).groupby(["source", "target"])[list(metrics)].mean()
        for metric in metrics:
            rates[f"{metric}_{style_kind}"] = float(pairs[metric].mean())
            pair_rates = zip(pairs.index, pairs[metric], strict=True)
            rates |= {f"{metric}_{style_kind}/{a}/{b}": float(rate) for (a, b), rate in pair_rates}
    return rates


def average(numbers: pd.DataFrame) -> dict[str, float | None]:
    """Means over the rows, {column: mean}. Pairs without a number do not count; None if no pair has one."""
    means = numbers.astype(float).mean()
    return {str(name): None if np.isnan(value) else float(value) for name, value in means.items()}


def _means(pair):
    """The numbers that have no interval."""
    numbers = pair.drop(columns=["source", "target", "query", "tries", "right", *RATES]).mean().to_dict()
    right = pair[pair["right"]]
    return {**numbers, "right": len(right), **{f"{metric}_right": right[metric].mean() for metric in RATES}}


def _resampled_means(rng, values):
    """{metric: (queries, targets)} -> {metric: (resamples, targets)}; a resample draws the same queries for all."""
    n = len(values[RATES[0]])
    means: dict[str, list[np.ndarray]] = {metric: [] for metric in RATES}
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
    """That of the resamples; if they do not vary, the one that Wilson's interval implies."""
    half = (averages[f"{metric}_high"] - averages[f"{metric}_low"]) / 2
    return float(resampled.std()) if np.ptp(resampled) > 1e-9 else half / norm.ppf((1 + CONFIDENCE) / 2)


def wilson_interval(rate: float, n: int) -> tuple[float, float]:
    """Wilson's score interval (1927) of a rate of n independent queries."""
    z = norm.ppf((1 + CONFIDENCE) / 2)
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def require_complete(tries: Tries, index: pd.DataFrame, path: object) -> dict[str, int]:
    """Raise QuacError unless a table has each query of the index, and all its tries into each other class.

    If the table has the diagonal (one try each), it must have all of it. Returns {class: number of its queries}.
    """
    classes, table = index.attrs["classes"], tries.frame
    expected = {name: int((index["class"] == name).sum()) for name in classes}
    expected = {name: min(count, tries.max_per_class or count) for name, count in expected.items()}
    counts = table.groupby(["source", "target", "query"])["try"].agg(["size", "nunique"])
    diagonal = counts.index.get_level_values("source") == counts.index.get_level_values("target")
    scored = counts.groupby(["source", "target"]).size()
    for source in classes:
        for target in classes:
            count = int(scored.get((source, target), 0))
            if count != (expected[source] if source != target or diagonal.any() else 0):
                message = f"{source} to {target} scores {count} queries, but {expected[source]} are expected."
                raise QuacError(f"{path}: {message} Delete it and run the workflow again.")
    if not (counts[~diagonal] == tries.tries).all(axis=None) or not (counts[diagonal] == 1).all(axis=None):
        raise QuacError(f"{path}: not every query has {tries.tries} tries. Delete it and run the workflow again.")
    return expected


def matrix(cells: pd.DataFrame, classes: Sequence[str], metric: str) -> pd.DataFrame:
    """A metric as a matrix, rows source and columns target; empty (NaN) if the cells do not have it."""
    cells = cells if metric in cells else cells.assign(**{metric: np.nan})
    return cells.pivot(index="source", columns="target", values=metric).reindex(index=[*classes], columns=[*classes])
