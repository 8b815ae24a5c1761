"""The cells of a conversion: every metric of each class pair, from which its matrices are made."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from quac.evaluation.distances import add_distances
from quac.evaluation.metrics import METRICS
from quac.evaluation.scores import average, matrix, require_complete, score
from quac.evaluation.tries import Tries
from quac.system.files import file_sha256, write_json, write_text
from quac.system.provenance import Provenance
from quac.system.tables import csv_text, read_table, write_table


def cells_of(
    tries: Tries, index: pd.DataFrame, judged: pd.DataFrame, path: object
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The numbers of a table of tries of one style kind, of the split of an index.

    Args:
        judged: the classifier's outputs for real images of all splits.
        path: of the table, for messages.

    Returns:
        `(cells, averages)`. Cells: one row per class pair, with `source`, `target`, counts, every metric, and the
        intervals of shares; a metric that the table does not have, since an older version made it, is NaN. Averages:
        {name: mean over the pairs of different classes}, None if no pair has a number.

    Raises QuacError if the table is not complete.
    """
    expected, classes = require_complete(tries, index, path), index.attrs["classes"]
    cells, averages = score(tries.frame, index)
    cells = add_distances(cells, tries.frame, judged, index.attrs["split"], classes)
    cells = cells.assign(**{name: np.nan for name in METRICS if name not in cells})
    added = [name for name in METRICS if name not in averages]
    averages |= average(cells.loc[cells["source"] != cells["target"], added])
    cells.insert(2, "expected", cells["source"].map(expected))
    cells.insert(3, "found", cells["source"].map(tries.found))
    return cells, averages


def write_matrices(
    table: Path,
    index: Path,
    judged: Path,
    matrices: list[Path],
    cells: Path,
    cells_csv: Path,
    averages: Path,
    provenance: Provenance,
) -> None:
    """Write the cells of a table of tries, as Parquet and as CSV, their averages, and a CSV file per metric.

    Cells and averages have the `provenance`, and in it the digest of the table.
    """
    split = read_table(index)
    numbers, means = cells_of(Tries.read(table), split, read_table(judged), table)
    record = provenance.record(files={"table": file_sha256(table)})
    write_table(cells, numbers, provenance=record)
    write_text(cells_csv, csv_text(numbers))
    write_json(averages, {**means, "provenance": record})
    for metric, path in zip(METRICS, matrices, strict=True):
        write_text(path, csv_text(matrix(numbers, split.attrs["classes"], metric), index=True))
