"""What a user wrote -> a Config with every value filled in, or every fault at once."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from quac.config import Config
from quac.config.choices import ALWAYS_ERRORS, QUAC_ATTRIBUTIONS, SEVERITIES, split_mode, without_random_crop
from quac.config.data import Data, Split
from quac.config.evaluation import Oracle
from quac.config.faults import faults_of
from quac.config.places import expand_paths, place_faults
from quac.system.console import log
from quac.system.errors import QuacError, bullet_list, error_lines
from quac.system.files import DAMAGED


def resolve(raw: Any) -> Config:
    """The Config of what a user wrote (a dict), with every value filled in.

    Raises QuacError that lists every fault at once, each with its key and remedy.
    """
    config, faults = validate(raw)
    if config is None:
        raise config_error(faults)
    return config


def read_config(path: Path) -> Config:
    """The Config of a run's `config.yaml`, which the workflow writes. Raises QuacError if the file is not one."""
    try:
        return Config.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, RecursionError, *DAMAGED) as error:
        reason = error_lines(error)[0]
        raise QuacError(f"{path}: not a resolved config ({reason}). Delete it and run the workflow again.") from None


def config_error(faults: list[str]) -> QuacError:
    return QuacError("the config has errors:\n" + bullet_list(faults, 30))


def validate(raw: Any) -> tuple[Config | None, list[str]]:
    """`(Config, [])` of what a user wrote, or `(None, faults)`."""
    if not isinstance(raw, dict):
        return None, ["it must be a mapping of sections, such as `data:` and `solver:`"]
    # An empty section (every key commented out) is None in YAML; `x-` keys are free, for anchors.
    raw = {name: _without_none(value) for name, value in raw.items() if not str(name).startswith("x-")}
    try:
        config = Config.model_validate({name: value for name, value in raw.items() if value is not None})
    except ValidationError as error:
        return None, faults_of(error)
    faults: list[str] = []
    config = _fill_in(expand_paths(config, faults), faults)
    return (None, faults) if faults else (config, [])


def _without_none(section: Any) -> Any:
    """A section without its empty keys: they have their defaults, as if they were left out."""
    if not isinstance(section, dict):
        return section
    return {name: _without_none(value) for name, value in section.items() if value is not None}


def image_size_fault(size: int) -> str | None:
    """Why the networks do not support a square of `size` pixels, or None."""
    if size >= 32 and size & (size - 1) == 0:
        return None
    below = max(32, 2 ** (max(size, 1).bit_length() - 1))
    return f"{size} is not supported: it must be a power of two from 32 on; the nearest are {below} and {2 * below}"


def range_fault(final_activation: str, scale: float, shift: float) -> str | None:
    """Why a generator cannot give images of the range `scale * [0, 1] + shift`, or None."""
    lowest, highest = sorted((shift, scale + shift))
    bounds = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}.get(final_activation)
    if scale == 0 or not math.isfinite(scale + shift):
        return "the scale must not be 0, and both must be finite"
    if bounds and (lowest < bounds[0] or highest > bounds[1]):
        return (
            f"they put the images into [{lowest:g}, {highest:g}], but a last activation of {final_activation} gives "
            f"values in [{bounds[0]:g}, {bounds[1]:g}]; choose another of them"
        )
    return None


# QuAC repeats these in every split; the whole data set has one value.
_ONE_FOR_ALL = ("img_size", "channels", "scale", "shift")


