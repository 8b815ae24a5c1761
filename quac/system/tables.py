"""Tables on disk: Parquet, with their attributes in the metadata of the file."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from quac.system.errors import QuacError
from quac.system.files import FilePath, atomic_write


def write_table(path: FilePath, table: pd.DataFrame, **attributes: Any) -> None:
    """Write a DataFrame and, in the metadata of the file, `attributes` (JSON values)."""
    table = table.copy(deep=False)
    table.attrs = dict(attributes.items())
    with atomic_write(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_table(path: FilePath, columns: Sequence[str] | None = None, filters: list[Any] | None = None) -> pd.DataFrame:
    """A DataFrame, with its attributes in `.attrs`. Raises QuacError if the file cannot be read.

    `columns` and `filters` (of rows) are those of `pandas.read_parquet`; None: all.
    """
    try:
        return pd.read_parquet(path, columns=None if columns is None else list(columns), filters=filters)
    except (OSError, ValueError) as error:  # the errors of pyarrow are of these types
        raise QuacError(f"{path}: cannot be read ({error}). Delete it and run the workflow again.") from None
