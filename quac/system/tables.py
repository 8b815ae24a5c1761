"""Tables on disk: Parquet, with their attributes in the metadata of the file; and CSV, for people."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype

from quac.system.errors import QuacError, reason_of
from quac.system.files import DAMAGED, FilePath, atomic_write, whole
from quac.system.spreadsheets import csv_plain, csv_safe

RECORD = "written"  # an attribute: the columns, and a digest of them and the other attributes; pages have checksums


def write_table(path: FilePath, table: pd.DataFrame, **attributes: Any) -> None:
    """Write a DataFrame and, in the metadata of the file, `attributes` (JSON values)."""
    table = table.copy(deep=False)
    columns = [str(name) for name in table.columns]
    table.attrs = dict({**attributes, RECORD: {"columns": columns, "sha256": _digest(attributes, columns)}}.items())
    with atomic_write(path) as temporary:
        table.to_parquet(temporary, index=False, write_page_checksum=True)


def read_table(path: FilePath, columns: Sequence[str] | None = None, filters: list[Any] | None = None) -> pd.DataFrame:
    """A DataFrame, with its attributes in `.attrs`. Raises QuacError if the file cannot be read, or is damaged.

    `columns` and `filters` (of rows) are those of `pandas.read_parquet`; None: all.
    """
    try:
        wanted = None if columns is None else list(columns)
        table = pd.read_parquet(path, columns=wanted, filters=filters, page_checksum_verification=True)
        if record := table.attrs.pop(RECORD, None):  # tables of version 1 have none
            written = record["columns"] if wanted is None else wanted
            if record["sha256"] != _digest(table.attrs, record["columns"]) or sorted(written) != sorted(table.columns):
                raise ValueError("its columns or attributes are not those that were written")
        return table
    except (OSError, MemoryError, *DAMAGED) as error:  # pyarrow's errors are of these types
        reason = reason_of(error)
        raise QuacError(f"{path}: cannot be read ({reason}). Delete it and run the workflow again.") from None


def _digest(attributes: Any, columns: list[str]) -> str:
    as_read = json.loads(json.dumps([attributes, columns]))
    return hashlib.sha256(json.dumps(as_read, sort_keys=True).encode()).hexdigest()


def read_csv(path: FilePath, **options: Any) -> pd.DataFrame:
    """A CSV file of ours; `options` are those of `pandas.read_csv`. Raises QuacError if it is damaged."""
    with whole(path):
        table = pd.read_csv(path, **options)
        if not isinstance(table.index, pd.RangeIndex):  # pandas takes what is too much for names of the rows
            raise ValueError("a row is longer than the first")
        return table.map(lambda value: csv_plain(value) if isinstance(value, str) else value)


def csv_text(table: pd.DataFrame, index: bool = False) -> str:
    """A table as the text of a CSV file, in which no cell is a formula for a spreadsheet, see `csv_safe`."""
    safe = table.apply(lambda column: column if is_numeric_dtype(column) else column.map(csv_safe))
    safe = safe.rename(columns=csv_safe)
    return (safe.rename(index=csv_safe) if index else safe).to_csv(index=index)
