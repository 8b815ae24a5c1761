"""Errors for users, and their messages."""

from collections.abc import Sequence
from typing import Any


class QuacError(Exception):
    """An error that a user can correct.

    The message names the file or config key and the remedy; the command line shows it without a traceback and exits
    with status 1.
    """


def error_lines(error: BaseException) -> list[str]:
    """The message of an error, as lines: at least one, which is its type if the message is empty."""
    return str(error).strip().splitlines() or [type(error).__name__]


def bullet_list(items: Sequence[Any], limit: int | None = 10) -> str:
    """At most `limit` items (None: all), one a line, indented; then how many more there are."""
    lines = [f"  {item}" for item in items[:limit]]
    if limit is not None and len(items) > limit:
        lines.append(f"  ... and {len(items) - limit} more")
    return "\n".join(lines)
