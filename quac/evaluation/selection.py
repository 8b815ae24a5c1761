"""Which checkpoint converts best."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from quac.config import Config
from quac.config.evaluation import Selection
from quac.evaluation.metrics import RATES
from quac.evaluation.scores import require_complete, score
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
    scores = score_checkpoints({path: Tries.read(path) for path in paths}, index)
    selected = select(scores, config.selection)
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
            tries_of_kind = replace(tries, frame=tries.frame[tries.frame["kind"] == style_kind])
            require_complete(tries_of_kind, index, path)
            averages = score(tries_of_kind.frame, index.attrs["classes"])[1]
            rows.append({"step": tries.step, "checkpoint": tries.checkpoint, "kind": style_kind, **averages})
    return pd.DataFrame(rows).sort_values(["step", "kind"], ignore_index=True)


def select(scores: pd.DataFrame, selection: Selection) -> dict[str, Any]:
    """Choose a step by the scores of `score_checkpoints`.

    Returns a dict of `step`, `checkpoint`, `rule` (a sentence), and `why`: a sentence with the numbers that decided.
    """
    counted = scores if selection.kind == "mean" else scores[scores["kind"] == selection.kind]
    groups = counted.groupby(["step", "checkpoint"])
    means = groups[[*RATES, "l1"]].mean()
    # The standard error of a mean of kinds as if they were independent; on the same queries they are not quite.
    errors = groups[[f"{rate}_standard_error" for rate in RATES]].agg(_error_of_mean)
    means = means.join(errors).round(12).reset_index()  # equal counts give equal rates in any order of summation
    choose = _within_one_standard_error if selection.rule == "one_se" else _best
    best, rule, why = choose(means, selection.metric)
    kind = "mean of both kinds" if selection.kind == "mean" else f"{selection.kind} styles"
    return {"step": int(best.step), "checkpoint": best.checkpoint, "rule": rule.format(kind=kind), "why": why}


def _error_of_mean(errors: pd.Series) -> float:
    return (errors**2).sum() ** 0.5 / len(errors)


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


def _within_one_standard_error(means, metric):
    rule = (
        "of the checkpoints within one standard error of the best in both average rates on validation, {kind}, the one "
        "nearest to the queries (l1), then the earlier step"
    )
    near = pd.Series(True, index=means.index)
    for rate in RATES:
        top = means.loc[means[rate].idxmax()]
        near &= means[rate] >= top[rate] - top[f"{rate}_standard_error"]
    if not near.any():  # the best in one rate is far from the best in the other
        best, _, why = _best(means, metric)
        return best, rule, f"none is within one standard error in both rates; {why}"
    best = means[near].sort_values(["l1", "step"]).iloc[0]
    why = f"of the {near.sum()} of {len(means)} checkpoints within one standard error of the best, it is the nearest "
    return best, rule, why + f"to the queries (l1 {best.l1:.4f})"
