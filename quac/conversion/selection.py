"""Which checkpoint converts best."""

import pandas as pd

from quac.conversion.scores import require_complete, score

RULE = (
    "highest average conversion rate on validation, mean of both kinds; ties by the average translation rate, "
    "then by the smaller distance to the query (l1), then by the earlier step"
)


def score_checkpoints(tables, index):
    """Scores of each checkpoint, averaged over the class pairs.

    Args:
        tables: {path: table of a checkpoint's tries}, all of the split of `index`.

    Returns:
        DataFrame, one row per step and kind: `step`, `kind`, `checkpoint` (path), and what
        `quac.conversion.scores.score` gives as averages.
    """
    rows = []
    for path, table in tables.items():
        made_by = {"step": table.attrs["step"], "checkpoint": table.attrs["checkpoint"]}
        for kind in table["kind"].unique():
            tries = table[table["kind"] == kind]
            require_complete(tries, index, path)
            rows.append({**made_by, "kind": kind, **score(tries, index.attrs["classes"])[1]})
    return pd.DataFrame(rows).sort_values(["step", "kind"], ignore_index=True)


def select(scores):
    """Choose a step by RULE.

    Args:
        scores: see `score_checkpoints`.

    Returns:
        dict of `step`, `checkpoint`, and `why`: a sentence with the numbers that decided.
    """
    means = scores.groupby(["step", "checkpoint"])[["conversion_rate", "translation_rate", "l1"]].mean()
    means = means.round(12).reset_index()  # equal counts give equal rates, in whatever order they were added up
    order = means.sort_values(
        ["conversion_rate", "translation_rate", "l1", "step"], ascending=[False, False, True, True]
    )
    best = order.iloc[0]
    why = f"its conversion rate, {best.conversion_rate:.4f}, is the highest of {len(order)} checkpoint(s)"
    tied = order[order["conversion_rate"] == best.conversion_rate]
    if len(tied) > 1:
        why = f"{len(tied)} of {len(order)} checkpoints share the highest conversion rate, {best.conversion_rate:.4f}"
        why += f"; its translation rate, {best.translation_rate:.4f}, is the highest of these"
        tied = tied[tied["translation_rate"] == best.translation_rate]
        if len(tied) > 1:
            why += f", shared by {len(tied)}; of those it is the nearest to the queries (l1 {best.l1:.4f})"
    return {"step": int(best.step), "checkpoint": best.checkpoint, "why": why}
