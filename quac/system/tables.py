"""Tables on disk: Parquet, with a record of what made them beside the rows."""

import pandas as pd

from quac.system.errors import QuacError
from quac.system.files import whole


def write_table(path, table, **attributes):
    """Write a DataFrame and, in the file's metadata, `attributes` (JSON values)."""
    table = table.copy(deep=False)
    table.attrs = attributes
    with whole(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_table(path, columns=None, filters=None):
    """A DataFrame; its attributes are in `.attrs`. Raises QuacError where the file cannot be read.

    Args:
        columns: names of those to read; left out: all.
        filters: of the rows, see `pandas.read_parquet`; left out: all.
    """
    try:
        return pd.read_parquet(path, columns=columns, filters=filters)
    except (OSError, ValueError) as error:  # pyarrow's errors are of these kinds
        raise QuacError(f"{path}: cannot be read ({error}); delete it and run the same command again") from None
