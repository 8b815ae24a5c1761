"""Writing in the background: training continues while files are written, and waits while the disk is full."""

import errno
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from quac.system.console import log

FULL = (errno.ENOSPC, errno.EDQUOT)
RETRY_SECONDS = 10

Job = Callable[[], Any]


class Writer:
    """Carries out jobs in order, in a thread. A context: leaving it waits until all are done.

    A full disk stops nothing: the job is tried again until there is room, or until `stop_waiting` is true; meanwhile
    the next `submit` waits.
    """

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(1)
        self.pending: Future[list[Any]] | None = None
        self.stop_waiting = False  # an Event cannot be set safely in a signal handler

    def submit(self, *jobs: Job) -> None:
        """Start these jobs once the last ones are done; an error of those is raised here."""
        self.wait()
        self.pending = self.pool.submit(lambda: [self.retry_when_full(job) for job in jobs])

    def wait(self) -> None:
        if self.pending:
            done, self.pending = self.pending, None
            done.result()

    def retry_when_full(self, job: Job) -> Any:
        """Carry out a job in this thread; if the disk is full, wait for room."""
        warned = False
        while True:
            try:
                return job()
            except OSError as error:
                if error.errno not in FULL or self.stop_waiting:
                    raise
                if not warned:
                    path = error.filename or "the output folder"
                    log.warning("%s: no space left on the disk; waiting for room, nothing is lost", path)
                warned = True
                self._pause()

    def _pause(self) -> None:
        end = time.monotonic() + RETRY_SECONDS
        while time.monotonic() < end and not self.stop_waiting:
            time.sleep(0.1)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.wait()
        finally:
            self.pool.shutdown()
