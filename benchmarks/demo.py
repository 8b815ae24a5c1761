"""Times the demo from scratch and prints a Markdown table: `make bench`."""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import processor

ROOT = Path(__file__).parent.parent
SNAKEMAKE = Path(sys.executable).with_name("snakemake")


def run(folder, *options):
    command = [
        SNAKEMAKE,
        "-s",
        ROOT / "Snakefile",
        "-d",
        folder,
        "--cores",
        str(os.cpu_count()),
        "--resources",
        "gpu=1",
    ]
    start = time.perf_counter()
    subprocess.run([*command, *options], check=True, capture_output=True)
    return time.perf_counter() - start


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole, nothing = run(folder), min(run(folder, "-n") for _ in range(3))
        report = json.loads((folder / "reports/digits.json").read_text())
        size = (folder / "reports/digits.html").stat().st_size
    seconds = {}
    for stage in report["stages"]:
        seconds.setdefault(stage["stage"], []).append(stage["seconds"])
    rows = [
        ("whole demo, from an empty folder", f"{whole:.0f} s"),
        ("`snakemake -n` when all is done", f"{nothing:.1f} s"),
    ]
    rows += [(f"stage {name}, {len(times)} times", f"{sum(times):.1f} s") for name, times in seconds.items()]
    rows += [
        (f"{matrix['split']}, {matrix['kind']}: {metric.replace('_', ' ')}", interval(matrix["averages"], metric))
        for matrix in report["matrices"]
        for metric in ("translation_rate", "conversion_rate")
    ]
    rows.append(("report", f"{size / 1e6:.2f} MB"))
    print(f"Commit {report['stages'][-1]['commit']}, {os.cpu_count()} x {processor()}, {platform.system()}, ", end="")
    print(f"torch {report['stages'][-1]['versions']['torch']}, step {report['selection']['step']} selected.\n")
    print("| | |\n|---|---|\n" + "\n".join(f"| {what} | {value} |" for what, value in rows))


def interval(averages, metric):
    return f"{averages[metric]:.3f} [{averages[f'{metric}_low']:.3f}, {averages[f'{metric}_high']:.3f}]"


if __name__ == "__main__":
    main()
