"""The messages of a stage, on the screen and in its log file, and progress bars."""

import logging
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm

log = logging.getLogger("quac")
tqdm.monitor_interval = 0  # no monitor thread, because processes are forked


# Control characters, which a terminal obeys, marks that turn the direction of a text, and halves of surrogate pairs.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """A text with what a terminal would obey instead of showing, as in a file's name, written out: `\\x1b`."""
    return _INVISIBLE.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)


class _ScreenHandler(logging.Handler):
    """Writes messages above a progress bar instead of into it."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(printable(record.getMessage()), file=sys.stderr)


class _FileFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def start_log(path: str | Path | None = None) -> None:
    """Write messages to the screen and, with their time, to the file `path`."""
    log.setLevel(logging.DEBUG)
    log.handlers.clear()
    log.addHandler(_ScreenHandler(logging.INFO))
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(path, mode="w", encoding="utf-8")
        file.setFormatter(_FileFormatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        log.addHandler(file)


def progress(items: Iterable[Any] | None = None, what: str = "", total: int | None = None, **options: Any) -> tqdm:
    """A progress bar with the label `what`; if the screen is a file, a line every 30 seconds.

    Without `items`, the caller calls `update`; `total` is needed if they have no length. `options` are those of tqdm.
    """
    terminal = sys.stderr.isatty()
    style: dict[str, Any] = {"dynamic_ncols": True} if terminal else {"mininterval": 30, "ncols": 100, "ascii": True}
    return tqdm(items, desc=what, total=total, file=sys.stderr, **style, **options)
