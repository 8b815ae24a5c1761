"""One trainer at a time in a state folder."""

import fcntl
import json
import os
import signal
import socket
import time
from contextlib import contextmanager

from quac.system.console import log


@contextmanager
def only_trainer(folder):
    """Hold the lock of a state folder for as long as the context lasts; the kernel frees it when the process dies.

    A trainer that holds it on this machine (an orphan of a killed workflow)
    is asked to save and stop; one on another machine is waited for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a+") as file:
        said = -float("inf")
        while not _take(file):
            holder = _holder(file)
            if time.monotonic() - said > 60:
                said = time.monotonic()
                _ask_to_stop(holder, folder)
            time.sleep(0.2)
        file.truncate(0)
        file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
        file.flush()
        yield


def _take(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file):
    file.seek(0)
    try:
        return json.loads(file.read())
    except ValueError:  # it is just being written
        return {"host": None, "pid": None}


def _ask_to_stop(holder, folder):
    if holder["host"] == socket.gethostname() and _is_trainer(holder["pid"]) and _can_be_asked(holder["pid"]):
        log.info("process %s is training in %s; asking it to save and stop", holder["pid"], folder)
    else:
        log.info("process %s on %s is training in %s; waiting until it stops", holder["pid"], holder["host"], folder)


def _can_be_asked(pid):
    """Ask; a process that has ended meanwhile, or is another user's, cannot be."""
    try:
        os.kill(pid, signal.SIGTERM)
    except OSError:
        return False
    return True


def _is_trainer(pid):
    """Whether a process number (still) belongs to this program: numbers are used again."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"quac" in file.read()
    except OSError:
        return False
