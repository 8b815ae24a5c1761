"""Runs of the workflow on tiny images."""

import copy
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import yaml
from helpers.builders import ROOT, tiny_config, write_splits

# Rules that an edit plans besides those that do the work.
UNCOUNTED = ("key", "resolve_config", "all", "default")


class Workflow:
    """A working folder with a data set and a config, in which the workflow is run."""

    snakefile = ROOT / "Snakefile"
    environment: ClassVar[dict[str, str]] = {}

    def __init__(self, folder):
        self.folder = self.working = Path(folder)
        write_splits(self.folder / "data")
        self.config = yaml.safe_load(yaml.safe_dump(tiny_config().model_dump(mode="json", exclude_none=True)))
        del self.config["selection"]["tries"]  # as many as there are in a conversion, also if that changes
        self.root = self.folder / "results" / "tiny"

    def moved(self, working):
        """The same run, started in another working folder."""
        other = copy.copy(self)
        other.working, other.config = Path(working), copy.deepcopy(self.config)
        other.working.mkdir(parents=True)
        return other

    def command(self, *arguments):
        (self.working / "config.yaml").write_text(yaml.safe_dump(self.config))
        snakemake = Path(sys.executable).with_name("snakemake")
        options = ["-s", self.snakefile, "-d", self.working, "--configfile", self.working / "config.yaml"]
        return [str(word) for word in (snakemake, *arguments, *options, "--cores", "2", "--resources", "gpu=2")]

    def run(self, *arguments, check=True):
        """Run snakemake to its end; returns its `output` and exit `status`."""
        result = subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            timeout=900,
            env={**os.environ, "OMP_NUM_THREADS": "1", **self.environment},
        )
        output = result.stdout + result.stderr
        assert not check or result.returncode == 0, output
        return SimpleNamespace(output=output, status=result.returncode)

    def start(self, *arguments):
        """Start snakemake in a session of its own, with the signals of a terminal's foreground process."""
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **self.environment},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def trainers(self):
        """Process numbers of living trainers of this workflow."""
        found = []
        for folder in os.listdir("/proc"):
            if folder.isdigit():
                try:
                    with open(f"/proc/{folder}/cmdline", "rb") as file:
                        words = file.read().split(b"\0")
                    here = os.readlink(f"/proc/{folder}/cwd") == str(self.working)
                except OSError:
                    continue
                if here and b"train" in words and any(word.endswith(b"/quac") for word in words):
                    found.append(int(folder))
        return found

    def plan(self, *arguments):
        """What a dry run would do: {rule: number of jobs}, without those of UNCOUNTED."""
        output = self.run("-n", *arguments).output
        if "Nothing to be done" in output:
            return {}
        table = output.split("Job stats:")[1].split("\ntotal")[0].splitlines()[3:]
        counts = {line.split()[0]: int(line.split()[1]) for line in table if line.strip()}
        return {rule: count for rule, count in counts.items() if rule not in UNCOUNTED}

    def edit(self, section, **values):
        self.config[section] = {**self.config.get(section, {}), **values}


def wait_for(condition, process=None, seconds=90):
    """Wait until a condition holds; False if the process ends before."""
    end = time.monotonic() + seconds
    while not condition():
        if process and process.poll() is not None:
            return False
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)
    return True
