"""Cells of CSV files, which people open in spreadsheets: no text is taken for a formula."""

import re
from typing import Any

_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def csv_safe(value: Any) -> Any:
    """A value of a CSV file: a text that a spreadsheet would take for a formula gets a `'` in front."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def csv_plain(value: str) -> str:
    """The text of a cell that `csv_safe` has written."""
    return value[1:] if value.startswith("'") and _FORMULA.match(value[1:]) else value
