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
from quac.report.feature_section import FeatureChanges, show_features
from quac.report.gallery import COLUMNS, choose_entries, show_examples
from quac.report.pictures import Pictures, picture_of, query_picture
from quac.report.run_files import RunFiles
from quac.report.style_grids import show_grids
from quac.system.console import log
from quac.system.errors import QuacError
from quac.system.files import read_json, whole
from quac.system.tables import read_csv, read_table

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
        with whole(run.inputs["checks"]):
            splits[split] = {**run.checks["splits"][split], "bits": bits, "groups": groups}
    paths = {name: [str(path) for path in train.paths[rows]] for name, rows in samples.items()}
    checked = {name: run.checks[name] for name in ("findings", "one_fact_rules")}
    with whole(run.inputs["checks"]):
        data = schema.Data.model_validate({"splits": splits, **checked, "samples": paths})

    def picture(name: str) -> str:
        split, path = name.split("/", 1)
        return run.query(split, path, PAIR_SIDE)

    return data, {
        "findings": [[tuple(map(picture, pair)) for pair in finding.pairs[:MAX_PAIRS]] for finding in data.findings],
        "classes": {name: [query_picture(train, row, SAMPLE_SIDE) for row in rows] for name, rows in samples.items()},
    }


def _classifier(run: RunFiles) -> tuple[schema.Classifier, Pictures]:
    with whole(run.inputs["classifier_check"]):
        return schema.Classifier.model_validate({**run.classifier_check, "fit": run.fit}), {}


def _training(run: RunFiles) -> tuple[schema.Training, Pictures]:
    """Pictures: {step: sample grid}, the first and the last among them."""
    grids = run.sample_grids(run.trained["end"])
    shown = {step: grids[step] for step in evenly_spaced(np.array([*grids], int), MAX_GRIDS).tolist()}
    sessions, history = run.trained["sessions"], Path(run.inputs["history"])
    pictures = {}
    for step, path in shown.items():
        try:
            pictures[step] = picture_of(path, GRID_SIDE, path.parent)
        except QuacError as error:  # nothing makes it again: the training is done
            log.warning("%s. It is left out of the report.", str(error).split(". ")[0])
    with whole(history):
        losses = _with_none(read_csv(history)).to_dict("list") if history.stat().st_size else {}
        schema.Training(steps=0, seconds=0, device="", history=losses)
    with whole(run.inputs["trained"]):
        training = schema.Training(
            steps=run.config.run.total_iters,
            seconds=sum(session["seconds"] for session in sessions),
            device=", ".join(sorted({session["device"] for session in sessions})),
            sample_grids=[str(shown[step]) for step in pictures],
            history=losses,
        )
    return training, pictures


def _selection(run: RunFiles) -> tuple[schema.Selection, Pictures]:
    table = read_csv(run.inputs["score_table"], dtype={"kind": str}, keep_default_na=False, na_values=[""])
    with whole(run.inputs["score_table"]):
        scores = [schema.Score.model_validate(row) for row in _with_none(table).to_dict("records")]
    with whole(run.inputs["selected"]):
        digest = run.trained["checkpoints"][str(run.selected["step"])]["sha256"]
        return schema.Selection.model_validate({**run.selected, "digest": digest, "scores": scores}), {}


def _matrices(run: RunFiles) -> tuple[list[schema.Matrix], Pictures]:
    cells, averages = run.per_conversion("cells"), run.per_conversion("averages")
    matrices = []
    for split, kind in run.conversions:
        rows = _with_none(read_table(cells[split, kind])).to_dict("records")
        with whole(averages[split, kind]):
            means = {name: mean for name, mean in read_json(averages[split, kind], []).items() if name != "provenance"}
            matrix = {"split": split, "kind": kind, "averages": means, "cells": rows}
            matrices.append(schema.Matrix.model_validate(matrix))
    return matrices, {}


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
        made = Path(run.inputs["style_images"]) if is_typical else folder
        return picture_of(folder / output_path(entry.query, entry.source, entry.target), side, made)

    chosen = choose_entries(best, pd.DataFrame(run.styles["typical"]), run.classes, run.config.report.examples)
    entries, pictures = show_examples(chosen, query, generated)
    return schema.Gallery(chosen=len(chosen), entries=entries), pictures


def _explanations(run: RunFiles) -> tuple[Explanations | None, Pictures]:
    """Pictures: `examples`, for each its `query`, `generated`, `counterfactual` and `mask`."""
    shown = run.config.shown_split
    return show_explanations(run.inputs["explanations"], shown, run.classes, partial(run.query, shown))


def _features(run: RunFiles) -> tuple[FeatureChanges | None, Pictures]:
    return show_features(run.inputs["features"], run.config.shown_split), {}


def _styles(run: RunFiles) -> tuple[schema.StyleGrids, Pictures]:
    """Pictures: see `show_grids`."""

    def generated(kind: str, target: str, query: int, style: int, side: int) -> str:
        made = Path(run.inputs["style_images"])
        return picture_of(made / grid_path(kind, target, query, style), side, made)

    with whole(run.inputs["styles"]):
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
    ReportSection("features", "What changed", "features", _features),
    ReportSection("styles", "Styles", "styles", _styles),
    ReportSection("provenance", "Provenance"),
)
SECTIONS = {section.name: section for section in _ALL}
