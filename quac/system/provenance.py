"""What a result was made of: commit, versions, settings, device, time."""

import platform
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from quac.system.files import digest_of, read_json

PACKAGES = ("torch", "torchvision", "numpy", "pandas", "pillow", "snakemake", "quac")


@lru_cache
def commit():
    """The package's git commit, with `+changes` where files differ from it; None outside a checkout."""
    folder = Path(__file__).parents[1]

    def git(*words):
        return subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, timeout=20)

    try:
        if not git("ls-files", "system/provenance.py").stdout:  # installed inside somebody else's checkout
            return None
        head = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", folder)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if head.returncode:
        return None
    return head.stdout.strip() + ("+changes" if changed.stdout.strip() else "")


def versions():
    """{package: version} of what results depend on, and of Python."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


class Provenance:
    """Begun when a stage starts; `record()` when its result is written."""

    def __init__(self, stage, *keys):
        """`keys` are the paths of the stage's key files."""
        self.stage, self.keys = stage, keys
        self.started, self.clock = datetime.now(UTC), time.monotonic()

    def record(self, **more):
        """What made the result, for JSON; `more` adds to it (device, digests of inputs)."""
        return {
            "stage": self.stage,
            "keys": [digest_of(read_json(key)) for key in self.keys],
            "commit": commit(),
            "versions": versions(),
            "machine": f"{platform.system()} {platform.machine()}",
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self.clock, 3),
            "peak_memory_mb": peak_memory_mb(),
            **more,
        }


def peak_memory_mb():
    """Largest resident size of this process so far, in MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 1e6 if sys.platform == "darwin" else peak / 1e3, 1)
