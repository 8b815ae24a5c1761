"""The explanations for the report: how small a change flips the decision, by each attribution method."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from quac.data.images import to_8_bit, to_image
from quac.data.stage_images import read_array, read_pixels
from quac.data.store import evenly_spaced
from quac.explanation.summary import summarize
from quac.report.explanation_parts import (
    ExplainedPair,
    ExplanationExample,
    Explanations,
    MethodScores,
    Mistakes,
    NoiseScores,
)
from quac.report.pictures import Picture, Pictures, data_uri, fit_pictures, picture_of
from quac.system.tables import read_table

EXAMPLES = 2  # of a pair and style kind: that of the highest score, and a typical one
MAX_BYTES, SIDES = 2_000_000, (128, 64, 32)  # of all pictures together, and of one at most
MASK_COLOUR = (255, 0, 190)

Query = Callable[[str, int], str]  # (path, largest side) -> data URI


def show_explanations(tables: Iterable[Path], split: str, classes: list[str], query: Query) -> tuple[Any, Pictures]:
    """The part of the report, or None if there are no tables; pictures: for each example a dict of data URIs.

    Args:
        tables: see `quac.explanation.split_explanation.explain_split`, one of each style kind.
        query: makes the picture of a query.
    """
    opened = [(Path(path), read_table(path)) for path in tables]
    if not opened:
        return None, {}
    methods: list[MethodScores] = []
    noise: list[NoiseScores] = []
    mistakes: list[Mistakes] = []
    pairs: list[ExplainedPair] = []
    examples: list[tuple[ExplanationExample, dict[str, Picture]]] = []
    for path, table in opened:
        right = table["right"].astype(bool)
        mistakes.append(_mistakes(path.stem, table[~right & table["best"].astype(bool)], table.attrs["mistakes"]))
        if made := table.attrs["noise"]:
            noise.append(NoiseScores(kind=path.stem, **made))
        for kind, of_kind in table[right].groupby("kind"):
            rows = {str(name): of_method for name, of_method in of_kind.groupby("method")}
            methods += [_scores(str(kind), name, rows[name]) for name in table.attrs["methods"]]
            pairs += _pairs(str(kind), of_kind, classes)
            folders = {name: path.parent / folder for name, folder in table.attrs["paths"].items()}
            examples += _examples(str(kind), of_kind, classes, folders, query)
    groups = [{(number, name): picture for name, picture in made.items()} for number, (_, made) in enumerate(examples)]
    count, _, pictures = fit_pictures(groups, SIDES, MAX_BYTES, needed=len(groups)) if groups else (0, 0, {})
    part = Explanations(
        split=split,
        max_per_pair=opened[0][1].attrs["max_per_pair"],
        methods=methods,
        noise=noise,
        mistakes=mistakes,
        pairs=pairs,
        examples=[example for example, _ in examples[:count]],
    )
    shown = [{name: pictures[number, name] for name in made} for number, (_, made) in enumerate(examples[:count])]
    return part, {"examples": shown}


def _scores(kind: str, method: str, rows: pd.DataFrame) -> MethodScores:
    return MethodScores(kind=kind, method=method, **summarize(rows))


def _mistakes(kind: str, best: pd.DataFrame, counts: dict[str, int]) -> Mistakes:
    return Mistakes(kind=kind, **counts, explained=_scores(kind, "best of each", best) if len(best) else None)


def _pairs(kind: str, table: pd.DataFrame, classes: list[str]) -> list[ExplainedPair]:
    """Medians of each pair of classes, also of those without a converted query."""
    grouped = {pair: rows for pair, rows in table.groupby(["source", "target"])}
    pairs = []
    for source, target in ((a, b) for a in classes for b in classes if a != b):
        rows = grouped.get((source, target))
        scores = {} if rows is None else rows.groupby("method")["quac_score"].median().to_dict()
        once = None if rows is None else rows.drop_duplicates("query")
        pairs.append(
            ExplainedPair(
                kind=kind,
                source=source,
                target=target,
                conversions=0 if once is None else len(once),
                quac_scores={str(name): float(score) for name, score in scores.items()},
                cout=None if once is None else float(once["cout"].median()),
                aupc_target=None if once is None else float(once["aupc_target"].median()),
            )
        )
    return pairs


def _examples(
    kind: str, table: pd.DataFrame, classes: list[str], folders: dict[str, Path], query: Query
) -> list[tuple[ExplanationExample, dict[str, Picture]]]:
    """Of each pair the explanation with the highest score, and one in the middle, by the best method of each."""
    best = table[table["best"].astype(bool)].sort_values("quac_score", ascending=False, kind="stable")
    grouped = {pair: rows for pair, rows in best.groupby(["source", "target"], sort=False)}
    examples = []
    for pair in ((a, b) for a in classes for b in classes):
        if pair in grouped:
            rows = grouped[pair]
            chosen = evenly_spaced(np.arange(len(rows) // 2 + 1), EXAMPLES)  # the first, and the median
            for row in rows.iloc[chosen].to_dict("records"):
                example = ExplanationExample.model_validate({**row, "kind": kind})
                name = PurePosixPath(example.method, example.file)
                changed = folders["counterfactuals"] / f"{name}.png"
                pictures: dict[str, Picture] = {
                    "query": partial(query, example.query),
                    "generated": partial(
                        picture_of, folders["generated"] / f"{example.file}.png", made=folders["generated"]
                    ),
                    "counterfactual": partial(picture_of, changed, made=folders["counterfactuals"]),
                    "mask": partial(_overlay, folders, name),
                }
                examples.append((example, pictures))
    return examples


def _overlay(folders: dict[str, Path], name: PurePosixPath, side: int) -> str:
    """The picture of a counterfactual, with what was changed coloured."""
    images, masks = folders["counterfactuals"], folders["masks"]
    pixels = to_image(to_8_bit(read_pixels(images / f"{name}.png", images))).convert("RGB")
    share = 0.6 * read_array(masks / f"{name}.npy", masks).max(0)[:, :, None] / 255
    return data_uri(
        Image.fromarray((np.asarray(pixels) * (1 - share) + np.array(MASK_COLOUR) * share).astype(np.uint8)), side
    )
