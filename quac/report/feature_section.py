"""The measured features for the report: what changed, in words."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from quac.report.feature_parts import FeatureChange, FeatureChanges, FeaturePair
from quac.system.files import whole
from quac.system.tables import read_table

SHOWN = 6  # features of a pair
LEVEL = 0.05  # a change with a smaller p-value is certain, and comes first


def show_features(tables: Sequence[Path], split: str) -> FeatureChanges | None:
    """The part of the report; None if nothing was explained.

    Args:
        tables: none, or the one of `quac.explanation.feature_changes`.
    """
    for path in tables:
        table = read_table(path)
        with whole(path):
            return _part(table, split)
    return None


def _part(table: pd.DataFrame, split: str) -> FeatureChanges:
    left_out = defaultdict(list)
    for entry in table.attrs["left_out"]:
        left_out[entry["kind"], entry["source"], entry["target"]].append(entry["feature"])
    pairs = []
    for (kind, source, target), rows in table.groupby(["kind", "source", "target"], sort=False):
        spread = rows["real_sd"].where(rows["real_sd"] > 0, np.finfo(float).tiny)  # all the same: a change ranks first
        ranked = rows.assign(certain=rows["generated_change_p"] < LEVEL, effect=rows["generated_change"].abs() / spread)
        shown = ranked.sort_values(["certain", "effect"], ascending=False, kind="stable").head(SHOWN).astype(object)
        pairs.append(
            FeaturePair(
                kind=kind,
                source=source,
                target=target,
                conversions=int((rows["conversions"] + rows["undefined"]).max()),
                features=[
                    FeatureChange.model_validate(row) for row in shown.where(shown.notna(), None).to_dict("records")
                ],
                excess=rows.loc[rows["excess"].astype(bool), "feature"].tolist(),
                left_out=left_out[kind, source, target],
            )
        )
    compared = {(pair.kind, pair.source, pair.target) for pair in pairs}
    for (kind, source, target), features in left_out.items():  # of which nothing could be compared
        if (kind, source, target) not in compared:
            pairs.append(
                FeaturePair(kind=kind, source=source, target=target, features=[], excess=[], left_out=features)
            )
    names = {feature.feature for pair in pairs for feature in pair.features}
    definitions = {name: text for name, text in table.attrs["definitions"].items() if name in names}
    return FeatureChanges(split=split, pairs=pairs, definitions=definitions)
