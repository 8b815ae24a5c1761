"""What each stage depends on: the settings that go into its key file.

A stage reads its settings from its key file and from nowhere else; so what
is not listed here cannot change its result, and what is listed makes it run
again when it changes. How a stage is carried out (threads, device, logging,
length of the training) is handed to it beside the key.
"""

import json
from pathlib import Path
from types import SimpleNamespace

from quac.config.loss_weights import is_used
from quac.system.errors import QuacError

# Of the sections, what the training does not depend on.
_OF_DATA = {"img_size", "batch_size", "scale", "shift", "augment", "sampling", "preprocess", "load_size"}
_SIZES = {"preprocess", "load_size"}
_READING = {"range", "background", "page", "max_pixels"}
_RANGE = {"scale", "shift"}
_SHOWING = {"scale", "shift", "img_size", "outputs", "classes"}  # how images reach a classifier
_NETWORKS = {"num_domains"}  # counted in the data; the rest of `model` decides


def stage_settings(config, stage):
    """The settings that a stage depends on, as a JSON-able dict.

    Args:
        config: a resolved Config.
        stage: `config`, `split`, `index_<split>`, `checks`, `store_<split>`, `classifier`, `check`, `train`,
            `schedule_<last step of a segment>`, `score`, `conversion_<split>`, `styles_<split>` or `select`.
    """
    name, _, part = stage.partition("_")
    return _STAGES[name](config, part)


def data_stages(config):
    """The stages that prepare a run's data."""
    stored = [f"{stage}_{split}" for stage in ("index", "store") for split in config.splits]
    return [*(["split"] if config.split else []), *stored, "checks"]


def judge_stages(config):
    """The stages that make or check a run's classifier."""
    return ["check", *([] if config.validation_config.classifier_checkpoint else ["classifier"])]


def read_settings(path):
    """A key file's settings as nested namespaces: `settings.loss.lambda_cyc`."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        return json.loads(text, object_hook=lambda section: SimpleNamespace(**section)).settings
    except (OSError, ValueError, AttributeError) as error:
        raise QuacError(f"{path}: is no key file ({error}); delete it and run the same command again") from None


def as_dict(settings):
    """A section whose names are the user's own, as a dict again; other values as they are."""
    if isinstance(settings, SimpleNamespace):
        return {name: as_dict(value) for name, value in vars(settings).items()}
    return [as_dict(value) for value in settings] if isinstance(settings, list) else settings


def _split(config, _):
    return {**config.split.model_dump(), **_listing(config), **_reading(config), "distance": _distance(config)}


def _index(config, split):
    return {"split": split, "source": config.splits[split].origin, **_listing(config), **_reading(config)}


def _checks(config, _):
    return {
        "num_domains": config.model.num_domains,
        "splits": list(config.splits),
        "severity": config.checks.severity,
        "near_duplicate_distance": _distance(config),
        "sampling": sorted(config.data.sampling) if isinstance(config.data.sampling, dict) else None,
        "sizes": {split: _sizes(config, split) for split in config.splits},
    }


def _store(config, split):
    return {**_sizes(config, split), "channels": config.model.input_dim, **_reading(config)}


def _sizes(config, split):
    """How images come to their size."""
    return {"img_size": config.data.img_size, **config.splits[split].model_dump(include=_SIZES)}


def _listing(config):
    """Which images there are."""
    return {"layout": config.data.layout, "classes": config.data.classes}


def _reading(config):
    """How a file becomes pixels."""
    return {"reading": config.data.model_dump(include=_READING)}


def _distance(config):
    return config.checks.near_duplicate_distance


def _classifier(config, _):
    return {
        "classifier": config.classifier.model_dump(exclude={"weights"}),  # the file itself is among the digests
        "seed": config.run.seed,
        "model": _shown(config),
        "judge": config.validation_config.model_dump(include={"scale", "shift", "img_size"}),
        "data": config.data.model_dump(include={*_RANGE, "augment"}),
    }


def _check(config, _):
    judge = config.validation_config
    return {
        "min_accuracy": judge.min_accuracy,
        "splits": list(config.splits),
        "batch_size": judge.val_batch_size,
        "model": _shown(config),
        **_judging(config),
        **_further_judges(config),
    }


def _train(config, _):
    return {
        "data": {**config.data.model_dump(include=_OF_DATA), **_reading(config)},
        "model": config.model.model_dump(exclude=_NETWORKS),
        "solver": config.solver.model_dump(exclude={"root_dir", "channels_last", "compile"}),
        "loss": config.loss.model_dump(),
        "seed": config.run.seed,
        "init": config.init.model_dump(include={"classes", "freeze_d"}),  # the checkpoint itself is among the digests
        "judge": _judging(config)["judge"] if is_used(config.loss, "cls") else None,
    }


def _schedule(config, end):
    """How far a segment is trained, and which of its steps are saved. (Not what is trained: that is `train`.)"""
    run, total = config.run, config.run.total_iters
    return {"end": min(int(end), total), "save_every": run.save_every, "last": total <= int(end), **_save_from(config)}


def _conversion(config, split):
    return {
        "tries": config.validation_config.num_outs_per_domain,
        "max_per_class": None,
        **_converting(config, split),
        **_further_judges(config),
    }


def _score(config, _):
    """Of a checkpoint, to choose one."""
    chosen = config.selection
    return {
        "tries": chosen.tries or config.validation_config.num_outs_per_domain,
        "max_per_class": chosen.max_per_class,
        **_converting(config, "validation"),
    }


def _converting(config, split):
    """How a split is converted; all that its grids of styles depend on."""
    return {
        "batch_size": config.validation_config.val_batch_size,
        "seed": config.run.seed,
        "model": config.model.model_dump(exclude=_NETWORKS),
        "references": config.reference_split(split),
        **_judging(config),
        **_masking(config, split),
    }


def _masking(config, split):
    """How masks are read and used. Nothing where they are not: a run without them has the key that it always had."""
    if config.conversion.mask == "none":
        return {}
    return {"mask": {"edge": config.conversion.mask_edge, **_sizes(config, split), **_reading(config)}}


def _shown(config):
    """What images the classifier is shown."""
    return config.model.model_dump(include={"img_size", "input_dim"})


def _judging(config):
    """How images reach the classifier."""
    return {
        "judge": config.validation_config.model_dump(include=_SHOWING),
        "data": config.data.model_dump(include=_RANGE),
    }


def _further_judges(config):
    return {"judges": {name: judge.model_dump(include=_SHOWING) for name, judge in config.judges.items()}}


def _select(config, _):
    chosen = config.selection.model_dump(include={"metric", "kind", "rule"})
    saved = {"save_every": config.run.save_every, "total_iters": config.run.total_iters}
    return {**saved, "selection": chosen, **_save_from(config)}


def _save_from(config):
    """(Only where it is set, so that keys are what they were before there was such a setting.)"""
    return {"save_from": config.run.save_from} if config.run.save_from else {}


def _config(config, _):
    return config.model_dump()


_STAGES = {
    "config": _config,
    "split": _split,
    "index": _index,
    "checks": _checks,
    "store": _store,
    "classifier": _classifier,
    "check": _check,
    "train": _train,
    "schedule": _schedule,
    "score": _score,
    "conversion": _conversion,
    "styles": _converting,
    "select": _select,
}
