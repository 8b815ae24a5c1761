"""The device and the threads of a stage that runs a network."""

import os
from contextlib import nullcontext
from functools import partial

import torch

from quac.system.errors import QuacError
from quac.system.gpus import take_gpu


def usable_cores():
    """Cores that this process may use, where the system tells; else all that there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def choose_device(name, threads=None, training=False):
    """`auto`, `cpu` or `cuda` -> torch.device; sets the CPU threads (None: all cores this process may use).

    Of several GPUs this process takes one.

    Outside training, a GPU computes in full precision and by repeatable
    algorithms: a number that is scored twice must be the same number.
    """
    torch.set_num_threads(threads or usable_cores())
    if name in ("auto", "cuda"):
        take_gpu()
    device = find_device(name)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = training  # shapes never change within a stage
        torch.backends.cudnn.deterministic = not training
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return device


def repeatable():
    """A context in which a GPU computes as `choose_device` has it do outside training."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


def find_device(name):
    """`auto`, `cpu` or `cuda` (or a torch.device) -> torch.device. Sets nothing."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise QuacError(f"device: {name} is none; give auto, cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise QuacError("run.device: is cuda, but torch finds no GPU; use auto or cpu, or mend the driver")
    return device


def precision_of(choice, device):
    """`auto`, `fp32`, `tf32` or `bf16` -> the last three: by default bf16 on a GPU that computes in it, else fp32."""
    if choice != "auto":
        return choice
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"


def computing_in(precision, device):
    """What gives the context in which networks compute while they train; see `precision_of`."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    if precision != "bf16":
        return nullcontext
    # No cache: a weight that was cast while its network was frozen would have no gradient later.
    return partial(torch.autocast, device.type, torch.bfloat16, cache_enabled=False)
