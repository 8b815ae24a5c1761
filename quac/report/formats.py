"""How the report writes numbers."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

DASH = "\N{EN DASH}"  # where there is no number
MAX_ROWS = 200  # of the history; all are in the JSON
SHADES = 20  # of a cell's background: 0 to SHADES, see shades.css


def percent(rate: float | None) -> str:
    """A share of 0 to 1, in percent."""
    return DASH if rate is None else f"{100 * rate:.1f}"


def decimals(number: float | None, digits: int = 3) -> str:
    """A fixed number of digits after the point."""
    return DASH if number is None else f"{number:.{digits}f}"


def significant(number: float | None) -> str:
    """Three digits, without an exponent up to a million."""
    if number is None:
        return DASH
    return f"{number:.3g}" if 0 < abs(number) < 1e-3 or abs(number) >= 1e6 else f"{float(f'{number:.3g}'):g}"


def duration(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def shade(share: float | None) -> int:
    """The shade of a cell: 0 to SHADES for a share of 0 to 1."""
    return 0 if share is None else round(SHADES * min(1.0, max(0.0, share)))


def thinned(history: dict[str, list[Any]]) -> list[tuple[Any, ...]]:
    """The rows of a history of columns: at most MAX_ROWS, evenly spaced, the last one among them."""
    rows = list(zip(*history.values(), strict=True))
    return rows[:: -max(1, -(-len(rows) // MAX_ROWS))][::-1]


def explorer_link(run: str, **filters: str) -> str:
    """The address of a run's explorer, beside its report; `filters`: values of its fields, by their names."""
    return f"./{quote(run)}-explorer.html" + (f"#{urlencode(filters)}" if filters else "")


# By `Metric.format`.
FORMATS: dict[str, Callable[..., str]] = {"percent": percent, "decimals": decimals, "significant": significant}