def _fill_in(config: Config, faults: list[str]) -> Config:
    data = _read_data(config.data, faults)
    splits = {"data": data}
    for name in ("validation_data", "test_data"):
        section = getattr(config, name)
        if section is None and name == "test_data" and config.split and config.split.test:
            section = Split()
        if section is not None:
            splits[name] = _as_data(_read_split(section, name, faults), data, name, faults)
    _fill_in_sources(splits, config, faults)
    _fill_in_references(splits, faults)
    if unknown := sorted(config.checks.severity.keys() - SEVERITIES.keys()):
        faults.append(f"checks.severity: {', '.join(unknown)}: unknown; the findings are {', '.join(SEVERITIES)}")
    for code, reason in ALWAYS_ERRORS.items():
        if config.checks.severity.get(code, "error") != "error":
            faults.append(f"checks.severity.{code}: must stay an error; {reason}")
    for term, ramp in config.loss.ramps.items():
        if ramp.end_step <= ramp.start_step:
            faults.append(f"loss.ramps.{term}.end_step: must be above start_step ({ramp.start_step})")
    _check_classifier(config, faults)
    if config.init.freeze_d and not config.init.checkpoint:
        faults.append("init.freeze_d: needs a trained discriminator; give init.from, or leave it out")
    if not config.solver.root_dir or any(mark in config.solver.root_dir for mark in "{}\n"):
        faults.append("solver.root_dir: must be a path without braces and line breaks")
    faults += place_faults(config)
    faults += _name_faults(config)
    filled: dict[str, Any] = {
        **splits,
        "model": _fill_in_model(config, data, faults),
        "validation_config": _fill_in_judge(config.validation_config.model_dump(), data, faults),
        "oracles": _fill_in_oracles(config.oracles, data),
        "selection": config.selection.model_dump(),
        "explanation": _fill_in_explanation(config, faults),
        "attribution": {"attributions": None},
    }
    filled["selection"]["tries"] = config.selection.tries or config.validation_config.num_outs_per_domain
    for split in splits.values():
        split["grayscale"], split["rgb"] = split["channels"] == 1, split["channels"] == 3
        del split["channels"]
    return config if faults else Config.model_validate(config.model_dump() | filled)


def _name_faults(config: Config) -> Iterator[str]:
    """Names of a run that another page has, or that wandb would refuse."""
    if config.run_name.casefold().endswith("-explorer"):
        yield f"log.name: {config.run_name} is how the page with the explanations of a run is named; choose another"
    if config.log_type == "wandb" and config.is_tracked:
        if refused := sorted(set(config.log.project) & set("/\\#?%:")):
            yield f"log.project: wandb takes no {' '.join(refused)} in the name of a project; choose another"
        if len(config.log.project) > 128:
            yield "log.project: wandb takes at most 128 characters; choose a shorter name"
        for tag in config.log.tags:
            if not 1 <= len(tag) <= 64:
                yield f"log.tags: {tag!r} has {len(tag)} characters, but wandb takes 1 to 64; choose another"


def _read_data(section: Data, faults: list[str]) -> dict[str, Any]:
    data = _read_split(section, "data", faults)
    data["channels"] = data["channels"] or 3
    if fault := image_size_fault(data["img_size"]):
        faults.append(f"data.img_size: {fault}")
    _check_training_size(data, faults)
    if data["range"] and data["range"][0] >= data["range"][1]:
        faults.append("data.range: the lowest value comes first and must be below the highest")
    if (crop := data["rand_crop_prob"]) is not None:
        if "crop_probability" in section.augment.model_fields_set and data["augment"]["crop_probability"] != crop:
            faults.append("data.rand_crop_prob: sets the same as data.augment.crop_probability; give one of them")
        data["augment"] = {**data["augment"], "crop_probability": crop}
        data["rand_crop_prob"] = None
    if isinstance(data["sampling"], dict):
        if section.classes and set(section.classes) != data["sampling"].keys():
            faults.append("data.sampling: give a weight for each of data.classes")
        if not any(data["sampling"].values()):
            faults.append("data.sampling: at least one class needs a weight above 0")
    return data


def _check_training_size(data: dict[str, Any], faults: list[str]) -> None:
    """Training takes squares of `img_size`."""
    (scaling, crop), load_size = split_mode(data["preprocess"]), data["load_size"]
    if not crop and scaling != "resize":
        better = f"{scaling}_and_crop" if scaling else "crop"
        faults.append(
            f"data.preprocess: {data['preprocess']} leaves images of different sizes, but training needs squares of "
            f"data.img_size; choose {better}. (validation_data.preprocess and test_data.preprocess may have it.)"
        )
    if (scaling, bool(crop)) == ("resize", False) and load_size not in (None, data["img_size"]):
        faults.append("data.load_size: resize scales to data.img_size; leave it out, or choose resize_and_crop")
    _fill_in_load_size(data, data["img_size"], "data", faults)


