"""The public Python API: the explanations of a run, to select from and to look at."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from quac.data.stage_images import read_array, read_pixels
from quac.data.store import Store
from quac.system.errors import QuacError
from quac.system.tables import read_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Explanation:
    """The smallest change, by one method, that turns a query into another class in the eyes of the classifier.

    Images are (height, width, channels), uint8 or uint16, read when they are asked for.

    Attributes:
        numbers: of the table: `query` (path), `source`, `target`, `method`, `quac_score`, `mask_size` and more, see
            `quac.explanation.split_explanation.explain_split`.
    """

    numbers: dict[str, Any]
    _files: "_Files"

    @property
    def score(self) -> float:
        """The QuAC score, in [-1, 1]."""
        return self.numbers["quac_score"]

    @property
    def predictions(self) -> dict[str, tuple[str, float]]:
        """(predicted class, probability of the target class) of `query`, `generated` and `counterfactual`."""
        names = ("query", "generated", "counterfactual")
        return {name: (self.numbers[f"{name}_predicted"], self.numbers[f"{name}_p_target"]) for name in names}

    @cached_property
    def query(self) -> np.ndarray:
        """The query, as the networks see it."""
        return self._files.query(self.numbers["query"])

    @cached_property
    def generated(self) -> np.ndarray:
        """The conversion."""
        return self._files.image("generated", f"{self.numbers['file']}.png")

    @cached_property
    def counterfactual(self) -> np.ndarray:
        """The query, where the mask is 1 replaced by the conversion."""
        return self._files.image("counterfactuals", f"{self.numbers['method']}/{self.numbers['file']}.png")

    @cached_property
    def mask(self) -> np.ndarray:
        """(height, width, channels) float32 in [0, 1]."""
        folder = self._files.folder("masks")
        path = folder / f"{self.numbers['method']}/{self.numbers['file']}.npy"
        return read_array(path, folder).transpose(1, 2, 0).astype(np.float32) / 255

    def plot(self) -> "Figure":
        """A matplotlib figure: query, conversion and counterfactual with their predictions, and the mask."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10, 2.9), layout="constrained")
        axes = figure.subplots(1, 4)
        for axis, (name, (predicted, p)) in zip(axes, self.predictions.items(), strict=False):
            _show(axis, getattr(self, name))
            axis.set_title(f"{name}: {predicted}\nP({self.numbers['target']}) = {p:.2f}", fontsize=9)
        _show(axes[3], self.query)
        axes[3].imshow(self.mask.max(2), cmap="magma", alpha=0.6, vmin=0, vmax=1)
        axes[3].set_title(f"mask: {100 * self.numbers['mask_size']:.1f} %\nQuAC score {self.score:.2f}", fontsize=9)
        return figure


class Explanations:
    """Explanations of a split and style kind; selections are Explanations again.

        from quac import Explanations

        found = Explanations.load("results/mine/explanations/test/latent.parquet")
        for explanation in found.source("cat").target("dog").above(0.9).top(10):
            explanation.plot().savefig(f"{explanation.score:.2f}.png")

    Attributes:
        frame: their table, see `quac.explanation.split_explanation.explain_split`.
    """

    def __init__(self, frame: pd.DataFrame, files: "_Files"):
        self.frame, self._files = frame, files

    @classmethod
    def load(cls, path: str | Path, every_method: bool = False) -> "Explanations":
        """The explanations of a table: of the best method of each conversion, or of `every_method`.

        Raises QuacError if the file is not a table of explanations.
        """
        frame = read_table(path)
        if "paths" not in frame.attrs or "best" not in frame:
            raise QuacError(f"{path}: not a table of explanations. Give one below the folder explanations/ of a run.")
        files = _Files(Path(path).parent, frame.attrs["paths"])
        return cls(frame if every_method else frame[frame["best"].astype(bool)], files)

    def source(self, name: str) -> "Explanations":
        """Those of queries that the classifier calls a class, which is their own but for `wrong_queries`."""
        return self._where(self.frame["source"] == name)

    def target(self, name: str) -> "Explanations":
        """Those of conversions into a class."""
        return self._where(self.frame["target"] == name)

    def method(self, name: str) -> "Explanations":
        """Those by an attribution method."""
        return self._where(self.frame["method"] == name)

    def right_queries(self) -> "Explanations":
        """Those of queries that the classifier calls their class."""
        return self._where(self.frame["right"].astype(bool))

    def wrong_queries(self) -> "Explanations":
        """Those of queries that the classifier gets wrong; they are explained into their own class."""
        return self._where(~self.frame["right"].astype(bool))

    def above(self, score: float) -> "Explanations":
        """Those with a QuAC score above a number."""
        return self._where(self.frame["quac_score"] > score)

    def top(self, count: int) -> "Explanations":
        """The first `count` by their QuAC score, the highest first."""
        ordered = self.frame.sort_values("quac_score", ascending=False, kind="stable")
        return Explanations(ordered.head(count), self._files)

    def __len__(self) -> int:
        return len(self.frame)

    def __iter__(self) -> Iterator[Explanation]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Explanation:
        row = self.frame.iloc[number]
        return Explanation({str(name): value for name, value in row.items()}, self._files)

    def _where(self, rows: pd.Series) -> "Explanations":
        return Explanations(self.frame[rows], self._files)


@dataclass(frozen=True)
class _Files:
    """Where the images of a table are: paths relative to its folder."""

    base: Path
    paths: dict[str, str]

    def folder(self, name: str) -> Path:
        return self.base / self.paths[name]

    def image(self, name: str, path: str) -> np.ndarray:
        return read_pixels(self.folder(name) / path, self.folder(name))

    def query(self, path: str) -> np.ndarray:
        row = self._rows[path]
        return self._store.images([row])[0].transpose(1, 2, 0)

    @cached_property
    def _store(self) -> Store:
        return Store.open(self.folder("store"), self.folder("index"))

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {path: row for row, path in enumerate(self._store.paths)}


def _show(axis: Any, image: np.ndarray) -> None:
    axis.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=np.iinfo(image.dtype).max)
    axis.axis("off")
