"""Times training steps: the literal step against ours; prints Markdown tables: `make bench-training`.

On a CPU narrow networks, one thread; with `--device cuda` the published widths, the literal step in fp32 with TF32
convolutions as peers ship it. What is compared is measured in turns, with one side twice as a control (A/A).
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
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import torch
from measure import interleaved, machine, table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from helpers.literal_step import LiteralStep

from quac.config.training import Loss, Model, Solver
from quac.data.batches import TrainingBatch
from quac.models.starganv2.checkpoint import StateFolder, host_copy
from quac.models.starganv2.networks import build_networks
from quac.models.starganv2.step import TrainingStep, build_optimizers, passes_of
from quac.system.device import computing_in, precision_of
from quac.training.background_writer import Writer
from quac.training.compile import compile_step
from quac.training.cuda_graphs import WARM_UP, CapturedUpdate
from quac.training.sizes import FlopCounter

NARROW = {"conv_dim": 16, "max_conv_dim": 64, "hidden_dim": 128, "style_dim": 32}
BATCHES = {32: 16, 64: 4, 128: 8, 256: 8}  # {pixels of a side: images of a step}
BF16_FLOPS = 790e12  # per second: what an H200 reaches in bf16 matrix products


class Side:
    """A training step of one kind on one batch, over and over."""

    def __init__(
        self,
        step_class,
        device,
        size,
        batch,
        widths,
        classes=3,
        solver=None,
        loss=None,
        plain=False,
        compiled=False,
        captured=False,
    ):
        self.device, self.number = device, 0
        self.solver = Solver(root_dir="none", **(solver or {}))
        self.loss = Loss(**(loss or {}))
        model = Model(img_size=size, input_dim=1 if widths else 3, conv_dim=2**14 // size)
        model = model.model_copy(update=widths)
        layout = torch.contiguous_format if plain else torch.channels_last
        torch.manual_seed(0)
        self.networks = build_networks(model, classes).to(device, memory_format=layout)
        self.averages = copy.deepcopy(self.networks).requires_grad_(False)
        self.optimizers = build_optimizers(self.networks, self.solver, self.loss.r1_every)
        self.precision = "tf32" if plain else precision_of(self.solver.precision, device)
        autocast = {} if plain else {"autocast": computing_in(self.precision, device)}
        self.step = step_class(self.networks, self.averages, self.optimizers, self.loss, self.solver, **autocast)
        images = [torch.rand(batch, model.input_dim, size, size) * 2 - 1 for _ in range(3)]
        images = [image.to(device, memory_format=layout) for image in images]
        y = torch.randint(classes, (2, batch)).to(device)
        z = torch.randn(2, batch, model.latent_dim).to(device)
        self.batch = TrainingBatch(images[0], y[0], images[1], images[2], y[1], z[0], z[1])
        if compiled:
            compile_step(self.step, self.batch, 0, self.precision)
        if captured:
            self.step.captured = CapturedUpdate(self.step, self.precision)

    def __call__(self):
        computing_in(self.precision, self.device)
        self.step(self.batch, self.number)
        self.number += 1

    def flops(self):
        """Floating-point operations of a step. (Of what is compiled the counter would see nothing.)"""
        if isinstance(self.step, TrainingStep):
            self.step.passes, self.step.captured = passes_of(self.networks), None
        with FlopCounter() as counter:
            self()
        return counter.total

    def state(self):
        optimizers = {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()}
        return {"step": self.number, "networks": self.networks.state_dict(), "optimizers": optimizers}


def against_literal(device, size, batch, widths, rounds, steps):
    def side(step_class, **options):
        return Side(step_class, device, size, batch, widths, **options)

    sides = {
        "literal step": side(LiteralStep, plain=True),
        "ours": side(TrainingStep),
        "ours, compiled": side(TrainingStep, compiled=True),
        "ours, merged": side(TrainingStep, solver={"schedule": "merged"}),
        "ours, merged, compiled": side(TrainingStep, solver={"schedule": "merged"}, compiled=True),
        "ours, merged, r1_every 8": side(TrainingStep, solver={"schedule": "merged"}, loss={"r1_every": 8}),
        "literal step again (A/A)": side(LiteralStep, plain=True),
    }
    if device.type == "cuda":
        sides |= {
            "ours, captured": side(TrainingStep, captured=True),
            "ours, compiled and captured (as shipped)": side(TrainingStep, compiled=True, captured=True),
        }
    seconds = interleaved(sides, rounds, steps, before=WARM_UP + 1)
    base = median(seconds["literal step"])
    rows = [["", "ms per step", "from", "to", "faster than literal", "TFLOP per step", "of the bf16 floor"]]
    for name, values in seconds.items():
        flops = sides[name].flops()
        floor = f"{flops / BF16_FLOPS / median(values):.2f}" if device.type == "cuda" else "-"
        times = [f"{1000 * value:.1f}" for value in (median(values), min(values), max(values))]
        rows.append([name, *times, f"{base / median(values):.2f} x", f"{flops / 1e12:.3f}", floor])
    table(f"Step: {batch} images of {size} px, {'narrow networks' if widths else 'published widths'}", rows)


def memory(device, size, batch, widths):
    sides = {
        "literal step": (LiteralStep, {"plain": True}),
        "ours": (TrainingStep, {}),
        "literal step again (A/A)": (LiteralStep, {"plain": True}),
    }
    if device.type == "cuda":
        shipped = TrainingStep, {"compiled": True, "captured": True}
        sides["ours, compiled and captured (as shipped)"] = shipped
    peaks = {}
    for name, side in sides.items():
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            peaks[name] = process.submit(peak_of, *side, device, size, batch, widths).result()
    rows = [["", "peak memory", "of literal"]]
    rows += [[name, f"{peak / 2**30:.2f} GiB", f"{peak / peaks['literal step']:.2f}"] for name, peak in peaks.items()]
    table(f"Memory: {batch} images of {size} px", rows)


def peak_of(step_class, options, device, size, batch, widths):
    """The most memory, in bytes, that steps take in this process: of the GPU as torch reserves it, else of the host."""
    torch.set_num_threads(1 if device.type == "cpu" else os.cpu_count())
    torch.backends.cudnn.benchmark = True
    before = resident("VmRSS")
    side = Side(step_class, device, size, batch, widths, **options)
    for _ in range(WARM_UP + 2):
        side()
    return torch.cuda.max_memory_reserved() if device.type == "cuda" else resident("VmHWM") - before


def resident(what):
    """VmRSS, resident memory, or VmHWM, its peak, of this process, in bytes."""
    found = re.search(rf"^{what}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return 1024 * int(found[1])


def many_classes(device, size, batch, widths, rounds, steps):
    sides = {
        f"{classes} classes{again}": Side(TrainingStep, device, size, batch, widths, classes=classes)
        for classes, again in ((3, ""), (40, ""), (3, " again (A/A)"))
    }
    seconds = interleaved(sides, rounds, steps, before=3)
    base = median(seconds["3 classes"])
    rows = [["", "ms per step", "of 3 classes"]]
    rows += [[name, f"{1000 * median(v):.1f}", f"{median(v) / base:.2f}"] for name, v in seconds.items()]
    table("Classes", rows)


def saving(device, size, batch, widths, rounds, steps):
    """What the loop sees of a whole state that is written beside it: steps with one save among them, and without."""
    side = Side(TrainingStep, device, size, batch, widths)
    with tempfile.TemporaryDirectory() as name:
        folder, taken = StateFolder(Path(name)), []

        def with_save():
            with Writer() as writer:
                start = time.perf_counter()
                copied = host_copy(side.state())
                writer.submit(lambda: folder.save_state(copied))
                taken.append(time.perf_counter() - start)
                for _ in range(steps):
                    side()

        def without():
            for _ in range(steps):
                side()

        sides = {"without": without, "with a save": with_save, "without again (A/A)": without}
        seconds = interleaved(sides, rounds, before=3)
        written = sum(file.stat().st_size for file in Path(name).glob("*.pt")) / 2
    extra = median(seconds["with a save"]) - median(seconds["without"])
    rows = [["", ""], ["a whole state", f"{written / 1e6:.0f} MB"]]
    rows += [[f"{steps} steps, {name}", f"{median(values):.2f} s"] for name, values in seconds.items()]
    rows += [
        ["of it in the loop: the copy", f"{1000 * median(taken):.0f} ms"],
        ["a save a minute takes", f"{100 * max(0.0, extra) / 60:.2f} % of the time"],
    ]
    table("Saving", rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sizes", type=int, nargs="+", choices=BATCHES, help="Default: 64 32; on a GPU 128 256.")
    options = parser.parse_args()
    device, narrow = torch.device(options.device), options.device == "cpu"
    torch.set_num_threads(1 if narrow else os.cpu_count())
    torch.backends.cudnn.benchmark = True
    print(machine(device) + "\n")
    widths, steps = (NARROW, 2) if narrow else ({}, 10)
    sizes = options.sizes or ((64, 32) if narrow else (128, 256))
    for size in sizes:
        against_literal(device, size, BATCHES[size], widths, options.rounds, steps)
        gc.collect()
        torch.cuda.empty_cache()
        memory(device, size, BATCHES[size], widths)
    size, batch = sizes[0], BATCHES[sizes[0]]
    many_classes(device, size, batch, widths, options.rounds, steps)
    saving(device, size, batch, widths, options.rounds, 4 * steps)


if __name__ == "__main__":
    main()
