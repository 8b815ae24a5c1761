"""Results that are dated in the future, because the clock has been set back, or was that of another machine."""

import os
import time
from collections.abc import Iterable, Iterator

from quac.system.files import FilePath

TIMESTAMP = ".snakemake_timestamp"  # by which Snakemake dates a folder that a rule makes


def date_now(folders: Iterable[FilePath], files: Iterable[FilePath] = ()) -> int:
    """Date what is dated in the future now; returns the number of files.

    Their order stays. Snakemake runs a stage again if its input is younger than its output: what is written after an
    edit would be older than such results, and would be forgotten if the workflow were stopped before they are made.

    Args:
        folders: with all in them, except what lies in a folder that a rule has made: that is dated as a whole.
        files: further ones, which need not exist.
    """
    now = time.time_ns()
    times: dict[int, list[FilePath]] = {}  # paths by their times
    for path in [*files, *(path for folder in folders for path in _dated(folder))]:
        try:
            status = os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            continue
        if status.st_mtime_ns > now:
            times.setdefault(status.st_mtime_ns, []).append(path)
    for rank, (_, paths) in enumerate(sorted(times.items(), reverse=True)):
        for path in paths:
            os.utime(path, ns=(now, now - 1000 * rank), follow_symlinks=False)
    return sum(map(len, times.values()))


def _dated(top: FilePath) -> Iterator[str]:
    for folder, folders, files in os.walk(top):
        if TIMESTAMP in files:
            folders.clear()
            files = [TIMESTAMP]
        yield from (os.path.join(folder, file) for file in files)
