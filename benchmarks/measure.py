"""What the benchmarks share."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import torch


def interleaved(
    sides: Mapping[str, Callable[[], object]], rounds: int, times: int = 1, before: int = 0
) -> dict[str, list[float]]:
    """{name: seconds per call, of each round}, the sides in turns.

    Args:
        times: calls of a side in a round.
        before: calls of each side that do not count.
    """
    for side in sides.values():
        for _ in range(before):
            side()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            _synchronize()
            start = time.perf_counter()
            for _ in range(times):
                side()
            _synchronize()
            seconds[name].append((time.perf_counter() - start) / times)
    return seconds


def _synchronize() -> None:
    """Wait for a GPU, which may still be computing when a call returns."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def spread(seconds: Sequence[float], unit: str = "s") -> str:
    """Median and range, such as `0.99 s (0.93 to 1.03)`; `unit`: s or ms."""
    factor, digits = {"s": (1, 2), "ms": (1000, 1)}[unit]
    middle, low, high = (f"{factor * value:.{digits}f}" for value in (median(seconds), min(seconds), max(seconds)))
    return f"{middle} {unit} ({low} to {high})"


def speed_rows(seconds: dict[str, list[float]], unit: str = "s") -> list[list[str]]:
    """A row per side: its name, the spread of its seconds, and how many times as fast as the first side it is."""
    base = median(next(iter(seconds.values())))
    return [[name, spread(values, unit), f"{base / median(values):.2f} x"] for name, values in seconds.items()]


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown processor")


def machine(device: torch.device | str = "cpu") -> str:
    """The machine, in words."""
    gpu = f"{torch.cuda.get_device_name()}, " if str(device).startswith("cuda") else ""
    return f"{gpu}{os.cpu_count()} x {processor()}, torch {torch.__version__}, {torch.get_num_threads()} thread(s)."


def table(title: str, rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table; the first row is its head."""
    head, *rows = rows
    lines = [head, ["---"] * len(head), *rows]
    print(f"### {title}\n\n" + "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n", flush=True)
