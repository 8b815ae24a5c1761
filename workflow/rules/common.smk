# The run table, and how a stage is carried out.
import json
import os
import re
import shlex
import sys

from snakemake.exceptions import WorkflowError
from snakemake.io import IOFile, is_flagged

from quac.config.evaluation import KINDS
from quac.evaluation.metrics import MATRICES
from quac.system.errors import QuacError
from quac.config.runs import INDEX, resolve_runs
from quac.training.tracking.base import is_tracked
from quac.config.loss_weights import is_used

# `quac` is the one installed beside this snakemake, also where its environment is not activated.
shell.prefix(f"export PATH={shlex.quote(os.path.dirname(sys.executable))}:$PATH; ")

DEMO = "data/digits"


def stop(error):
    """End here with one message: a WorkflowError would show where in this file it was raised."""
    print(f"error: {error}", file=sys.stderr)
    sys.exit(1)


def resolved(raw):
    try:
        return resolve_runs(raw, above=workflow.config_settings.config)
    except QuacError as error:
        stop(error)


def existing_segments(root):
    """Last steps of the segments that have been trained."""
    try:
        names = os.listdir(f"{root}/training")
    except OSError:
        return []
    return sorted(int(name[:-5]) for name in names if re.fullmatch(r"\d{6,}\.json", name))


def segment_ends(root, run):
    """Last steps of the segments, ascending; the last segment may be trained in part.

    Those on disk stay as they are, so that another run.segment_iters leaves
    alone what is finished.
    """
    ends = existing_segments(root)
    while not ends or ends[-1] < run.total_iters:
        ends.append((ends[-1] if ends else 0) + run.segment_iters)
    return [end for end, before in zip(ends, [0, *ends]) if before < run.total_iters]


def require_writable(folder, name):
    existing = os.path.abspath(folder)
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    if not (os.path.isdir(existing) and os.access(existing, os.W_OK)):
        stop(f"{name}: {folder} cannot be written; make {existing} writable, or choose another folder")


TABLE = resolved(config)
RUNS = TABLE.configs  # root: Config
for folder in RUNS:
    require_writable(folder, "solver.root_dir")
require_writable("reports", "the folder of the reports")
# Folder of the prepared data, of the classifier -> root whose settings it is made by; there may be a run in it, or not.
DATA = {f"{TABLE.data[root]}/data": TABLE.data[root] for root in RUNS}
JUDGES = {f"{TABLE.judges[root]}/classifier": TABLE.judges[root] for root in RUNS}
# What is also told to a tracker.
TRACKED = [f"{root}/logs/tracked.json" for root, run in RUNS.items() if is_tracked(run.log_type, run.log.mode)]
REPORTS = {run.run_name: root for root, run in RUNS.items()}
# The page that compares the reports of `runs`; also of one, which may have been several.
COMPARISON = [f"reports/{INDEX}.html"] if TABLE.names else []
SEGMENTS = {root: segment_ends(root, run.run) for root, run in RUNS.items()}


wildcard_constraints:
    root="|".join(map(re.escape, RUNS)),
    data="|".join(map(re.escape, DATA)),
    judge="|".join(map(re.escape, JUDGES)),
    run="|".join(map(re.escape, REPORTS)),
    split="train|validation|test",
    kind="|".join(KINDS),
    step=r"\d+",
    shard=r"\d+-of-\d+",
    end="|".join(f"{end:06d}" for ends in SEGMENTS.values() for end in ends),


def roots_where(whole):
    """Wildcard constraint: roots of the runs whose conversions are of one job, or of several."""
    return "|".join(re.escape(root) for root, run in RUNS.items() if (run.conversion.shards == 1) == whole) or "(?!)"


def root_of(wc):
    """Root of the run that a job belongs to, whichever wildcard its outputs are named by."""
    names = wc.keys()
    if "root" in names:
        return wc.root
    if "data" in names:
        return DATA[wc.data]
    return JUDGES[wc.judge] if "judge" in names else REPORTS[wc.run]


def run_of(wc):
    return TABLE.holders[root_of(wc)]


def is_demo(source):
    """Whether a source is a folder that the rule demo_data makes."""
    folders = [f"{DEMO}/{split}" for split in ("train", "validation", "test")]
    return isinstance(source, str) and os.path.normpath(source) in folders


# How a stage is carried out is no part of its result, so nothing that makes it run again: Snakemake does not track a
# param whose function takes `input`.


def computing(wc, input):
    """Options of a stage that runs a network."""
    run = run_of(wc).run
    return f"--device {run.device}" + (f" --threads {run.threads}" if run.threads else "")


def computing_shard(wc, input):
    """Options of one of several jobs that do the work of one."""
    return f"{computing(wc, input)} --shard {wc.shard.replace('-of-', ' ')}"


def config_as_json(wc, input):
    return json.dumps(run_of(wc).model_dump())


def decoders(wc):
    return run_of(wc).splits[wc.split].num_workers


def network_threads(wc):
    return run_of(wc).run.threads or workflow.cores


def training_options(wc, input):
    run = run_of(wc)
    names = {"log_every", "eval_every", "state_every", "state_minutes", "keep_states", "accumulate"}
    options = run.run.model_dump(include=names)
    carried_out = {"device_cache": run.data.device_cache, **run.solver.model_dump(include={"channels_last", "compile"})}
    return json.dumps({**options, **carried_out, "config": run.model_dump()})
