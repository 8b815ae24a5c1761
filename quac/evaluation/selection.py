"""Which checkpoint converts best."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from quac.config import Config
from quac.config.evaluation import Selection
from quac.evaluation.metrics import RATES
from quac.evaluation.scores import group_of_queries, require_complete, score
from quac.evaluation.tries import Tries
from quac.system.console import log
from quac.system.tables import read_table


def select_checkpoint(config: Config, pattern: str, index_path: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """Choose the checkpoint that converts best, of all those that a run saves.

    Args:
        pattern: path of the table of a checkpoint's tries, with `{step:06d}` in it.
        index_path: of the split that was scored.

    Returns:
        the choice, see `select`, with the `split`; and the scores, see `score_checkpoints`.
    """
    index, paths = read_table(index_path), [pattern.format(step=step) for step in config.steps]
    tables = {path: Tries.read(path) for path in paths}
    scores = score_checkpoints(tables, index)
    near = near_best(translation_rates(tables.values(), config.selection.kind), group_of_queries(index))
    selected = select(scores, config.selection, near)
    log.info("step %d: %s", selected["step"], selected["why"])
    return {**selected, "split": index.attrs["split"]}, scores


def score_checkpoints(tables: Mapping[str, Tries], index: pd.DataFrame) -> pd.DataFrame:
    """Scores of checkpoints, {path: tries} of the split of `index`, averaged over the class pairs.

    Returns a DataFrame, one row per step and style kind: `step`, `kind`, `checkpoint` (path), and the averages of
    `quac.evaluation.scores.score`.
    """
    rows = []
    for path, tries in tables.items():
        for style_kind in tries.frame["kind"].unique():
            tries_of_kind = replace(tries, table=tries.frame[tries.frame["kind"] == style_kind])
            require_complete(tries_of_kind, index, path)
            averages = score(tries_of_kind.frame, index)[1]
            rows.append({"step": tries.step, "checkpoint": tries.checkpoint, "kind": style_kind, **averages})
    return pd.DataFrame(rows).sort_values(["step", "kind"], ignore_index=True)


def translation_rates(tables: Iterable[Tries], kind: str) -> pd.DataFrame:
    """Translation rate of each query, over all its targets and tries: rows (source, query), a column per step.

    `kind`: `Selection.kind`; `mean`: over the tries of both style kinds, of which there are as many.
    """
    rates = {}
    for tries in sorted(tables, key=lambda tries: tries.step):
        frame = tries.frame[tries.frame["source"] != tries.frame["target"]]
        frame = frame if kind == "mean" else frame[frame["kind"] == kind]
        rates[tries.step] = (frame["predicted"] == frame["target"]).groupby([frame["source"], frame["query"]]).mean()
    return pd.DataFrame(rates)


def near_best(rates: pd.DataFrame, groups: pd.Series | None = None) -> list[int]:
    """The steps whose average translation rate is within one standard error of the best, which is among them.

    Checkpoints convert the same queries with the same styles, so each is compared with the best by the differences d of
    the queries' rates, weighted so that their sum is the difference of the unweighted means over source classes. Its
    standard error is sqrt(sum d^2): what it is if there is no difference in truth (McNemar 1947, for rates).

    Args:
        rates: see `translation_rates`.
        groups: {query: group}: the sum is over groups, whose queries are not independent. None: each query by itself.
    """
    source, query = (rates.index.get_level_values(level) for level in ("source", "query"))
    weights = 1 / (source.nunique() * rates.groupby(source).transform("size"))
    best = rates.mul(weights, axis=0).sum().round(12).idxmax()
    differences = rates.rsub(rates[best], axis=0).mul(weights, axis=0)
    errors = np.sqrt((differences.groupby(query if groups is None else groups[query].to_numpy()).sum() ** 2).sum())
    return rates.columns[differences.sum() <= errors + 1e-12].tolist()


def select(scores: pd.DataFrame, selection: Selection, near: list[int]) -> dict[str, Any]:
    """Choose a step by the scores of `score_checkpoints`; `near`: steps, see `near_best`.

    Returns a dict of `step`, `checkpoint`, `rule` (a sentence), and `why`: a sentence with the numbers that decided.
    """
    counted = scores if selection.kind == "mean" else scores[scores["kind"] == selection.kind]
    numbers = [name for name in (*RATES, "identification", "l1") if name in counted]
    # Equal counts give equal rates in any order of summation.
    means = counted.groupby(["step", "checkpoint"])[numbers].mean().round(12).reset_index()
    if selection.rule == "one_se":
        best, rule, why = _within_one_standard_error(means, near)
    else:
        best, rule, why = _best(means, selection.metric)
    kind = "mean of both kinds" if selection.kind == "mean" else f"{selection.kind} styles"
    return {"step": int(best.step), "checkpoint": best.checkpoint, "rule": rule.format(kind=kind), "why": why}


def _best(means, metric):
    second = next(rate for rate in RATES if rate != metric)
    name, other = metric.replace("_", " "), second.replace("_", " ")
    rule = (
        f"highest average {name} on validation, {{kind}}; ties by the average {other}, "
        "then by the smaller distance to the query (l1), then by the earlier step"
    )
    order = means.sort_values([metric, second, "l1", "step"], ascending=[False, False, True, True])
    best = order.iloc[0]
    why = f"its {name}, {best[metric]:.4f}, is the highest of {len(order)} checkpoint(s)"
    tied = order[order[metric] == best[metric]]
    if len(tied) > 1:
        why = f"{len(tied)} of {len(order)} checkpoints share the highest {name}, {best[metric]:.4f}"
        why += f"; its {other}, {best[second]:.4f}, is the highest of these"
        tied = tied[tied[second] == best[second]]
        if len(tied) > 1:
            why += f", shared by {len(tied)}; of those it is the nearest to the queries (l1 {best.l1:.4f})"
    return best, rule, why


def _within_one_standard_error(means, near):
    identified = ["identification"] if "identification" in means and means["identification"].notna().all() else []
    rule = (
        "of the checkpoints whose average translation rate on validation, {kind}, is within one standard error of the "
        "best (that of the difference, paired by query), the one of the "
        + ("highest identification, then of the " if identified else "")
        + "smallest distance to the query (l1), then the earlier step"
    )
    order = means[means["step"].isin(near)]
    ascending = [False] * len(identified) + [True, True]
    order = order.sort_values([*identified, "l1", "step"], ascending=ascending)
    best = order.iloc[0]
    why = f"of the {len(order)} of {len(means)} checkpoints within one standard error of the best translation rate, "
    why += f"{means['translation_rate'].max():.4f}, it"
    tied = len(order)
    if identified:
        why += f" has the highest identification, {best.identification:.4f}"
        tied = int((order["identification"] == best.identification).sum())
        why += f", shared by {tied}; of those it" if tied > 1 else ""
    why += f" is the nearest to the queries (l1 {best.l1:.4f})" if tied > 1 or not identified else ""
    return best, rule, why
