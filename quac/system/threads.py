"""CPU threads on a machine that is shared.

The threads of a math library wait for each other by spinning. While another program keeps a core busy, one of them
waits for that core, and the others spin: a training step takes 20 times as long, see benchmarks/README.md.
"""

import os
import time
from pathlib import Path

from quac.system.console import log

SPIN_COUNT = "10000"  # of libgomp: costs nothing on an idle machine
CHECK_SECONDS = 5.0  # how often a training checks the load


def limit_spinning() -> None:
    """Let threads give up their core soon when they wait. Has an effect only before torch is loaded."""
    if "OMP_WAIT_POLICY" not in os.environ:  # the user's choice takes precedence
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)


def usable_cores() -> int:
    """Cores that this process may use; all, if the system does not report them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_threads() -> int:
    """Threads of a stage for which none are set: all usable cores, at most what OMP_NUM_THREADS allows."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(usable_cores(), int(limit)) if limit.isdigit() and int(limit) else usable_cores()


class LoadFollower:
    """How many threads to compute with while other programs use the cores: those that they leave free, at least one."""

    def __init__(self, most: int):
        self.most = self.threads = most  # on an idle machine
        self.clock, self.usage = time.monotonic(), _usage()

    def update(self) -> int:
        """The number of threads for now. Checks the load every CHECK_SECONDS, and logs a change."""
        seconds = time.monotonic() - self.clock
        if self.most == 1 or seconds < CHECK_SECONDS:
            return self.threads
        before, self.usage, self.clock = self.usage, _usage(), self.clock + seconds
        if before and self.usage:
            all_cores, own = (after - earlier for after, earlier in zip(self.usage, before, strict=True))
            others = max(0.0, all_cores - own) / seconds
            threads = max(1, self.most - int(others + 0.5))
            if threads != self.threads:
                log.info("other programs keep %.1f cores busy: computing with %d thread(s)", others, threads)
            self.threads = threads
        return self.threads


def _usage() -> tuple[float, float] | None:
    """Seconds that the cores of this process have been busy, and those that it has used itself; None if unknown."""
    try:
        lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
        cores = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    except (OSError, AttributeError):
        return None
    # The columns: name, user, nice, system, idle, iowait, irq, softirq, ...
    busy = sum(int(line[column]) for line in lines if line[0] in cores for column in (1, 2, 3, 6, 7))
    own = os.times()
    return busy / os.sysconf("SC_CLK_TCK"), own.user + own.system
