"""What the benchmarks have in common."""

import os
import time
from pathlib import Path

import torch


def interleaved(sides, rounds):
    """{name: seconds of each round}, the sides in turns."""
    seconds = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            start = time.perf_counter()
            side()
            seconds[name].append(time.perf_counter() - start)
    return seconds


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
