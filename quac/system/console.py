"""What a stage says: messages on the screen and in its log file, and progress bars."""

import logging
import sys
from pathlib import Path

from tqdm import tqdm

log = logging.getLogger("quac")
tqdm.monitor_interval = 0  # its thread would be alive where processes are forked


class _Screen(logging.Handler):
    """Writes above a progress bar instead of through it."""

    def emit(self, record):
        tqdm.write(record.getMessage(), file=sys.stderr)


def start_log(path=None):
    """Send messages to the screen and, with their time, to the file `path`."""
    log.setLevel(logging.DEBUG)
    log.handlers.clear()
    screen = _Screen(logging.INFO)
    log.addHandler(screen)
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(path, mode="w", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        log.addHandler(file)


def progress(items=None, what="", total=None, **options):
    """A progress bar on the screen; where the screen is a file, a line now and then."""
    seldom = {} if sys.stderr.isatty() else {"mininterval": 30, "ncols": 100, "ascii": True}
    return tqdm(items, desc=what, total=total, file=sys.stderr, dynamic_ncols=sys.stderr.isatty(), **seldom, **options)
