"""Writing beside the training: it goes on while files are written, and waits where the disk is full."""

import errno
import time
from concurrent.futures import ThreadPoolExecutor

from quac.system.console import log

FULL = (errno.ENOSPC, errno.EDQUOT)
RETRY_SECONDS = 10


class Writer:
    """Carries out jobs in order, in a thread. A context: leaving it waits until all are done.

    A full disk stops nothing: the job is tried again until there is room, or
    until `give_up` is true; the one that gives the next job waits meanwhile.
    """

    def __init__(self):
        self.pool, self.pending = ThreadPoolExecutor(1), None
        self.give_up = False  # (an Event cannot be set safely in a signal handler)

    def submit(self, *jobs):
        """Begin with these jobs once the last ones are done; an error of those is raised here."""
        self.wait()
        self.pending = self.pool.submit(lambda: [self.patiently(job) for job in jobs])

    def wait(self):
        if self.pending:
            done, self.pending = self.pending, None
            done.result()

    def patiently(self, job):
        """Do a job here and now; where the disk is full, wait for room."""
        said = False
        while True:
            try:
                return job()
            except OSError as error:
                if error.errno not in FULL or self.give_up:
                    raise
                if not said:
                    where = error.filename or "the output folder"
                    log.warning("%s: no space left on the disk; waiting for room, nothing is lost", where)
                said = True
                self._pause()

    def _pause(self):
        end = time.monotonic() + RETRY_SECONDS
        while time.monotonic() < end and not self.give_up:
            time.sleep(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        try:
            self.wait()
        finally:
            self.pool.shutdown()
