"""The sections of the report, in their order, and how their parts are read from the files of a run.

A new section is an entry here, a function that reads its part of the JSON, and a template.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from quac.conversion.image_folder import grid_path, typical_path
from quac.data.result_names import output_path
from quac.data.store import evenly_spaced
from quac.report import schema
from quac.report.explanation_parts import Explanations
from quac.report.explanation_section import show_explanations
from quac.report.gallery import COLUMNS, choose_entries, show_examples
from quac.report.pictures import Pictures, picture_of, query_picture
from quac.report.run_files import RunFiles
from quac.report.style_grids import show_grids
from quac.system.files import read_json
from quac.system.tables import read_table

MAX_PAIRS, PAIR_SIDE = 12, 64  # shown of a finding, and their size in pixels
MAX_SAMPLES, SAMPLE_SIDE = 8, 64  # of each class
MAX_GRIDS, GRID_SIDE = 4, 1200  # of the training


@dataclass(frozen=True)
class ReportSection:
    """A section of the page, made by the template `<name>.html`, whose variables are described in `quac.report.page`.

    Attributes:
        name: its anchor, and the key of its pictures.
        title: in the navigation.
        part: the part of the report's JSON that it shows; without it the section is left out. None: it shows what
            other sections have.
        collect: reads the part and its pictures from the files of a run.
    """

    name: str
    title: str
    part: str | None = None
    collect: Callable[[RunFiles], tuple[Any, Pictures]] | None = None


def _data(run: RunFiles) -> tuple[schema.Data, Pictures]:
    """Pictures: `findings`, for each a list of its first pairs; `classes`, {class: list}."""
    train = run.stores["train"]
    samples = {name: evenly_spaced(train.rows_of(label), MAX_SAMPLES) for label, name in enumerate(run.classes)}
    splits = {}
    for split, path in zip(run.config.splits, run.inputs["indexes"], strict=True):
        index = read_table(path, ["bits", "group"])
        bits = {str(depth): count for depth, count in index["bits"].value_counts().items()}
        groups = index.loc[index["group"] != "", "group"].nunique()
        splits[split] = {**run.checks["splits"][split], "bits": bits, "groups": groups}
    paths = {name: [str(path) for path in train.paths[rows]] for name, rows in samples.items()}
    checked = {name: run.checks[name] for name in ("findings", "one_fact_rules")}
    data = schema.Data.model_validate({"splits": splits, **checked, "samples": paths})

    def picture(name: str) -> str:
        split, path = name.split("/", 1)
        return run.query(split, path, PAIR_SIDE)

    return data, {
        "findings": [[tuple(map(picture, pair)) for pair in finding.pairs[:MAX_PAIRS]] for finding in data.findings],
        "classes": {name: [query_picture(train, row, SAMPLE_SIDE) for row in rows] for name, rows in samples.items()},
    }


def _classifier(run: RunFiles) -> tuple[schema.Classifier, Pictures]:
    return schema.Classifier.model_validate({**run.classifier_check, "fit": run.fit}), {}


def _training(run: RunFiles) -> tuple[schema.Training, Pictures]:
    """Pictures: {step: sample grid}, the first and the last among them."""
    grids = run.sample_grids(run.trained["end"])
    shown = {step: grids[step] for step in evenly_spaced(np.array([*grids], int), MAX_GRIDS).tolist()}
    sessions, history = run.trained["sessions"], Path(run.inputs["history"])
    training = schema.Training(
        steps=run.config.run.total_iters,
        seconds=sum(session["seconds"] for session in sessions),
        device=", ".join(sorted({session["device"] for session in sessions})),
        sample_grids=[str(path) for path in shown.values()],
        history=_with_none(pd.read_csv(history)).to_dict("list") if history.stat().st_size else {},
    )
    return training, {step: picture_of(path, GRID_SIDE) for step, path in shown.items()}


def _selection(run: RunFiles) -> tuple[schema.Selection, Pictures]:
    scores = pd.read_csv(run.inputs["score_table"], dtype={"kind": str}, keep_default_na=False, na_values=[""])
    digest = run.trained["checkpoints"][str(run.selected["step"])]["sha256"]
    selection = {**run.selected, "digest": digest, "scores": _with_none(scores).to_dict("records")}
    return schema.Selection.model_validate(selection), {}


def _matrices(run: RunFiles) -> tuple[list[schema.Matrix], Pictures]:
    cells, averages = run.per_conversion("cells"), run.per_conversion("averages")
    means = {pair: read_json(path) for pair, path in averages.items()}
    matrices = [
        {
            "split": split,
            "kind": kind,
            "averages": {name: mean for name, mean in means[split, kind].items() if name != "provenance"},
            "cells": _with_none(read_table(cells[split, kind])).to_dict("records"),
        }
        for split, kind in run.conversions
    ]
    return [schema.Matrix.model_validate(matrix) for matrix in matrices], {}


def _controls(run: RunFiles) -> tuple[schema.Controls, Pictures]:
    return schema.Controls.model_validate(run.controls), {}


def _gallery(run: RunFiles) -> tuple[schema.Gallery, Pictures]:
    """Pictures: see `show_examples`."""
    shown = run.config.shown_split
    tables = {kind: path for (split, kind), path in run.per_conversion("tables").items() if split == shown}
    best = {kind: read_table(path, COLUMNS, [("best", "==", True)]) for kind, path in tables.items()}
    images = run.per_conversion("images")

    def query(entry: schema.GalleryEntry, side: int) -> str:
        return run.query(shown, entry.query, side)

    def generated(entry: schema.GalleryEntry, side: int) -> str:
        is_typical = entry.group == "typical"
        folder = Path(run.inputs["style_images"], typical_path(entry.kind)) if is_typical else images[shown, entry.kind]
        return picture_of(folder / output_path(entry.query, entry.source, entry.target), side)

    chosen = choose_entries(best, pd.DataFrame(run.styles["typical"]), run.classes, run.config.report.examples)
    entries, pictures = show_examples(chosen, query, generated)
    return schema.Gallery(chosen=len(chosen), entries=entries), pictures


def _explanations(run: RunFiles) -> tuple[Explanations | None, Pictures]:
    """Pictures: `examples`, for each its `query`, `generated`, `counterfactual` and `mask`."""
    shown = run.config.shown_split
    return show_explanations(run.inputs["explanations"], shown, run.classes, partial(run.query, shown))


def _styles(run: RunFiles) -> tuple[schema.StyleGrids, Pictures]:
    """Pictures: see `show_grids`."""

    def generated(kind: str, target: str, query: int, style: int, side: int) -> str:
        return picture_of(Path(run.inputs["style_images"], grid_path(kind, target, query, style)), side)

    query, reference = partial(run.query, run.config.shown_split), partial(run.query, run.styles["references"])
    return show_grids(run.styles, query, reference, generated)


def _with_none(table: pd.DataFrame) -> pd.DataFrame:
    """A table with None where there is no value."""
    return table.astype(object).where(table.notna(), None)


_ALL = (
    ReportSection("verdict", "Verdict"),
    ReportSection("data", "Data", "data", _data),
    ReportSection("classifier", "Classifier", "classifier", _classifier),
    ReportSection("training", "Training", "training", _training),
    ReportSection("selection", "Selection", "selection", _selection),
    ReportSection("matrices", "Matrices", "matrices", _matrices),
    ReportSection("controls", "Controls", "controls", _controls),
    ReportSection("examples", "Examples", "gallery", _gallery),
    ReportSection("explanations", "Explanations", "explanations", _explanations),
    ReportSection("styles", "Styles", "styles", _styles),
    ReportSection("provenance", "Provenance"),
)
SECTIONS = {section.name: section for section in _ALL}