def _fill_in_load_size(split: dict[str, Any], img_size: int, name: str, faults: list[str]) -> None:
    """What a split is scaled to: `img_size` by default; None if nothing is scaled."""
    (scaling, crop), load_size = split_mode(split["preprocess"]), split["load_size"]
    if load_size and not scaling:
        faults.append(f"{name}.load_size: {split['preprocess']} does not scale; leave it out")
    if scaling == "resize" and crop and not load_size:
        faults.append(f"{name}.load_size: missing; {split['preprocess']} resizes to it before it crops")
    if scaling and crop and load_size and load_size < img_size:
        faults.append(f"{name}.load_size: {load_size} is smaller than the crop, data.img_size ({img_size}); raise it")
    split["load_size"] = (load_size or img_size) if scaling else None


def _fill_in_sources(splits: dict[str, dict[str, Any]], config: Config, faults: list[str]) -> None:
    """Each split's source: as given, or the list that the split maker writes."""
    if config.split is None:
        for name, split in splits.items():
            if bool(split["source"]) == bool(split["sources"]):
                what = "given, and sources as well" if split["source"] else "missing; it has no default"
                faults.append(f"{name}.source: {what}: give source, or sources, or a section `split` for all")
        return
    shares = {"data": config.split.train, "validation_data": config.split.validation, "test_data": config.split.test}
    if abs(sum(shares.values()) - 1) > 1e-6 or not (config.split.train and config.split.validation):
        given = ", ".join(f"{_SPLITS[name]} {share:g}" for name, share in shares.items())
        faults.append(
            f"split: the shares ({given}) must add up to 1, and those of train and validation must be above 0"
        )
    if config.split.group_by is not None:
        try:
            re.compile(config.split.group_by)
        except re.error as error:
            faults.append(f"split.group_by: {config.split.group_by} is not a regular expression ({error}); correct it")
    if config.split.group_by is not None and config.split.group_column is not None:
        faults.append("split.group_by: give it or split.group_column, not both")
    for name, split in splits.items():
        path = f"{config.solver.root_dir}/data/split/{_SPLITS[name]}.csv"
        if split["sources"] is not None or split["source"] not in (None, path):
            faults.append(f"{name}.source: given, but the section `split` makes the splits; leave one of them out")
        if not shares[name]:
            faults.append(f"{name}: given, but split.{_SPLITS[name]} is 0; leave it out, or give it a share")
        split["source"] = path


_SPLITS = {"data": "train", "validation_data": "validation", "test_data": "test"}


def _read_split(section: Split, name: str, faults: list[str]) -> dict[str, Any]:
    """A split's section as a dict, QuAC's alternative spellings turned into `scale`, `shift` and `channels`."""
    split = section.model_dump()
    if split["mean"] is not None or split["std"] is not None:
        mean, std = split["mean"] or 0.0, split["std"] or 1.0
        same = {"scale": 1 / std, "shift": -mean / std}
        if any(split[spelling] != same[spelling] for spelling in section.model_fields_set & same.keys()):
            faults.append(f"{name}: mean and std contradict scale and shift; give one pair")
        split |= same
    split["mean"] = split["std"] = None
    gray, rgb = split["grayscale"], split["rgb"]
    if gray is not None and gray == rgb:
        faults.append(f"{name}: grayscale and rgb are both {str(gray).lower()}; give one of them")
    split["channels"] = None if gray is None and rgb is None else 1 if gray or rgb is False else 3
    return split


def _as_data(split: dict[str, Any], data: dict[str, Any], name: str, faults: list[str]) -> dict[str, Any]:
    """What a split leaves out, filled in from `data`."""
    for shared in _ONE_FOR_ALL:
        if split[shared] is not None and split[shared] != data[shared]:
            faults.append(
                f"{name}: {shared} is {split[shared]}, but {data[shared]} in data; "
                "all splits must be read in the same way: leave it out here"
            )
    per_split = ("source", "sources", "reference", "load_size")
    filled = {key: data[key] if value is None and key not in per_split else value for key, value in split.items()}
    filled["preprocess"] = without_random_crop(filled["preprocess"])
    if split_mode(filled["preprocess"])[0] == split_mode(data["preprocess"])[0]:  # another scaling has another size
        filled["load_size"] = filled["load_size"] or data["load_size"]
    _fill_in_load_size(filled, data["img_size"], name, faults)
    return filled


