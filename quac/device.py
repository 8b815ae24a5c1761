"""The device and the threads of a stage that runs a network."""

import os

import torch

from quac.errors import QuacError


def usable_cores():
    """Cores that this process may use, where the system tells; else all that there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def choose_device(name, threads=None):
    """`auto`, `cpu` or `cuda` -> torch.device; sets the CPU threads (None: all cores this process may use)."""
    torch.set_num_threads(threads or usable_cores())
    if name == "cuda" and not torch.cuda.is_available():
        raise QuacError("run.device: is cuda, but torch finds no GPU; use auto or cpu, or mend the driver")
    cuda = name == "cuda" or (name == "auto" and torch.cuda.is_available())
    if cuda:
        torch.backends.cudnn.benchmark = True  # shapes never change within a stage
    return torch.device("cuda" if cuda else "cpu")
