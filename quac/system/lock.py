"""Locks of files: one trainer at a time in a state folder."""

import fcntl
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from quac.system.console import log


@contextmanager
def only_trainer(folder: Path) -> Iterator[None]:
    """Hold the lock of a state folder while the context lasts; the kernel frees it when the process dies.

    If a trainer on this machine holds it (an orphan of a killed workflow), it is signalled to save and stop. If one on
    another machine holds it, this function waits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a+") as file:
        last_attempt = -float("inf")
        while not try_lock(file):
            holder = _holder(file)
            if time.monotonic() - last_attempt > 60:
                last_attempt = time.monotonic()
                _request_stop(holder, folder)
            time.sleep(0.2)
        file.truncate(0)
        file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
        file.flush()
        yield


def try_lock(file: IO[str]) -> bool:
    """Lock a file until it is closed; False if another process holds the lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: IO[str]) -> dict[str, Any]:
    """Host and process number of the trainer that holds the lock."""
    file.seek(0)
    try:
        return json.loads(file.read())
    except ValueError:  # it is being written
        return {"host": None, "pid": None}


def _request_stop(holder: dict[str, Any], folder: Path) -> None:
    host, pid = holder["host"], holder["pid"]
    with suppress(OSError):  # if the process has ended, or belongs to another user
        # The system reuses process numbers: the process may be another program by now.
        if host == socket.gethostname() and b"quac" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
            log.info("process %s is training in %s; stopping it after it has saved its state", pid, folder)
            return
    log.info("process %s on %s is training in %s; waiting until it stops", pid, host, folder)
