"""The key files of all runs of a workflow. (Starts without torch and pandas: the Snakefile imports it.)"""

from quac.config.keys import key_text
from quac.config.runs import Runs
from quac.config.stages import stage_jobs
from quac.data.named_files import NamedFiles
from quac.system.errors import QuacError


def run_keys(runs: Runs, demo: str, cache: str) -> dict[str, str]:
    """{key file: its text} of all stages of all runs; those that runs share once.

    Args:
        demo, cache: see `NamedFiles`.

    Raises QuacError if a file that a config names is missing, or cannot be used.
    """
    keys: dict[str, str] = {}
    for root in runs.configs:
        for job in stage_jobs(runs.configs[root]):
            home = runs.home_of(root, job)
            path, owner = f"{home}/keys/{job}.json", runs.owners[home]
            if path in keys:
                continue
            try:
                digests = NamedFiles(owner, home, runs.configs, runs.owners, demo, cache).digests(job)
            except QuacError as error:
                raise QuacError(f"runs.{runs.names[home]}.{error}" if home in runs.names else str(error)) from None
            keys[path] = key_text(owner, job, digests)
    return keys
