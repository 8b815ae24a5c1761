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


def reason_of(error: BaseException) -> str:
    """Why a file cannot be read, in a few words on one line.

    Without the advice of torch and NumPy to load files of other kinds all the same, which runs their code.
    """
    if "weights_only" in str(error) or "Weights only load failed" in str(error) or "allow_pickle" in str(error):
        return "it is damaged, or holds more than numbers"
    if errors := getattr(error, "errors", None):  # of pydantic
        first = errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    strerror = getattr(error, "strerror", None)
    return str(strerror).lower() if strerror else error_lines(error)[0]


def bullet_list(items: Sequence[Any], limit: int | None = 10) -> str:
    """At most `limit` items (None: all), one a line, indented; then how many more there are."""
    lines = [f"  {item}" for item in items[:limit]]
    if limit is not None and len(items) > limit:
        lines.append(f"  ... and {len(items) - limit} more")
    return "\n".join(lines)
