# What the key files hold: settings, and digests of files that no rule makes.
import os

from quac.data.folders import cached_digest, tree_digest
from quac.data.sources import names_masks, source_digest
from quac.system.errors import QuacError
from quac.system.files import canonical, read_json
from quac.config.stages import data_stages, judge_stages, stage_settings

DIGEST_CACHE = ".snakemake/quac-digests.json"
RESULTS_CACHE = ".snakemake/quac-results.json"  # of files that rules make: few, so quickly read


def digest_of_split(run, split):
    """Digest of a split's files; None for what a rule makes, which has none before its first run.

    The demo's images get one where they are not any more as the rule made them.
    """
    source = run.splits[split].origin
    if run.split:
        return None
    if not is_demo(source):
        return source_digest(source, split, run.data.layout, run.data.classes, DIGEST_CACHE)
    made = f"{DEMO}/digest.json"
    if not os.path.isfile(made):
        if os.path.isdir(source) and os.listdir(source) and not os.path.exists(f"{DEMO}/demo_data.log"):
            raise QuacError(f"{source}: holds images that are not the demo's; move them, the demo writes its own there")
        return None
    if not os.path.isdir(source):
        raise QuacError(f"{source}: does not exist any more; delete {made}, and the demo's images are written again")
    digest = tree_digest(source, cache=DIGEST_CACHE)
    return None if digest == read_json(made)[split] else digest


def classifier_digest(run):
    classifier = run.validation_config.classifier_checkpoint
    name = f"validation_config.classifier_checkpoint: {classifier}"
    if os.path.normpath(classifier) in {f"{holder}/classifier/classifier.pt" for holder in TABLE.holders}:
        raise QuacError(f"{name} is what the workflow itself makes; leave the key out, or copy the file elsewhere")
    if not os.path.isfile(classifier):
        raise QuacError(f"{name} is no file; correct the path")
    return cached_digest(classifier, DIGEST_CACHE)


def weights_digest(run):
    weights = run.classifier.weights
    if not os.path.isfile(weights):
        raise QuacError(f"classifier.weights: {weights} is no file; correct the path")
    return cached_digest(weights, DIGEST_CACHE)


def training_digests(run, root):
    found = {}
    if is_used(run.loss, "cls") and run.validation_config.classifier_checkpoint:
        found["classifier"] = classifier_digest(run)
    if run.init.checkpoint:
        if not os.path.isfile(run.init.checkpoint):
            raise QuacError(f"init.from: {run.init.checkpoint} is no file; correct the path")
        for made in RUNS:
            if os.path.realpath(run.init.checkpoint).startswith(os.path.join(os.path.realpath(made), "")):
                raise QuacError(
                    f"init.from: {run.init.checkpoint} is of this run itself; choose another solver.root_dir"
                    if made == root
                    else f"init.from: {run.init.checkpoint} is of another run of this config; copy it elsewhere"
                )
        found["init"] = cached_digest(run.init.checkpoint, DIGEST_CACHE)
    return found


def outside_digests(root, run, stage):
    name, _, split = stage.partition("_")
    if name == "index":
        try:
            return {"source": digest_of_split(run, split)}
        except QuacError as error:
            section = {"train": "data", "validation": "validation_data", "test": "test_data"}[split]
            key = "sources" if run.splits[split].sources else "source"
            raise QuacError(f"{section}.{key}: {error}")
    if name == "split":
        try:
            return {"source": source_digest(run.split.source, None, run.data.layout, run.data.classes, DIGEST_CACHE)}
        except QuacError as error:
            raise QuacError(f"split.source: {error}")
    if name == "train":
        return training_digests(run, root)
    if name == "classifier" and run.classifier.weights:
        return {"weights": weights_digest(run)}
    if name == "score" and run.conversion.mask == "paste":
        require_masks(run)
    if name in ("check", "score", "conversion", "styles"):
        return judge_digests(root, run, further=name in ("check", "conversion"))
    return {}


def require_masks(run):
    """Stop where masks are asked for, but no list of images names one. (Their content is in the sources' digests.)"""
    evaluated = [split for split in run.splits if split != "train"]
    sources = [(run.split.source, None)] if run.split else [(run.splits[split].origin, split) for split in evaluated]
    if not any(names_masks(source, split, run.data.layout, run.data.classes) for source, split in sources):
        raise QuacError(
            f"conversion.mask: is paste, but no list names a mask for an image of {' or '.join(evaluated)}; "
            "give lists with a column mask as sources, or leave the key out"
        )


def judge_digests(root, run, further):
    found = {"classifier": classifier_digest(run)} if run.validation_config.classifier_checkpoint else {}
    if further and run.judges:
        found["judges"] = {}
        for name, judge in run.judges.items():
            if not os.path.isfile(judge.classifier_checkpoint):
                raise QuacError(f"judges.{name}: {judge.classifier_checkpoint} is no file; correct the path")
            found["judges"][name] = cached_digest(judge.classifier_checkpoint, DIGEST_CACHE)
    return found


def key_content(root, run, stage):
    try:
        digests = outside_digests(root, run, stage)
    except QuacError as error:
        raise QuacError(f"runs.{TABLE.names[root]}.{error}" if root in TABLE.names else str(error))
    return canonical({"stage": stage, "settings": stage_settings(run, stage), "digests": digests})


def stages_of(root):
    """The stages of a run that have a key file, but for `config`, each with the root below which that lies."""
    run = RUNS[root]
    own = ["train", "score", "select", *(f"schedule_{end:06d}" for end in SEGMENTS[root])]
    own += [f"{stage}_{split}" for stage in ("conversion", "styles") for split in run.splits if split != "train"]
    return {
        **dict.fromkeys(data_stages(run), TABLE.data[root]),
        **dict.fromkeys(judge_stages(run), TABLE.judges[root]),
        **dict.fromkeys(own, root),
    }


try:
    KEYS = {
        (home, stage): key_content(home, TABLE.holders[home], stage)
        for root in RUNS
        for stage, home in {**stages_of(root), "config": root}.items()
    }
except QuacError as error:
    stop(error)
except OSError as error:
    stop(f"{error.filename}: {error.strerror}")


wildcard_constraints:
    stage="|".join(sorted({stage for _, stage in KEYS})),
