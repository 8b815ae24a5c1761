"""The files of a finished run, from which its report is built."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from quac.config.resolve import read_config
from quac.data.store import open_stores
from quac.report.current import Result
from quac.report.pictures import query_picture
from quac.report.schema import StageRecord
from quac.system.files import read_json, whole
from quac.system.tables import read_table
from quac.training.marker import read_marker


class RunFiles:
    """The files of a run, opened.

    Attributes:
        inputs: {name: path, or list of paths}, as rule `report` names them. `scores` is a pattern with `{step:06d}`.
        config: the resolved config.
        conversions: the (split, style kind) of each conversion, in the order of the lists.
        stores: {split: Store}.
        tables: {(split, style kind): attributes of the table of tries}; `scored`: those of each checkpoint's table.
        checks, classifier_check, selected, controls, styles, trained: content of the JSON files.
        fit, oracle_fit: those of the trainings of the classifier and of the oracle; None if the config names others.
    """

    def __init__(self, inputs: dict[str, Any]) -> None:
        self.inputs = inputs
        self.config = read_config(Path(inputs["config"]))
        kinds = self.config.model.style_kinds
        self.conversions = [(split, kind) for split in self.config.evaluated_splits for kind in kinds]
        self.stores = open_stores(inputs["stores"], inputs["indexes"])
        self.classes = self.stores["train"].classes
        self._rows = {
            split: {path: row for row, path in enumerate(store.paths)} for split, store in self.stores.items()
        }
        self.tables = {pair: _attributes(path) for pair, path in self.per_conversion("tables").items()}
        self.scored = [_attributes(inputs["scores"].format(step=step)) for step in self.config.steps]
        self.checks = _record(inputs["checks"], "findings", "splits", "one_fact_rules")
        self.classifier_check = _record(inputs["classifier_check"], "digest")
        self.selected = _record(inputs["selected"], "step")
        self.controls = _record(inputs["controls"])
        self.styles = _record(inputs["styles"], "split", "references", "step", "checkpoint_digest", "typical")
        self.trained = _record(inputs["trained"], "end", "sessions")
        read_marker(Path(inputs["trained"]))
        self.fit, self.oracle_fit = (
            next(map(_record, inputs[name]), None) for name in ("classifier_fit", "oracle_fit")
        )

    def per_conversion(self, name: str) -> dict[tuple[str, str], Path]:
        """{(split, style kind): path} of inputs that there is one of for each conversion."""
        return dict(zip(self.conversions, map(Path, self.inputs[name]), strict=True))

    def shown_tables(self, columns: list[str]) -> dict[str, pd.DataFrame]:
        """{style kind: columns of the table of tries} of the shown split."""
        shown = self.config.shown_split
        tables = {kind: path for (split, kind), path in self.per_conversion("tables").items() if split == shown}
        return {kind: read_table(path, columns) for kind, path in tables.items()}

    def query(self, split: str, path: str, side: int) -> str:
        """The picture of a real image as the networks see it, a data URI; its longer side is at most `side` pixels."""
        return query_picture(self.stores[split], self._rows[split][path], side)

    def sample_grids(self, end: int) -> dict[int, Path]:
        """{step: path} of the sample grids of the training up to a step, ascending."""
        paths = Path(self.inputs["samples"]).glob("*.png")
        grids = sorted((int(path.stem), path) for path in paths if path.stem.isdecimal())
        return {step: path for step, path in grids if step <= end}

    def results(self) -> Iterator[Result]:
        """Every result that the report shows, in the order of the chain."""
        inputs = self.inputs
        for path, index in ((path, _attributes(path)) for path in inputs["indexes"]):
            yield Result(path, index["split"], index)
        yield Result(inputs["checks"], "", self.checks)
        for name, made in {"classifier_fit": self.fit, "oracle_fit": self.oracle_fit}.items():
            for path in inputs[name]:
                yield Result(path, "", made or {})
        classifier = {"classifier": self.classifier_check["digest"]}
        yield Result(inputs["classifier_check"], "", {**self.classifier_check, "inputs": classifier})
        train_index = dict(zip(self.config.splits, inputs["indexes"], strict=True))["train"]
        yield Result(inputs["trained"], f"up to step {self.trained['end']}", self.trained, {"index": train_index})
        scores = [inputs["scores"].format(step=step) for step in self.config.steps]
        for path, scored in zip(scores, self.scored, strict=True):
            yield Result(path, f"step {scored['step']}, for the selection", scored)
        yield Result(inputs["selected"], "", self.selected, {"tables": scores, "score table": inputs["score_table"]})
        for name in ("tables", "cells", "averages"):
            for (split, kind), path in self.per_conversion(name).items():
                content = self.tables[split, kind] if name == "tables" else _content(path)
                table = {"table": self.per_conversion("tables")[split, kind]} if name != "tables" else {}
                yield Result(path, f"{split}, {kind}", content, table)
        shown = self.config.shown_split
        tables = [str(path) for (split, _), path in self.per_conversion("tables").items() if split == shown]
        yield Result(inputs["controls"], shown, self.controls, {"tables": tables})
        for path, tries in zip(inputs["explanations"], tables, strict=False):  # none if they are switched off
            yield Result(path, f"{shown}, {Path(tries).stem}", _attributes(path), {"table": tries})
        for path in inputs["features"]:
            yield Result(path, shown, _attributes(path), {"explanations": inputs["explanations"]})
        yield Result(inputs["styles"], self.styles["split"], self.styles)


def _content(path: Path | str) -> dict[Any, Any]:
    return _recorded(path, read_json(path, [])) if Path(path).suffix == ".json" else _attributes(path)


def _record(path: Path | str, *keys: str) -> dict[str, Any]:
    """A JSON file that says what made it, and has `keys`."""
    return _recorded(path, read_json(path, ["provenance", *keys]))


def _attributes(table: Path | str) -> dict[Any, Any]:
    return _recorded(table, read_table(table, columns=[]).attrs)


def _recorded(path: Path | str, content: dict[Any, Any]) -> dict[Any, Any]:
    """The content of a file; what it says of its making is whole, if it says anything."""
    if "provenance" in content:
        with whole(path):
            StageRecord.model_validate({**content["provenance"], "result": ""})
    return content
