"""On a machine with several GPUs, each stage computes on one of its own."""

import errno
import fcntl
import os
import tempfile
from itertools import count
from pathlib import Path

import torch

from quac.console import log

_taken = []  # lock files, held as long as the process lives; the kernel lets go of them, also after kill -9


def take_gpu():
    """Let this process see one GPU only: one that no other process has taken like this, or else fewest have.

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
    """(a GPU, how many others have it)"""
    for others in count():
        for gpu in gpus:
            file = open(folder / f"{gpu}.{others}", "a")  # noqa: SIM115 (is held)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
            else:
                _taken.append(file)
                return gpu, others
