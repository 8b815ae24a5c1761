"""The files of a finished run, from which its report is built."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quac.config.resolve import read_config
from quac.data.store import open_stores
from quac.report.pictures import query_picture
from quac.report.provenance import Record
from quac.system.files import read_json
from quac.system.tables import read_table


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
        names = ("checks", "classifier_check", "selected", "controls", "styles", "trained")
        contents = (read_json(inputs[name]) for name in names)
        self.checks, self.classifier_check, self.selected, self.controls, self.styles, self.trained = contents
        self.fit, self.oracle_fit = (
            next(map(read_json, inputs[name]), None) for name in ("classifier_fit", "oracle_fit")
        )

    def per_conversion(self, name: str) -> dict[tuple[str, str], Path]:
        """{(split, style kind): path} of inputs that there is one of for each conversion."""
        return dict(zip(self.conversions, map(Path, self.inputs[name]), strict=True))

    def query(self, split: str, path: str, side: int) -> str:
        """The picture of a real image as the networks see it, a data URI; its longer side is at most `side` pixels."""
        return query_picture(self.stores[split], self._rows[split][path], side)

    def sample_grids(self, end: int) -> dict[int, Path]:
        """{step: path} of the sample grids of the training up to a step, ascending."""
        paths = Path(self.inputs["samples"]).glob("*.png")
        grids = sorted((int(path.stem), path) for path in paths if path.stem.isdecimal())
        return {step: path for step, path in grids if step <= end}

    def results(self) -> Iterator[tuple[str, Record]]:
        """(which result, its provenance) of each result, in the order of the chain."""
        for index in map(_attributes, self.inputs["indexes"]):
            yield index["split"], index["provenance"]
        for made in (self.checks, self.fit, self.oracle_fit, self.classifier_check):
            if made:
                yield "", made["provenance"]
        yield f"up to step {self.trained['end']}", self.trained["provenance"]
        for scored in self.scored:
            yield f"step {scored['step']}, for the selection", scored["provenance"]
        yield "", self.selected["provenance"]
        for (split, kind), table in self.tables.items():
            yield f"{split}, {kind}", table["provenance"]
        for made in (self.controls, self.styles):
            yield made["split"], made["provenance"]


def _attributes(table: Path | str) -> dict[Any, Any]:
    return read_table(table, columns=[]).attrs
