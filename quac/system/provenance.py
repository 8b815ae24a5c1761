"""The provenance of a result: commit, versions, settings, device, time."""

import platform
import resource
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from quac.system.files import FilePath, json_sha256, read_json

PACKAGES = ("torch", "torchvision", "numpy", "pandas", "pillow", "snakemake", "quac")


@lru_cache
def commit() -> str | None:
    """The git commit of the package, with `+changes` if files differ from it; None outside a checkout."""
    folder = Path(__file__).parents[1]

    def git(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, timeout=20)

    try:
        tracked, head = git("ls-files", "system/provenance.py"), git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", folder)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if head.returncode or not tracked.stdout:  # not tracked: installed inside the checkout of another project
        return None
    return head.stdout.strip() + ("+changes" if changed.stdout.strip() else "")


def versions() -> dict[str, str]:
    """{package: version} of the packages that results depend on, and of Python."""
    installed = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    return installed


class Provenance:
    """The provenance of a result: create it when the stage starts, and `record()` it when the result is written."""

    def __init__(self, stage: str, *keys: FilePath):
        self.stage, self.keys = stage, keys
        self.started, self.clock = datetime.now(UTC), time.monotonic()

    def record(self, **more: Any) -> dict[str, Any]:
        """The provenance as JSON values; `more` is added to it (device, digests of inputs)."""
        return {
            "stage": self.stage,
            "keys": [json_sha256(read_json(key)) for key in self.keys],
            "commit": commit(),
            "versions": versions(),
            "machine": f"{platform.system()} {platform.machine()}",
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self.clock, 3),
            "peak_memory_mb": peak_memory_mb(),
            **more,
        }


def peak_memory_mb() -> float:
    """Largest resident size of this process so far, in MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / 1e6 if sys.platform == "darwin" else peak / 1e3, 1)
