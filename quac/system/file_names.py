"""File names: which of them a file system can hold, and which it takes for the same."""

import os
import re
import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from quac.system.files import FilePath

MAX_BYTES = 255  # of a name, on nearly all file systems
_ODD = re.compile(r'[?:*"<>|\\\x00-\x1f]|[. ]$')  # what FAT, NTFS and CIFS may refuse, replace or remove


def unfit_names(folder: FilePath, names: Iterable[str]) -> dict[str, str]:
    """{path: why a file of this path, relative to a folder, cannot be written there, or would replace another one}.

    Names that depend on the file system are tried out, in a temporary folder.
    """
    names = list(dict.fromkeys(names))
    faults: dict[str, str] = {}
    alike: dict[str, list[str]] = defaultdict(list)
    odd: dict[str, list[str]] = {}
    for name in names:
        parts = name.split("/")
        longest = max(len(os.fsencode(part)) for part in parts)
        if longest > MAX_BYTES:
            faults[name] = f"has a name of {longest} bytes, but {MAX_BYTES} is the limit; shorten it"
        elif found := [part for part in parts if _ODD.search(part)]:
            odd[name] = found
        alike[unicodedata.normalize("NFC", name).casefold()].append(name)
    groups = [group for group in alike.values() if len(group) > 1]
    if not (odd or groups):
        return faults
    with suppress(OSError), tempfile.TemporaryDirectory(dir=_existing(folder), prefix=".quac-names-") as place:
        probe = _Probe(Path(place))
        for name, parts in odd.items():
            if refused := [part for part in parts if not probe.holds(part)]:
                faults[name] = f"the file system of {folder} cannot hold the name {refused[0]!r}; rename it"
        for first, *others in groups:
            for other in others:
                if probe.are_same(first, other):
                    faults[other] = f"is the same as {first} on the file system of {folder}; rename one of them"
    return faults


class _Probe:
    """A folder in which names are tried out."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.holds = cache(self._holds)
        self._is_other_name = cache(self._finds)

    def are_same(self, first: str, second: str) -> bool:
        """Whether two paths with the same number of parts are one file."""
        pairs = zip(first.split("/"), second.split("/"), strict=True)
        return all(one == other or self._is_other_name(one, other) for one, other in pairs)

    def _holds(self, name: str) -> bool:
        try:
            (self.folder / name).touch()
            return name in os.listdir(self.folder)  # some file systems remove a dot at the end
        except OSError:
            return False

    def _finds(self, name: str, other: str) -> bool:
        try:
            (self.folder / name).touch()
            found = (self.folder / other).exists()
            (self.folder / name).unlink()
            return found
        except OSError:
            return False


def _existing(folder: FilePath) -> Path:
    """A folder, or the lowest folder above it that exists."""
    path = Path(os.path.abspath(folder))
    return next(each for each in (path, *path.parents) if each.is_dir())
