"""The device and the threads of a stage that runs a network."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ContextDecorator, nullcontext
from functools import partial

import torch

from quac.system.errors import QuacError
from quac.system.gpus import claim_gpu
from quac.system.threads import default_threads


def choose_device(name: str, threads: int | None = None, training: bool = False) -> torch.device:
    """`auto`, `cpu` or `cuda` -> torch.device; sets the CPU threads (None: see `default_threads`).

    Of several GPUs, this process claims one. Outside training, a GPU computes in full precision and by deterministic
    algorithms, so that a result that is scored twice gets the same numbers.
    """
    torch.set_num_threads(threads or default_threads())
    if name in ("auto", "cuda"):
        claim_gpu()
    device = parse_device(name)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = training  # shapes never change within a stage
        torch.backends.cudnn.deterministic = not training
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return device


def deterministic() -> ContextDecorator:
    """A context in which a GPU computes as outside training, see `choose_device`."""
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


def parse_device(name: str | torch.device) -> torch.device:
    """`auto`, `cpu` or `cuda` (or a torch.device) -> torch.device. Has no side effects."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise QuacError(f"device: {name} is not a device; choose auto, cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise QuacError("run.device: is cuda, but torch finds no GPU; use auto or cpu, or repair the driver")
    return device


def precision_of(choice: str, device: torch.device) -> str:
    """`fp32`, `tf32` or `bf16` as chosen; for `auto`, bf16 on a GPU that supports it, otherwise fp32."""
    if choice != "auto":
        return choice
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"


def autocast_for(precision: str, device: torch.device) -> Callable[[], AbstractContextManager[object]]:
    """A function that returns a context in which networks compute during training; `precision`: see `precision_of`."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    if precision != "bf16":
        return nullcontext
    # No cache: with it, the gradients of all uses of a weight in a step would be added up in bfloat16, not in float32.
    return partial(torch.autocast, device.type, torch.bfloat16, cache_enabled=False)
