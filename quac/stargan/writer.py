"""Writing beside the training: it goes on while files are written, and waits where the disk is full."""

import errno
import threading
from concurrent.futures import ThreadPoolExecutor

from quac.console import log

FULL = (errno.ENOSPC, errno.EDQUOT)
RETRY_SECONDS = 10


class Writer:
    """Carries out jobs in order, in a thread. A context: leaving it waits until all are done.

    A full disk stops nothing: the job is tried again until there is room, or
    until `give_up` is set; the one that gives the next job waits meanwhile.
    """

    def __init__(self):
        self.pool, self.pending, self.give_up = ThreadPoolExecutor(1), None, threading.Event()

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
                if error.errno not in FULL or self.give_up.is_set():
                    raise
                if not said:
                    log.warning("%s: no space left on the disk; waiting for room, nothing is lost", error.filename)
                said = True
                self.give_up.wait(RETRY_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        try:
            self.wait()
        finally:
            self.pool.shutdown()
