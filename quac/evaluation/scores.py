"""Scores of a conversion: the metrics of tries and queries (see METRICS) of each pair of classes and their averages.

Averages are unweighted means over the ordered pairs of different classes. If the table has a diagonal, it is of queries
that are converted into their own class: the share that keeps it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from quac.evaluation.intervals import average_interval, rate_interval
from quac.evaluation.metrics import IDENTIFICATION_QUERIES, METRICS, RATES
from quac.evaluation.tries import Tries
from quac.system.errors import QuacError


def oracles_of(table: pd.DataFrame) -> list[str]:
    """Names of the oracles of a table."""
    marker = "predicted_by_"
    return [name.removeprefix(marker) for name in table.columns if name.startswith(marker)]


def per_query(table: pd.DataFrame) -> pd.DataFrame:
    """One row per source, target and query: its tries, rates, and means of the metrics that the table has.

    `right`: whether the classifier calls the query itself its class; `called_before`: whether (1 or 0) the target.
    `translation_rate_by_<oracle>` and `conversion_rate_by_<oracle>` are by oracles; `agreement_with_<oracle>` is the
    share of the tries that both the classifier and the oracle call the target.
    """
    columns = {"right": ("right", "first"), "called_before": ("called_before", "first"), "tries": ("hit", "size")}
    hits = {"": "predicted", **{f"_by_{name}": f"predicted_by_{name}" for name in oracles_of(table)}}
    table = table.assign(right=table["query_predicted"] == table["source"])
    table["called_before"] = (table["query_predicted"] == table["target"]).astype(float)
    for judge, predicted in hits.items():
        table[f"hit{judge}"] = (table[predicted] == table["target"]).astype(float)
        columns |= {f"{rate}{judge}": (f"hit{judge}", how) for rate, how in zip(RATES, ("mean", "max"), strict=True)}
    for name in oracles_of(table):
        table[f"agreement_with_{name}"] = table["hit"] * table[f"hit_by_{name}"]
        columns[f"agreement_with_{name}"] = (f"agreement_with_{name}", "mean")
    measured = {metric.name: metric.column or metric.name for metric in METRICS.values() if metric.kind == "try"}
    columns |= {name: (column, "mean") for name, column in measured.items() if column in table}
    return table.groupby(["source", "target", "query"], sort=True).agg(**columns).reset_index()


def score(table: pd.DataFrame, index: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Scores of a table of one style kind, see `quac.conversion.engine.convert`.

    Args:
        index: of the split: its classes, the number of their images, and their groups, see `group_of_queries`.

    Returns:
        `(cells, averages)`. Cells: a DataFrame with a row per ordered pair of classes: `source`, `target`, `scored`
        (queries), `groups` of the source class (NaN without groups), `tries` (in all), the metrics of tries and
        queries, the rates by oracles and the agreement with them, `right` (queries whose class the classifier gets
        right to begin with) with the rates of these, `_right`, and `identification_chance`. Metrics that have an
        interval, and the rates by oracles, come with `_low` and `_high`. Averages: a dict of the means over the pairs
        of different classes, with `queries` and `tries` in all, and the smallest number of `groups` of a class (None
        without).
    """
    queries, classes = per_query(table), index.attrs["classes"]
    bounded = [metric.name for metric in METRICS.values() if metric.has_interval and metric.name in queries]
    bounded += [f"{rate}_by_{oracle}" for oracle in oracles_of(table) for rate in RATES]
    group_of, images = group_of_queries(index), index["class"].value_counts()
    rows: list[dict[str, Any]] = []
    means: dict[str, dict[str, np.ndarray]] = {metric: {} for metric in bounded}
    groups: dict[str, np.ndarray] = {}
    for source in classes:
        pairs = {target: pair for target, pair in queries[queries["source"] == source].groupby("target", sort=False)}
        targets = [target for target in classes if target in pairs]
        if group_of is not None:
            groups[source] = group_of[pairs[targets[0]]["query"]].to_numpy()
        counts = {"groups": len(set(groups[source])) if groups else np.nan}
        counts["identification_chance"] = 1 / min(IDENTIFICATION_QUERIES, images[source])
        for target in targets:
            pair = pairs[target]
            cell = {"source": source, "target": target, "scored": len(pair), "tries": int(pair["tries"].sum())}
            for metric in bounded:
                cell |= _ends(metric, rate_interval(pair[metric].to_numpy(), groups.get(source)))
            rows.append(cell | counts | _means(pair))
        for metric in bounded:
            rates = [pairs[target][metric].to_numpy() for target in targets if target != source]
            means[metric][source] = np.mean(rates, axis=0)
    cells = pd.DataFrame(rows)
    different = cells[cells["source"] != cells["target"]]
    averages: dict[str, Any] = average(different.drop(columns=["source", "target", "scored", "right"]))
    averages["queries"] = queries[["source", "query"]].drop_duplicates().shape[0]
    averages["tries"] = int(different["tries"].sum())
    averages["groups"] = int(different["groups"].min()) if groups else None
    for metric in bounded:
        averages |= _ends(metric, average_interval(means[metric], groups or None))
    return cells, averages


def group_of_queries(index: pd.DataFrame) -> pd.Series | None:
    """{path: group} of the images of an index; an image without one is its own. None if no image has a group."""
    if "group" not in index or not (index["group"] != "").any():
        return None
    return index["group"].where(index["group"] != "", "\0" + index["path"]).set_axis(index["path"])


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


def _means(pair: pd.DataFrame) -> dict[str, Any]:
    """The metrics of a pair, and the rates of its queries that are right to begin with."""
    numbers = pair.drop(columns=["source", "target", "query", "tries", "right"]).mean()
    right = pair[pair["right"]]
    return {"right": len(right), **{f"{metric}_right": right[metric].mean() for metric in RATES}, **dict(numbers)}


def _ends(metric: str, interval: tuple[float, float]) -> dict[str, float]:
    return {f"{metric}_low": interval[0], f"{metric}_high": interval[1]}


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
