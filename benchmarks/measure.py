"""What the benchmarks have in common."""

import os
import time
from pathlib import Path

import torch


def interleaved(sides, rounds, times=1, before=0):
    """{name: seconds that a call takes, of each round}, the sides in turns.

    Args:
        times: calls of a side in a round.
        before: calls of each side that do not count.
    """
    for side in sides.values():
        for _ in range(before):
            side()
    seconds = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            _finish()
            start = time.perf_counter()
            for _ in range(times):
                side()
            _finish()
            seconds[name].append((time.perf_counter() - start) / times)
    return seconds


def _finish():
    """Wait for a GPU, which goes on when a call returns."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown processor")


def machine(device="cpu"):
    """The machine, in words."""
    gpu = f"{torch.cuda.get_device_name()}, " if str(device).startswith("cuda") else ""
    return f"{gpu}{os.cpu_count()} x {processor()}, torch {torch.__version__}, {torch.get_num_threads()} thread(s)."


def table(title, rows):
    """Print a Markdown table; the first row is its head."""
    head, *rows = rows
    lines = [head, ["---"] * len(head), *rows]
    print(f"### {title}\n\n" + "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines) + "\n", flush=True)
