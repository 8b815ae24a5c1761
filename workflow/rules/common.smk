# The run table, and how stages are carried out.
import json
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from quac.config.keys import key_text, write_texts
from quac.config.run_options import RunOptions
from quac.config.runs import INDEX, require_own_reports, require_unambiguous, resolve_runs
from quac.config.stages import job_named, stage_jobs
from quac.data.named_files import is_demo
from quac.evaluation.metrics import METRICS
from quac.system.console import printable
from quac.system.errors import QuacError
from quac.system.files import require_writable

# `quac` is the one installed next to this snakemake, even if its environment is not activated.
shell.prefix(f"export PATH={shlex.quote(os.path.dirname(sys.executable))}:$PATH; ")

DEMO = "data/digits"
KEY_TEXTS = ".snakemake/quac-keys"  # of the key files that are to be written


def fail(error):
    """Exit with one message: a WorkflowError would show a place in this file."""
    print(f"error: {printable(str(error))}", file=sys.stderr)
    sys.exit(1)


try:
    if workflow.is_main_process:
        require_unambiguous(map(Path, workflow.configfiles))
    TABLE = resolve_runs(config, above=workflow.config_settings.config)
    if workflow.is_main_process:
        for folder in TABLE.configs:
            require_writable(folder, "solver.root_dir")
        require_writable("reports", "the folder of the reports")
        require_own_reports(TABLE, Path("reports"))
except QuacError as error:
    fail(error)

RUNS = TABLE.configs  # root: Config
# Folder of the prepared data, of the classifier -> root by whose settings it is made.
DATA = {f"{TABLE.data[root]}/data": TABLE.data[root] for root in RUNS}
CLASSIFIERS = {f"{TABLE.classifiers[root]}/classifier": TABLE.classifiers[root] for root in RUNS}
REPORTS = {run.run_name: root for root, run in RUNS.items()}
EXPLORERS = [f"reports/{run.run_name}-explorer.html" for run in RUNS.values() if run.explanation.methods]
COMPARISON = [f"reports/{INDEX}.html"] if TABLE.names else []  # `runs` may have had several
TRACKED = [f"{root}/logs/tracked.json" for root, run in RUNS.items() if run.is_tracked]


wildcard_constraints:
    root="|".join(map(re.escape, RUNS)),
    data="|".join(map(re.escape, DATA)),
    judge="|".join(map(re.escape, CLASSIFIERS)),
    run="|".join(map(re.escape, REPORTS)),
    split="train|validation|test",
    kind="|".join(sorted({kind for run in RUNS.values() for kind in run.model.style_kinds})),
    step=r"\d+",
    shard=r"\d+-of-\d+",


def roots_where(whole):
    """Wildcard constraint: roots of the runs whose conversions are one job, or several."""
    return "|".join(re.escape(root) for root, run in RUNS.items() if (run.conversion.shards == 1) == whole) or "(?!)"


def root_of(wc):
    """Root of the run that a job belongs to, whichever wildcard its outputs are named by."""
    names = wc.keys()
    if "root" in names:
        return wc.root
    if "data" in names:
        return DATA[wc.data]
    return CLASSIFIERS[wc.judge] if "judge" in names else REPORTS[wc.run]


def run_of(wc):
    return TABLE.owners[root_of(wc)]


# How a stage is carried out does not change its result, so it must not make it run again: Snakemake does not track a
# param whose function takes `input`.


def device_options(wc, input):
    """Options of a stage that runs a network."""
    run = run_of(wc).run
    return f"--device {run.device}" + (f" --threads {run.threads}" if run.threads else "")


def shard_options(wc, input):
    """Options of one of several jobs that share the work of one."""
    return f"{device_options(wc, input)} --shard {wc.shard.replace('-of-', ' ')}"


def training_options(wc, input):
    return RunOptions.of(run_of(wc)).model_dump_json()


def config_file(wc, input):
    """The whole config, which the tracker of a training shows. (An input, even `ancient`, would hide other edits.)"""
    return write_texts({"config": key_text(RUNS[wc.root], job_named("config"), {})}, KEY_TEXTS)["config"]


def file_of(value):
    """A JSON file with a value."""
    return write_texts({"value": json.dumps(value)}, KEY_TEXTS)["value"]


def network_threads(wc):
    return run_of(wc).run.threads or 8


def num_workers(wc):
    return run_of(wc).splits[dict(wc.items()).get("split", "train")].num_workers


def decoding_threads(wc):
    return max(1, num_workers(wc))


def workers(wc, input, threads):
    """Processes that decode images, at most as many as `--cores` allows; 0: none but the stage's own."""
    return min(num_workers(wc), threads)
