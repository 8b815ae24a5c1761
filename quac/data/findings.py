"""Findings of the data checks: a message, the remedy, the files."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from quac.system.console import log
from quac.system.errors import QuacError, bullet_list
from quac.system.files import FilePath

Finding = dict[str, Any]


@dataclass(frozen=True)
class DataSet:
    """The splits of a data set, as the checks see them."""

    indexes: dict[str, pd.DataFrame]  # by split, see `quac.data.index.build_index`
    rows: pd.DataFrame  # of all splits, with their `split`, and their `name`, "split/path"
    usable: pd.DataFrame  # the rows without an error
    results: FilePath = "."  # folder whose file system has to hold the results

    @property
    def classes(self) -> list[str]:
        """Those that have an image in any split, sorted."""
        return sorted(self.rows["class"].unique())

    @property
    def sources(self) -> str:
        """Where the splits come from, for messages."""
        return join_words(list(dict.fromkeys(index.attrs["source"] for index in self.indexes.values())))


def finding(message: str, remedy: str, files: Iterable[str] = (), pairs: Iterable[Iterable[str]] = ()) -> Finding:
    """A finding, without its code and severity; see `quac.data.checks.check_splits`."""
    return {"message": message, "remedy": remedy, "files": list(files), "pairs": [list(pair) for pair in pairs]}


def describe(findings: Sequence[Finding], limit: int | None = 10) -> str:
    """The findings as text, each with at most `limit` of its files (None: all)."""
    lines = []
    for each in findings:
        lines += [f"{each['severity']}: {each['message']} ({each['code']})", f"  remedy: {each['remedy']}"]
        lines += [bullet_list(each["files"], limit)] if each["files"] else []
    return "\n".join(lines)


def log_findings(findings: Sequence[Finding]) -> None:
    """Write all findings to the log file, and the warnings to the screen. Raises QuacError if there are errors."""
    errors = sum(finding["severity"] == "error" for finding in findings)
    log.debug("%s", describe(findings, limit=None))
    if errors:
        raise QuacError(f"the data has {errors} error(s):\n{describe(findings)}")
    if findings:
        log.warning(describe(findings))


def join_words(words: Sequence[str]) -> str:
    """`a, b and c`."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def quoted(name: str) -> str:
    """A name for a message: in quotes if it begins or ends with a blank, which could not be seen otherwise."""
    return repr(name) if name != name.strip() else name


def tally(values: Iterable[Any], what: str = "image(s)", limit: int = 5) -> str:
    """How often each value occurs, as text: the most frequent ones first, at most `limit` of them."""
    counts = Counter(values).most_common()
    parts = [f"{value}: {count} {what}" for value, count in counts[:limit]]
    return ", ".join([*parts, "..."] if len(counts) > limit else parts)