def _fill_in_model(config: Config, data: dict[str, Any], faults: list[str]) -> dict[str, Any]:
    model = config.model.model_dump()
    for counted, name in (("img_size", "img_size"), ("input_dim", "channels")):
        if model[counted] not in (None, data[name]):
            faults.append(
                f"model.{counted}: is {model[counted]}, but the data has {data[name]}; leave it out, or make them equal"
            )
        model[counted] = data[name]
    model["conv_dim"] = model["conv_dim"] or max(1, 2**14 // max(1, model["img_size"]))
    classes = config.data.classes
    if classes is not None and len(set(classes)) < max(2, len(classes)):
        faults.append("data.classes: must name at least two classes, each once")
    if classes is not None and model["num_domains"] not in (None, len(classes)):
        faults.append(
            f"model.num_domains: is {model['num_domains']}, but data.classes names {len(classes)}; leave it out"
        )
    if fault := range_fault(model["final_activation"], data["scale"], data["shift"]):
        faults.append(f"data.scale, data.shift: {fault}")
    return model


def _fill_in_judge(judge: dict[str, Any], data: dict[str, Any], faults: list[str]) -> dict[str, Any]:
    if judge["do_nothing"] and (judge["scale"], judge["shift"]) != (1.0, 0.0):
        faults.append(
            "validation_config.do_nothing: true means scale 1 and shift 0, but other values are given; leave it out"
        )
    if judge["classifier_checkpoint"] is None:
        for name in ("scale", "shift"):
            if isinstance(judge[name], list):
                faults.append(f"validation_config.{name}: a value for each channel needs a classifier_checkpoint")
        if judge["classes"] is not None:
            faults.append("validation_config.classes: belongs to a classifier_checkpoint; leave it out")
    return judge | {"do_nothing": None, "img_size": judge["img_size"] or data["img_size"]}


def _check_classifier(config: Config, faults: list[str]) -> None:
    """A network of torchvision halves the resolution five times."""
    own, judge = config.classifier, config.validation_config
    if own.backbone == "small" and own.weights:
        faults.append("classifier.weights: belong to a network of torchvision; name it in classifier.backbone")
    if own.backbone != "small" and not judge.classifier_checkpoint and (judge.img_size or 32) < 32:
        faults.append(f"validation_config.img_size: {judge.img_size} is too small for {own.backbone}: at least 32")


def _fill_in_oracles(oracles: str | dict[str, Oracle], data: dict[str, Any]) -> str | dict[str, dict[str, Any]]:
    """Each oracle of the user's as a section, even if only its file is given."""
    if isinstance(oracles, str):
        return oracles
    filled = {}
    for name, oracle in oracles.items():
        filled[name] = oracle.model_dump() | {"img_size": oracle.img_size or data["img_size"]}
    return filled


def _fill_in_explanation(config: Config, faults: list[str]) -> dict[str, Any]:
    """The explanation with QuAC's spelling of the methods turned into ours."""
    explanation, theirs = config.explanation.model_dump(), config.attribution.attributions
    if theirs is not None:
        methods = [QUAC_ATTRIBUTIONS[name] for name in theirs if name in QUAC_ATTRIBUTIONS]
        if "methods" in config.explanation.model_fields_set and methods != explanation["methods"]:
            faults.append("attribution.attributions: sets the same as explanation.methods; give one of them")
        for name in theirs:
            if name not in QUAC_ATTRIBUTIONS:
                log.info("attribution.attributions: %s needs hooks in the classifier and is left out", name)
        explanation["methods"] = methods
    if len(set(explanation["methods"])) < len(explanation["methods"]):
        faults.append("explanation.methods: names a method twice; leave one out")
    return explanation


def _fill_in_references(splits: dict[str, dict[str, Any]], faults: list[str]) -> None:
    """Where each split's references are from, as the name of a split."""
    names = {_SPLITS[section]: _SPLITS[section] for section in splits}
    names |= {split["source"]: _SPLITS[section] for section, split in reversed(splits.items()) if split["source"]}
    if names.get(splits["data"]["reference"], "train") != "train" or splits["data"]["reference"] not in (None, *names):
        faults.append("data.reference: training draws its references from data.source; leave it out")
    for section, split in splits.items():
        if section != "data" and split["reference"] not in (None, *names):
            faults.append(
                f"{section}.reference: {split['reference']} is neither a split nor the source of one; leave it out "
                f"(the training split's images), or give one of: {', '.join(names)}"
            )
        split["reference"] = names.get(split["reference"], "train")
