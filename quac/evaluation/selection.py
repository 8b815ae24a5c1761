"""Which checkpoint converts best."""

import pandas as pd

from quac.evaluation.metrics import RATES
from quac.evaluation.scores import require_complete, score


def score_checkpoints(tables, index):
    """Scores of each checkpoint, averaged over the class pairs.

    Args:
        tables: {path: table of a checkpoint's tries}, all of the split of `index`.

    Returns:
        DataFrame, one row per step and kind: `step`, `kind`, `checkpoint` (path), and what
        `quac.evaluation.scores.score` gives as averages.
    """
    rows = []
    for path, table in tables.items():
        made_by = {"step": table.attrs["step"], "checkpoint": table.attrs["checkpoint"]}
        for kind in table["kind"].unique():
            tries = table[table["kind"] == kind]
            require_complete(tries, index, path)
            rows.append({**made_by, "kind": kind, **score(tries, index.attrs["classes"])[1]})
    return pd.DataFrame(rows).sort_values(["step", "kind"], ignore_index=True)


def select(scores, selection):
    """Choose a step.

    Args:
        scores: see `score_checkpoints`.
        selection: a config's section: `metric`, `kind`, `rule`.

    Returns:
        dict of `step`, `checkpoint`, `rule` (a sentence), and `why`: a sentence with the numbers that decided.
    """
    counted = scores if selection.kind == "mean" else scores[scores["kind"] == selection.kind]
    groups = counted.groupby(["step", "checkpoint"])
    means = groups[[*RATES, "l1"]].mean()
    # The standard error of a mean of kinds, as if they were independent: of the same queries they are not quite.
    errors = groups[[f"{rate}_standard_error" for rate in RATES]].agg(lambda e: (e**2).sum() ** 0.5 / len(e))
    means = means.join(errors).round(12).reset_index()  # equal counts give equal rates, in whatever order added up
    choose = _within_one_standard_error if selection.rule == "one_se" else _best
    best, rule, why = choose(means, selection.metric)
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
    why = (
        f"of the {near.sum()} of {len(means)} checkpoints within one standard error of the best, it is the nearest to "
    )
    return best, rule, why + f"the queries (l1 {best.l1:.4f})"
