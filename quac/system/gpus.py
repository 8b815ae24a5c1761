"""On a machine with several GPUs, each stage computes on one of its own."""

import errno
import fcntl
import os
import re
import tempfile
from pathlib import Path

import torch

from quac.system.console import log

_taken = []  # lock files, held as long as the process lives; the kernel lets go of them, also after kill -9


def take_gpu():
    """Let this process see one GPU only: one that no other process of this user has taken so, or that fewest have.

    Nothing happens where there are fewer than two, or where CUDA has begun to work: then it is too late.
    """
    found = torch.cuda._device_count_nvml()  # (the public function may have to begin, to count them; -1: not known)
    if found < 2 or torch.cuda.is_initialized():
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = [name.strip() for name in visible.split(",")][:found] if visible else [str(i) for i in range(found)]
    if not visible:  # else the numbers are meant in the order that is set
        os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    folder = Path(tempfile.gettempdir(), f"quac-gpus-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise PermissionError(errno.EPERM, "is not this user's")
        gpu, others = _take_free(folder, gpus)
    except OSError as error:
        log.warning(
            "%s: %s; on the first of %d GPUs, beside whatever computes there", folder, error.strerror.lower(), found
        )
        return
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    log.info("on GPU %s of %s%s", gpu, ", ".join(gpus), f", beside {others} other(s)" if others else "")


def _take_free(folder, gpus):
    """(the GPU that fewest have, how many these are)"""
    with open(folder / "choosing", "a") as choosing:
        fcntl.flock(choosing, fcntl.LOCK_EX)  # one process after the other
        files = {gpu: re.sub(r"[^\w-]", "_", gpu) for gpu in gpus}
        others = {gpu: sum(not _is_free(path) for path in folder.glob(f"{files[gpu]}.*")) for gpu in gpus}
        gpu = min(gpus, key=others.get)
        free = (folder / f"{files[gpu]}.{number}" for number in range(others[gpu] + 1))
        _taken.append(next(file for file in map(_take, free) if file))
        return gpu, others[gpu]


def _is_free(path):
    if file := _take(path):
        file.close()
    return file is not None


def _take(path):
    """The file, locked as long as it is open, or None where another has it."""
    file = open(path, "a")  # noqa: SIM115 (is held)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
