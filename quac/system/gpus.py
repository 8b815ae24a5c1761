"""With several GPUs, each stage claims one for itself."""

import errno
import fcntl
import os
import re
import tempfile
from pathlib import Path
from typing import IO

import torch

from quac.system.console import log
from quac.system.lock import try_lock

_claimed: list[IO[str]] = []  # lock files, held while the process lives; the kernel frees them, also after kill -9


def claim_gpu() -> None:
    """Make only one GPU visible to this process: the one that the fewest processes of this user have claimed.

    Does nothing with fewer than two GPUs, or if CUDA is initialized already, because then it is too late.
    """
    count = torch.cuda._device_count_nvml()  # (the public function may initialize CUDA; -1: unknown)
    if count < 2 or torch.cuda.is_initialized():
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = [name.strip() for name in visible.split(",")][:count] if visible else [str(i) for i in range(count)]
    if not visible:  # otherwise the numbers refer to the order that is set
        os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    folder = Path(tempfile.gettempdir(), f"quac-gpus-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise PermissionError(errno.EPERM, "belongs to another user")
        gpu, others = _claim_least_used(folder, gpus)
    except OSError as error:
        reason = str(error.strerror).lower()
        log.warning("%s: %s; using the first of %d GPUs, which others may use as well", folder, reason, count)
        return
    os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    shared = f", shared with {others} other process(es)" if others else ""
    log.info("using GPU %s of %s%s", gpu, ", ".join(gpus), shared)


def _claim_least_used(folder: Path, gpus: list[str]) -> tuple[str, int]:
    """Claim the GPU that the fewest processes have claimed; returns it and how many these are."""
    with open(folder / "choosing", "a") as choosing:
        fcntl.flock(choosing, fcntl.LOCK_EX)  # one process at a time
        files = {gpu: re.sub(r"[^\w-]", "_", gpu) for gpu in gpus}
        others = {gpu: sum(not _is_free(path) for path in folder.glob(f"{files[gpu]}.*")) for gpu in gpus}
        gpu = min(gpus, key=others.__getitem__)
        for number in range(others[gpu] + 1):
            file = open(folder / f"{files[gpu]}.{number}", "a")  # noqa: SIM115 (is held)
            if try_lock(file):
                _claimed.append(file)
                break
            file.close()
        return gpu, others[gpu]


def _is_free(path: Path) -> bool:
    with open(path, "a") as file:
        return try_lock(file)
