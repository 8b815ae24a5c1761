# Order-only inputs, and reruns decided by content. The only place that uses Snakemake's internals.
#
# A gate must exist before a stage starts, but its change is no reason to run the stage again: training waits for the
# checks of the data, and a longer training must not publish again the checkpoints that it has already made. Snakemake
# has no such flag. `ancient` is the nearest, but its author says that it "was not what ancient was intended for ... we
# might need a different flag" (snakemake/snakemake#661; #4166 is open): while the stage that makes a gate has to run,
# Snakemake does not check other reasons to run the stage behind it, so an edit of its own would be missed. Hence
# `ancient` is used only while the stage behind the gate is up to date.
from snakemake.io import IOFile, is_flagged

from quac.config.keys import differing, require_version_2
from quac.data.folders import DigestCache, cached_digest
from quac.data.run_keys import run_keys
from quac.system.clock import date_now
from quac.training.marker import damaged_checkpoints, stale_keys

DIGEST_CACHE = ".snakemake/quac-digests.json"  # of the user's files
RESULTS_CACHE = ".snakemake/quac-results.json"  # of files that rules make: few, so quickly read


def order_only(output, inputs, gates):
    """Input function, for `unpack`: the inputs of a stage ({name: input function}), and gates before it.

    The gates are plain inputs if `output` is missing, damaged, or was made from other inputs than the current ones. (An
    exception in here would go unnoticed: Snakemake then takes an existing output for a file that no rule makes.)
    """

    def find(wc):
        files = {name: function(wc) for name, function in inputs.items()}
        before = [path for function in gates for path in as_list(function(wc))]
        result = output.format(**dict(wc.items()))
        plain = [path for paths in files.values() for path in as_list(paths) if not is_flagged(path, "ancient")]
        current = result not in DIFFERENT and mtime(result) and all(is_unchanged(path, result) for path in plain)
        return {**files, "gates": [ancient(path) for path in before] if current else before}

    return find


def is_unchanged(path, output):
    """Whether a file is as it was when `output` was made from it: not newer, or with the recorded content."""
    if mtime(path) <= mtime(output):
        return True
    record = workflow.persistence.metadata(IOFile(output))
    known = ((record and record.input_checksums) or {}).get(path) or ""
    return known.removeprefix("sha256:") == cached_digest(path, RESULTS_CACHE)


def compare_keys():
    """{key file: file with its text}, and the files that must be made again: keys and published checkpoints.

    The content of a key differs, or the training was made from another one, or a checkpoint is damaged.

    Contents are compared, so an edit is noticed even if Snakemake has no record of the results: in another working
    folder, without .snakemake, after `--touch`.
    """
    for root in TABLE.owners:
        require_version_2(root)
    keys = run_keys(TABLE, DEMO, DIGEST_CACHE)
    different = differing(keys)
    for root, run in RUNS.items():
        training_keys = {"key": f"{root}/keys/train.json", "save_plan": f"{root}/keys/save_plan.json"}
        texts = {name: keys[path] for name, path in training_keys.items()}
        files = {"index": f"{TABLE.data[root]}/data/train.parquet"}
        if run.loss.is_used("cls") and not run.validation_config.classifier_checkpoint:
            files["classifier"] = f"{TABLE.classifiers[root]}/classifier/classifier.pt"
        stale = stale_keys(f"{root}/training/trained.json", texts, files)
        different += [training_keys[name] for name in stale]
        with DigestCache(RESULTS_CACHE) as digest:
            published = lambda step: Path(f"{root}/checkpoints/{step:06d}_nets_ema.ckpt")
            lost, changed = damaged_checkpoints(Path(root, "training/trained.json"), published, digest)
        different += [training_keys["save_plan"]] if {*lost} & {*run.steps} else []
        different += [str(published(step)) for step in changed]
    return write_texts(keys, KEY_TEXTS), set(different)


def force_if_different(path):
    """A file that differs from what it should be is made again, whatever its time."""
    if path in DIFFERENT:
        workflow.dag.forcefiles.add(path)
    return []


def as_list(files):
    return [files] if isinstance(files, str) else files


def mtime(path):
    """Modification time of a file in nanoseconds; 0 if it does not exist."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
