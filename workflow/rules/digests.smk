# What the key files hold: settings, and digests of files that no rule makes.
import os

from quac.data.folders import cached_digest, tree_digest
from quac.errors import QuacError
from quac.files import canonical, read_json
from quac.settings import stage_settings

DIGEST_CACHE = ".snakemake/quac-digests.json"


def source_digest(run, split):
    """Digest of a split's files; None for the demo's as long as they are as the rule made them.

    (What a rule makes has no digest before its first run, and must not get one by it.)
    """
    source, made = run.splits[split].source, f"{DEMO}/digest.json"
    if not is_demo(source):
        return tree_digest(source, run.data.classes, DIGEST_CACHE)
    if not (os.path.isdir(source) and os.path.isfile(made)):
        return None
    digest = tree_digest(source, cache=DIGEST_CACHE)
    return None if digest == read_json(made)[split] else digest


def outside_digests(run, stage):
    if stage.startswith("index_"):
        split = stage.split("_", 1)[1]
        try:
            return {"source": source_digest(run, split)}
        except QuacError as error:
            section = {"train": "data", "validation": "validation_data", "test": "test_data"}[split]
            raise QuacError(f"{section}.source: {error}")
    classifier = run.validation_config.classifier_checkpoint
    if stage in ("check", "conversion") and classifier:
        if not os.path.isfile(classifier):
            raise QuacError(f"validation_config.classifier_checkpoint: {classifier} is no file; correct the path")
        return {"classifier": cached_digest(classifier, DIGEST_CACHE)}
    return {}


def key_content(run, stage):
    return canonical({"stage": stage, "settings": stage_settings(run, stage), "digests": outside_digests(run, stage)})


def stages_of(run):
    """The stages of a run that have a key file."""
    stages = [f"index_{split}" for split in run.splits] + ["checks", "store", "check", "train", "conversion", "select"]
    return stages if run.validation_config.classifier_checkpoint else [*stages, "classifier"]


try:
    KEYS = {
        (root, stage): key_content(run, stage) for root, run in RUNS.items() for stage in [*stages_of(run), "config"]
    }
except QuacError as error:
    stop(error)
