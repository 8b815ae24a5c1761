"""Times training steps: the literal step against ours; prints Markdown tables: `make bench-training`.

On a CPU narrow networks, one thread; with `--device cuda` the published widths, the literal step in fp32 with TF32
convolutions as in the published code. What is compared is measured in turns, with one side twice as a control (A/A).
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import copy
import gc
import re
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import torch
from flops import FlopCounter, flops_of
from measure import interleaved, machine, speed_rows, spread, table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from helpers.literal_step import LiteralStep

from quac.config.training import Loss, Model, Solver
from quac.data.batches import TrainingBatch
from quac.models.starganv2.networks import build_networks
from quac.models.starganv2.step import TrainingStep, build_optimizers
from quac.system.console import start_log
from quac.system.device import autocast_for, precision_of
from quac.training.background_writer import Writer
from quac.training.compile import compile_step
from quac.training.state import StateFolder, host_copy

NARROW = {"conv_dim": 16, "max_conv_dim": 64, "hidden_dim": 128, "style_dim": 32}
BATCHES = {32: 16, 64: 4, 128: 8, 256: 8}  # {pixels per side: images per step}
BF16_FLOPS = 790e12  # per second: what an H200 reaches in bf16 matrix products
WARM_UP = 3  # steps


@dataclass(frozen=True)
class Case:
    """What is trained: images of `size` pixels per side; on a CPU narrow networks and one channel."""

    device: torch.device
    size: int
    classes: int = 3

    @property
    def narrow(self) -> bool:
        return self.device.type == "cpu"

    @property
    def steps(self) -> int:
        """Steps per round."""
        return 2 if self.narrow else 10

    def __str__(self) -> str:
        return f"{BATCHES[self.size]} images of {self.size} px, {'narrow' if self.narrow else 'published'} networks"


class Side:
    """A training step on one batch, again and again."""

    def __init__(self, case: Case, literal: bool = False, compiled: bool = False):
        size, batch, device = case.size, BATCHES[case.size], case.device
        widths = NARROW if case.narrow else {"conv_dim": 2**14 // size}
        model = Model(img_size=size, input_dim=1 if case.narrow else 3, **widths)
        layout = torch.contiguous_format if literal else torch.channels_last
        torch.manual_seed(0)
        self.networks = build_networks(model, case.classes).to(device, memory_format=layout)
        self.averages = copy.deepcopy(self.networks).requires_grad_(False)
        loss, solver = Loss(), Solver(root_dir="none")
        self.optimizers = build_optimizers(self.networks, solver)
        self.precision = "tf32" if literal else precision_of("auto", device)
        self.device, self.number, self.literal = device, 0, literal
        parts = self.networks, self.averages, self.optimizers, loss, solver
        autocast = autocast_for(self.precision, device)
        self.step = LiteralStep(*parts) if literal else TrainingStep(*parts, autocast=autocast)
        images = [torch.rand(batch, model.input_dim, size, size) * 2 - 1 for _ in range(3)]
        images = [image.to(device, memory_format=layout) for image in images]
        y = torch.randint(case.classes, (2, batch)).to(device)
        z = torch.randn(2, batch, model.latent_dim).to(device)
        self.batch = TrainingBatch(images[0], y[0], images[1], images[2], y[1], z[0], z[1])
        start = time.perf_counter()
        if compiled:
            compile_step(self.step, self.batch, self.precision)
        self.compile_seconds = time.perf_counter() - start

    def __call__(self) -> None:
        autocast_for(self.precision, self.device)  # sets whether TF32 is allowed, which the sides share
        self.step(self.batch, self.number)
        self.number += 1

    def flops(self) -> int:
        """Floating-point operations of a step."""
        if not self.literal:
            return flops_of(self.step, self.batch, self.number)
        with FlopCounter() as counter:
            self()
        return counter.total

    def state(self) -> dict[str, Any]:
        """What a whole state holds, in host memory."""
        optimizers = {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}
        networks, averages = self.networks.state_dict(), self.averages.state_dict()
        return host_copy({"step": self.number, "networks": networks, "averages": averages, "optimizers": optimizers})


def against_literal(case: Case, rounds: int) -> None:
    """Time the literal step, ours and ours compiled."""
    torch.compiler.reset()
    sides = {
        "literal step": Side(case, literal=True),
        "ours": Side(case),
        "ours, compiled": Side(case, compiled=True),
        "literal step again (A/A)": Side(case, literal=True),
    }
    seconds = interleaved(sides, rounds, case.steps, before=WARM_UP)
    rows = [["", "time per step", "speed-up", "TFLOP per step", "of the bf16 floor"]]
    for row in speed_rows(seconds, "ms"):
        flops = sides[row[0]].flops()
        floor = "-" if case.narrow else f"{flops / BF16_FLOPS / median(seconds[row[0]]):.2f}"
        rows.append([*row, f"{flops / 1e12:.3f}", floor])
    table(f"Step: {case}", rows)
    print(f"Compiling took {sides['ours, compiled'].compile_seconds:.0f} s.\n")


def memory(case: Case) -> None:
    """Measure the peak memory of the literal step and of ours, each in a process of its own."""
    sides = {"literal step": (True, False), "ours": (False, False), "literal step again (A/A)": (True, False)}
    if not case.narrow:
        sides["ours, compiled"] = (False, True)
    peaks = {}
    for name, side in sides.items():
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            peaks[name] = process.submit(peak_of, case, *side).result()
    rows = [["", "peak memory", "of literal"]]
    rows += [[name, f"{peak / 2**30:.2f} GiB", f"{peak / peaks['literal step']:.2f}"] for name, peak in peaks.items()]
    table(f"Memory: {case}", rows)


def peak_of(case: Case, literal: bool, compiled: bool) -> int:
    """Peak memory of steps in this process, in bytes: of the GPU as torch reserves it, else of the host."""
    set_up(case.device)
    before = resident("VmRSS")
    side = Side(case, literal, compiled)
    for _ in range(WARM_UP + 2):
        side()
    return resident("VmHWM") - before if case.narrow else torch.cuda.max_memory_reserved()


def resident(what: str) -> int:
    """Resident memory (`VmRSS`) or its peak (`VmHWM`) of this process, in bytes."""
    lines = Path("/proc/self/status").read_text()
    return 1024 * int(re.findall(rf"^{what}:\s+(\d+) kB", lines, re.MULTILINE)[0])


def many_classes(case: Case, rounds: int) -> None:
    """Time our step with 3 and with 40 classes."""
    counts = {"3 classes": 3, "40 classes": 40, "3 classes again (A/A)": 3}
    sides = {name: Side(replace(case, classes=count)) for name, count in counts.items()}
    seconds = interleaved(sides, rounds, case.steps, before=WARM_UP)
    table(f"Classes: {case}", [["", "time per step", "speed-up"], *speed_rows(seconds, "ms")])


def saving(case: Case, rounds: int) -> None:
    """Time steps with and without a save in the background among them."""
    side, steps = Side(case), 4 * case.steps
    with tempfile.TemporaryDirectory() as name:
        folder, copying = StateFolder(Path(name)), []

        def with_save() -> None:
            with Writer() as writer:
                start = time.perf_counter()
                state = side.state()
                writer.submit(lambda: folder.save_state(state))
                copying.append(time.perf_counter() - start)
                without()

        def without() -> None:
            for _ in range(steps):
                side()

        sides = {"without": without, "with a save": with_save, "without again (A/A)": without}
        seconds = interleaved(sides, rounds, before=1)
        size = next(Path(name).glob("*.pt")).stat().st_size
    extra = max(0.0, median(seconds["with a save"]) - median(seconds["without"]))
    rows = [["", ""], ["a whole state", f"{size / 1e6:.0f} MB"]]
    rows += [[f"{steps} steps, {name}", spread(values)] for name, values in seconds.items()]
    rows.append(["of which the copy", f"{1000 * median(copying):.0f} ms"])
    rows.append(["saving once a minute", f"{100 * extra / 60:.2f} % of the time"])
    table(f"Saving: {case}", rows)


def set_up(device: torch.device) -> None:
    torch.set_num_threads(1 if device.type == "cpu" else os.cpu_count() or 1)
    torch.backends.cudnn.benchmark = True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sizes", type=int, nargs="+", choices=BATCHES, help="Default: 64 32; on a GPU 128 256.")
    options = parser.parse_args()
    device = torch.device(options.device)
    start_log()  # shows whether compiling worked
    set_up(device)
    print(machine(device) + "\n")
    cases = [Case(device, size) for size in options.sizes or ((64, 32) if device.type == "cpu" else (128, 256))]
    for case in cases:
        against_literal(case, options.rounds)
        gc.collect()
        torch.cuda.empty_cache()
        memory(case)
    many_classes(cases[0], options.rounds)
    saving(cases[0], options.rounds)


if __name__ == "__main__":
    main()
