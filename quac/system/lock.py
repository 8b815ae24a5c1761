"""Locks of files: one trainer at a time in a state folder."""

import errno
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

# What flock gives where there are no locks: Lustre without `-o flock`, NFS without lockd, some FUSE.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


@contextmanager
def only_trainer(folder: Path) -> Iterator[None]:
    """Hold the lock of a state folder while the context lasts; the kernel frees it when the process dies.

    If a trainer on this machine holds it (an orphan of a killed workflow), it is signalled to save and stop. If one on
    another machine holds it, this function waits. On a file system without locks only one on this machine is noticed,
    by its process number; a warning says so.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a+") as file:
        last_attempt = -float("inf")
        while (locked := _try_lock_if_any(file)) is False or (locked is None and _runs_here(_holder(file))):
            holder = _holder(file)
            if time.monotonic() - last_attempt > 60:
                last_attempt = time.monotonic()
                _request_stop(holder, folder)
            time.sleep(0.2)
        if locked is None:
            log.warning(
                "%s: this file system has no locks, so that a training of another machine in this folder would not be "
                "noticed; start no second one",
                folder,
            )
        file.truncate(0)
        file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "process": _identity(os.getpid())}))
        file.flush()
        try:
            yield
        finally:
            if locked is None:  # nothing else says that it has ended
                file.truncate(0)


def is_training(folder: Path) -> bool:
    """Whether a trainer holds the lock of a state folder.

    On a file system without locks, one on another machine counts as running until it has removed its name.
    """
    if not (folder / "lock").is_file():
        return False
    with open(folder / "lock", "a+") as file:
        locked, holder = _try_lock_if_any(file), _holder(file)
    elsewhere = holder["host"] not in (None, socket.gethostname())
    return not locked if locked is not None else elsewhere or _runs_here(holder)


def _try_lock_if_any(file: IO[str]) -> bool | None:
    """As `try_lock`; None if the file system has no locks."""
    try:
        return try_lock(file)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise


def try_lock(file: IO[str]) -> bool:
    """Lock a file until it is closed; False if another process holds the lock. Raises OSError if there are no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: IO[str]) -> dict[str, Any]:
    """Host, process number and identity of the trainer that holds the lock."""
    unknown = {"host": None, "pid": None, "process": None}
    file.seek(0)
    try:
        return unknown | json.loads(file.read())
    except (ValueError, TypeError):  # it is being written, or is damaged
        return unknown


def _identity(pid: object) -> list[str] | None:
    """What tells a process from every other: its boot, the namespace of its number, its start, its command line.

    Numbers are used again, and a container has its own. None if the process has ended, or the system does not tell.
    """
    try:
        namespace, statistics = os.readlink(f"/proc/{pid}/ns/pid"), Path(f"/proc/{pid}/stat").read_text()
        boot, command = Path("/proc/sys/kernel/random/boot_id").read_text(), Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    started = statistics.rpartition(")")[2].split()[19]  # in ticks since the boot
    return [boot.strip(), namespace, started, command.decode(errors="replace")]


def _runs_here(holder: dict[str, Any]) -> bool:
    """Whether a holder is another process of this machine, and still the same one."""
    pid = holder["pid"]
    if holder["host"] != socket.gethostname() or not isinstance(pid, int) or pid <= 1 or pid == os.getpid():
        return False
    return bool(holder["process"]) and holder["process"] == _identity(pid)


def _request_stop(holder: dict[str, Any], folder: Path) -> None:
    host, pid = holder["host"], holder["pid"]
    with suppress(OSError):  # if the process has ended, or belongs to another user
        if _runs_here(holder):
            os.kill(pid, signal.SIGTERM)
            log.info("process %s is training in %s; stopping it after it has saved its state", pid, folder)
            return
    log.info("process %s on %s is training in %s; waiting until it stops", pid, host, folder)
