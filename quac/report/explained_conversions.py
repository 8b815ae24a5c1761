"""The explained conversions of a style kind, from the table and the folders of the stage `explain`."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from quac.data.stage_images import read_array, read_pixels
from quac.data.store import Store
from quac.report.sprites import Tiles
from quac.system.errors import QuacError
from quac.system.keyed_random import draw_keys
from quac.system.tables import read_table

# Of a pair's conversions, where its sprites begin: if a page is full, every pair has about as many.
STARTS, STEP = (0, 1, 4), 16


class ExplainedConversions:
    """The conversions of a table of explanations, each with the explanations by every method.

    Attributes:
        classes, methods: their names.
        folders: {name: path}, see `quac.explanation.split_explanation.write_explanations`.
        conversions: a row each, ordered by pair, and within a pair at random (by the digests of the queries), with
            the `group` of the query.
        explanations: a row each, in the same order, those of a conversion one after the other, as `methods` are.
    """

    def __init__(self, path: Path):
        table = read_table(path)
        if not {"paths", "methods", "classes"} <= table.attrs.keys():
            raise QuacError(f"{path}: not a table of explanations. Delete it and run the workflow again.")
        self.classes: list[str] = table.attrs["classes"]
        self.methods: list[str] = table.attrs["methods"]
        self.folders = {name: path.parent / folder for name, folder in table.attrs["paths"].items()}
        keys = {
            **{name: table[name].map(self.classes.index) for name in ("source", "target")},
            "draw": draw_keys(table["digest"], 0),
            "query": table["query"],
            "method": table["method"].map(self.methods.index),
        }
        order = pd.DataFrame(keys, index=table.index).sort_values(list(keys)).index
        self.explanations = table.loc[order].reset_index(drop=True)
        self.conversions = self.explanations.iloc[:: max(1, len(self.methods))].reset_index(drop=True)
        if self.explanations["method"].tolist() != self.methods * len(self.conversions):
            raise QuacError(f"{path}: some conversions lack a method. Delete it and run the workflow again.")
        index = read_table(self.folders["index"], ["path", "group"])
        groups = dict(zip(index["path"], index["group"], strict=True))
        self.conversions["group"] = self.conversions["query"].map(groups)

    def __len__(self) -> int:
        return len(self.conversions)

    def pairs(self) -> dict[tuple[str, str], np.ndarray]:
        """{(source, target): rows of its conversions}."""
        return self.conversions.groupby(["source", "target"], sort=False).indices  # type: ignore[return-value]

    def parts(self) -> Iterator[tuple[int, np.ndarray]]:
        """(where it begins within its pair, rows) of the conversions of each sprite."""
        for rows in self.pairs().values():
            starts = [*STARTS, *range(STEP, len(rows), STEP)]
            for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
                if start < len(rows):
                    yield start, rows[start:end]

    def tiles(self, row: int) -> Tiles:
        """The pictures of a conversion. Raises QuacError if one is missing or damaged."""
        name, folders = self.conversions["file"].iloc[row], self.folders
        generated = read_pixels(folders["generated"] / f"{name}.png", folders["generated"])
        masks = [read_array(folders["masks"] / method / f"{name}.npy", folders["masks"]) for method in self.methods]
        query = self._store.images([self._rows[self.conversions["query"].iloc[row]]])[0].transpose(1, 2, 0)
        return Tiles(query, generated, np.concatenate(masks))

    @cached_property
    def _store(self) -> Store:
        return Store.open(self.folders["store"], self.folders["index"])

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {path: row for row, path in enumerate(self._store.paths)}
