"""Many explanations in a few numbers."""

from typing import Any

import numpy as np
import pandas as pd

CURVE_POINTS = 21  # of the 101 mask sizes
BY_ORACLE = "counterfactual_predicted_by_"  # columns


def summarize(rows: pd.DataFrame) -> dict[str, Any]:
    """The numbers of explanations by one method, see `quac.explanation.split_explanation.explain_split`; JSON values.

    Returns `conversions`, how many; `quac_score` and `mask_size`, medians; `flipped`, the share of counterfactuals that
    the classifier calls the target, and `flipped_by`, that of each oracle; `curve`, `curve_low` and `curve_high`, the
    median and the quartiles of the change of the target's probability at CURVE_POINTS mask sizes from 0 to 1.
    """
    curves = np.stack(rows["curve"].to_list())[:, :: 100 // (CURVE_POINTS - 1)]
    low, middle, high = np.quantile(curves, [0.25, 0.5, 0.75], axis=0).tolist()

    def share(column: str) -> float:
        return float((rows[column] == rows["target"]).mean())

    oracles = [name for name in map(str, rows) if name.startswith(BY_ORACLE)]
    return {
        "conversions": len(rows),
        "quac_score": float(rows["quac_score"].median()),
        "mask_size": float(rows["mask_size"].median()),
        "flipped": share("counterfactual_predicted"),
        "flipped_by": {name.removeprefix(BY_ORACLE): share(name) for name in oracles},
        "curve": middle,
        "curve_low": low,
        "curve_high": high,
    }
