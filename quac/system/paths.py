"""Paths that people write: expanded, and compared by where they lead."""

import os
import re

from quac.system.errors import QuacError

AnyPath = str | os.PathLike[str]
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})", re.ASCII)


def expand_path(path: str, folder: AnyPath = "") -> str:
    """A path with `~`, `~user`, `$NAME` and `${NAME}` replaced, as a shell does.

    A name that exists as it is written is left as it is, and so is a `~` before a name that is no user's. `folder`: the
    one that the path is relative to. Raises QuacError if a variable is not set.
    """
    if not path.startswith("~") and "$" not in path:
        return path
    if path != "~" and not path.startswith("~/") and os.path.lexists(os.path.join(folder, path)):
        return path
    if unset := [name for match in _VARIABLE.findall(path) for name in match if name and name not in os.environ]:
        raise QuacError(f"{path}: the environment has no variable {unset[0]}. Set it, or write the path in full.")
    return os.path.expandvars(os.path.expanduser(path))


def is_within(path: AnyPath, folder: AnyPath) -> bool:
    """Whether a path leads to a folder, or to something below it, through whichever links. Both need not exist."""
    real = os.path.realpath(folder)
    return os.path.realpath(path) == real or os.path.realpath(path).startswith(os.path.join(real, ""))


def is_same_file(path: AnyPath, other: AnyPath) -> bool:
    """Whether two paths lead to one file, through whichever links, letter cases or hard links."""
    if os.path.realpath(path) == os.path.realpath(other):
        return True
    try:
        return os.path.samefile(path, other)
    except OSError:  # one does not exist yet
        return False
