"""Times the demo from scratch; prints a Markdown table: `make bench`."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from measure import processor, table

from quac.report.controls import Controls
from quac.report.explanation_parts import Explanations
from quac.report.reading import read_report
from quac.report.schema import Averages

ROOT = Path(__file__).parent.parent


def run(folder: Path, *options: str) -> tuple[float, float]:
    """Run the workflow in a folder; returns seconds of wall time and of CPU time (user and system)."""
    command = [str(Path(sys.executable).with_name("snakemake")), "-s", str(ROOT / "Snakefile"), "-d", str(folder)]
    command += ["--cores", str(os.cpu_count()), "--resources", "gpu=1", *options]
    start, before = time.perf_counter(), _cpu_seconds()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start, _cpu_seconds() - before


def _cpu_seconds() -> float:
    """Of the processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(folder: Path, *options: str) -> None:
    """Run the demo in an empty folder, and print the tables. `options`: of snakemake."""
    wall, cpu = run(folder, *options)
    planning = min(run(folder, *options, "-n")[0] for _ in range(3))
    report = read_report(folder / "reports/digits.json")
    seconds = defaultdict(list)
    for stage in report.stages:
        seconds[stage.stage].append(stage.seconds)
    rows = [
        ["", ""],
        ["whole demo, from an empty folder", f"{wall:.0f} s"],
        ["CPU time of it, user and system", f"{cpu:.0f} s"],
        ["`snakemake -n` when all is done", f"{planning:.1f} s"],
    ]
    rows += [[f"stage {name}, {len(times)} times", f"{sum(times):.1f} s"] for name, times in seconds.items()]
    rows += [
        [f"{matrix.split}, {matrix.kind}: {metric.replace('_', ' ')}", _interval(matrix.averages, metric)]
        for matrix in report.matrices
        for metric in ("translation_rate", "conversion_rate")
    ]
    rows.append(["report", f"{(folder / 'reports/digits.html').stat().st_size / 1e6:.2f} MB"])
    torch, commits = report.stages[-1].versions["torch"], ", ".join(report.commits)
    print(
        f"{os.cpu_count()} x {processor()}, torch {torch}, commit {commits}; step {report.selection.step} selected.\n"
    )
    table("The demo", rows)
    if report.controls:
        table("Controls, test split", _controls(report.controls))
    if report.explanations:
        table("Explanations, test split", _explanations(report.explanations))


def _controls(controls: Controls) -> list[list[str]]:
    """Averages over the class pairs, of the conversions and of what is no conversion."""
    columns = {"translation rate": "translation_rate"}
    columns |= {f"by {name}": f"translation_rate_by_{name}" for name in controls.oracles}
    columns |= {"L1": "l1", "L1, scaled": "l1_scaled"}
    rows = [["", *columns]]
    for control in controls.controls:
        numbers = (control.average.number(name) for name in columns.values())
        rows.append([control.label, *("-" if number is None else f"{number:.3f}" for number in numbers)])
    return rows


def _explanations(explanations: Explanations) -> list[list[str]]:
    """Medians over the explained conversions, and shares of their counterfactuals."""
    oracles = [*explanations.methods[0].flipped_by] if explanations.methods else []
    rows = [["", "conversions", "QuAC score", "mask", "called the target", *(f"by {name}" for name in oracles)]]
    scores = [(f"{row.kind}, {row.method}", row) for row in explanations.methods]
    scores += [(f"{row.kind}, noise by {row.method}", row) for row in explanations.noise]
    for label, row in scores:
        numbers = [row.quac_score, row.mask_size, row.flipped, *row.flipped_by.values()]
        rows.append([label, str(row.conversions), *(f"{number:.3f}" for number in numbers)])
    return rows


def _interval(averages: Averages, metric: str) -> str:
    rate, low, high = (averages.number(f"{metric}{end}") for end in ("", "_low", "_high"))
    return f"{rate:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        measure(Path(name))
