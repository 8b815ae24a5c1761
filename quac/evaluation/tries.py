"""The tries of a conversion: the table of them, and what is measured of each beyond the classifier's verdict."""

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from quac.classifier.judge import Judge
from quac.conversion.engine import TryBatch
from quac.evaluation.metrics import METRICS
from quac.system.errors import QuacError
from quac.system.tables import read_table, write_table


@dataclass(frozen=True)
class Tries:
    """A table of tries, and what it is of. On disk: Parquet, the other fields in the file's metadata."""

    table: pd.DataFrame  # one row per try, see `quac.conversion.engine.convert`
    step: int
    checkpoint: str  # path
    checkpoint_digest: str  # SHA-256
    classes: list[str]  # names, in the order of the labels
    tries: int  # per query and target
    max_per_class: int | None  # queries of a class at most; None: all
    shard: list[int]  # [i, n]: which part of the work this is
    found: dict[str, int]  # {class: number of its images in the split}
    masked: int | None  # number of images that have a mask; None if masks are not used
    provenance: dict[str, Any]  # see `quac.system.provenance.Provenance.record`

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The tries without the corrections of queries that the classifier gets wrong: what is scored."""
        return self.table[~self.table["correction"]] if "correction" in self.table else self.table

    @classmethod
    def read(cls, path: str | Path) -> "Tries":
        """A table from its file. Raises QuacError if it is not a table of tries."""
        table = read_table(path)
        try:
            return cls(table, **{field.name: table.attrs[field.name] for field in fields(cls)[1:]})
        except KeyError as error:
            message = f"not a table of tries (no {error}). Delete it and run the workflow again."
            raise QuacError(f"{path}: {message}") from None

    def write(self, path: str | Path) -> None:
        """Write the table, whole or not at all."""
        write_table(path, self.table, **{field.name: getattr(self, field.name) for field in fields(self)[1:]})


def measure_tries(oracles: dict[str, Judge], classes: list[str], tries: TryBatch) -> list[dict[str, torch.Tensor]]:
    """{column: (B,)} of each try: the METRICS that have a `measure`; `logit_<class>`, the classifier's outputs; and of
    each oracle, `predicted_by_<name>` and `p_target_by_<name>`."""
    measured: list[dict[str, torch.Tensor]] = [{} for _ in tries.images]
    for metric in METRICS.values():
        if metric.measure:
            for row, values in zip(measured, metric.measure(tries), strict=True):
                row[metric.name] = values
    for row, image, logits in zip(measured, tries.images, tries.logits, strict=True):
        row |= {f"logit_{name}": logits[:, i] for i, name in enumerate(classes)}
        for name, oracle in oracles.items():
            p = oracle(image)
            row |= {f"predicted_by_{name}": p.argmax(1), f"p_target_by_{name}": p[:, tries.target]}
    return measured
