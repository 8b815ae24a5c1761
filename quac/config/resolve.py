"""What a user wrote -> a Config with every value filled in, or every fault at once."""

import difflib
import math
import re

from pydantic import ValidationError

from quac.config import Config, known_keys
from quac.config.data import SEVERITIES, Split
from quac.config.evaluation import FurtherJudge
from quac.data.preprocess import for_conversion, parts
from quac.system.errors import QuacError, listing


def resolve(raw):
    """What a user wrote (a dict) -> Config with every value filled in.

    Raises QuacError that lists every fault at once, each with its key and remedy.
    """
    config, faults = examine(raw)
    if faults:
        raise config_error(faults)
    return config


def config_error(faults):
    return QuacError("the config has errors:\n" + listing(faults, 30))


def examine(raw):
    """`(Config, [])` of what a user wrote, or `(None, faults)`."""
    if not isinstance(raw, dict):
        return None, ["it must be a mapping of sections, such as `data:` and `solver:`"]
    # An empty section (every key commented out) is None in YAML; `x-` keys are free, for anchors.
    raw = {name: _without_none(value) for name, value in raw.items() if not str(name).startswith("x-")}
    try:
        config = Config.model_validate({name: value for name, value in raw.items() if value is not None})
    except ValidationError as error:
        return None, list(dict.fromkeys(_explain(e) for e in error.errors() if not _is_of_another_type(e)))
    faults = []
    config = _fill_in(config, faults)
    return (None, faults) if faults else (config, [])


def _without_none(section):
    """A section without its empty keys: they stand for their defaults, as if they were left out."""
    if not isinstance(section, dict):
        return section
    return {name: _without_none(value) for name, value in section.items() if value is not None}


def image_size_fault(size):
    """Why the networks do not support a square of `size` pixels, or None."""
    if size >= 32 and size & (size - 1) == 0:
        return None
    below = max(32, 2 ** (max(size, 1).bit_length() - 1))
    return (
        f"{size} is not supported: the networks need a power of two from 32 on; the nearest are {below} and {2 * below}"
    )


def range_fault(final_activation, scale, shift):
    """Why a generator cannot give images of the range `scale * [0, 1] + shift`, or None."""
    lowest, highest = sorted((shift, scale + shift))
    bounds = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}.get(final_activation)
    if scale == 0 or not math.isfinite(scale + shift):
        return "the scale must not be 0, and both be finite"
    if bounds and (lowest < bounds[0] or highest > bounds[1]):
        return (
            f"they put the images into [{lowest:g}, {highest:g}], but a last activation of {final_activation} gives "
            f"values in [{bounds[0]:g}, {bounds[1]:g}]; choose another of them"
        )
    return None


# What QuAC repeats in every split, but is one for the whole data set.
_ONE_FOR_ALL = ("img_size", "channels", "scale", "shift")


def _fill_in(config, faults):
    data = _read_data(config.data, faults)
    splits = {"data": data}
    for name in ("validation_data", "test_data"):
        section = getattr(config, name)
        if section is None and name == "test_data" and config.split and config.split.test:
            section = Split()
        if section is not None:
            splits[name] = _as_data(_read_split(section, name, faults), data, name, faults)
    _fill_in_sources(splits, config, faults)
    _check_references(splits, faults)
    if unknown := sorted(config.checks.severity.keys() - SEVERITIES.keys()):
        faults.append(f"checks.severity: {', '.join(unknown)}: no such finding; there are {', '.join(SEVERITIES)}")
    if config.checks.severity.get("class-missing", "error") != "error":
        faults.append("checks.severity.class-missing: stays an error; a class without images cannot be scored")
    for term, ramp in config.loss.ramps.items():
        if ramp.end_step <= ramp.start_step:
            faults.append(f"loss.ramps.{term}.end_step: must be above start_step ({ramp.start_step})")
    _check_classifier(config, faults)
    if config.init.freeze_d and not config.init.checkpoint:
        faults.append("init.freeze_d: is for a trained discriminator; give init.from, or leave it out")
    if not config.solver.root_dir or any(mark in config.solver.root_dir for mark in "{}\n"):
        faults.append("solver.root_dir: must be a path without braces and line breaks")
    filled = {
        **splits,
        "model": _fill_in_model(config, data, faults),
        "validation_config": _fill_in_judge(config.validation_config.model_dump(), data, faults),
        "judges": _fill_in_further_judges(config.judges, data),
    }
    for split in splits.values():
        split["grayscale"], split["rgb"] = split["channels"] == 1, split["channels"] == 3
        del split["channels"]
    return config if faults else Config.model_validate(config.model_dump() | filled)


def _read_data(section, faults):
    data = _read_split(section, "data", faults)
    data["channels"] = data["channels"] or 3
    if fault := image_size_fault(data["img_size"]):
        faults.append(f"data.img_size: {fault}")
    _check_training_size(data, faults)
    if data["range"] and data["range"][0] >= data["range"][1]:
        faults.append("data.range: the lowest value comes first, and is below the highest")
    if (crop := data["rand_crop_prob"]) is not None:
        if "crop_probability" in section.augment.model_fields_set and data["augment"]["crop_probability"] != crop:
            faults.append("data.rand_crop_prob: says the same as data.augment.crop_probability; give one of them")
        data["augment"] = {**data["augment"], "crop_probability": crop}
        data["rand_crop_prob"] = None
    if isinstance(data["sampling"], dict):
        if section.classes and set(section.classes) != data["sampling"].keys():
            faults.append("data.sampling: give a weight for each of data.classes")
        if not any(data["sampling"].values()):
            faults.append("data.sampling: some class must have a weight above 0")
    return data


def _check_training_size(data, faults):
    """Training takes squares of `img_size`."""
    (scaling, crop), load_size = parts(data["preprocess"]), data["load_size"]
    if not crop and scaling != "resize":
        better = f"{scaling}_and_crop" if scaling else "crop"
        faults.append(
            f"data.preprocess: {data['preprocess']} leaves images of many sizes, but training takes squares of "
            f"data.img_size; choose {better}. (validation_data.preprocess and test_data.preprocess may be it.)"
        )
    if (scaling, bool(crop)) == ("resize", False) and load_size not in (None, data["img_size"]):
        faults.append("data.load_size: resize goes to data.img_size; leave it out, or choose resize_and_crop")
    _fill_in_load_size(data, data["img_size"], "data", faults)


def _fill_in_load_size(split, img_size, name, faults):
    """What a split is scaled to: `img_size` where nothing else is said; None where nothing is scaled."""
    (scaling, crop), load_size = parts(split["preprocess"]), split["load_size"]
    if load_size and not scaling:
        faults.append(f"{name}.load_size: {split['preprocess']} does not scale; leave it out")
    if scaling == "resize" and crop and not load_size:
        faults.append(f"{name}.load_size: is missing; {split['preprocess']} resizes to it before it crops")
    if scaling and crop and load_size and load_size < img_size:
        faults.append(f"{name}.load_size: {load_size} is smaller than the crop, data.img_size ({img_size}); raise it")
    split["load_size"] = (load_size or img_size) if scaling else None


def _fill_in_sources(splits, config, faults):
    """Each split's source: as given, or the list that the split maker writes."""
    if config.split is None:
        for name, split in splits.items():
            if bool(split["source"]) == bool(split["sources"]):
                what = "is given, and sources as well" if split["source"] else "is missing; it has no default"
                faults.append(f"{name}.source: {what}: give source, or sources, or a section `split` for all")
        return
    shares = {"data": config.split.train, "validation_data": config.split.validation, "test_data": config.split.test}
    if abs(sum(shares.values()) - 1) > 1e-6 or not (config.split.train and config.split.validation):
        given = ", ".join(f"{_LISTS[name]} {share:g}" for name, share in shares.items())
        faults.append(f"split: the shares ({given}) must add up to 1, and those of train and validation be above 0")
    if config.split.group_by is not None:
        try:
            re.compile(config.split.group_by)
        except re.error as error:
            faults.append(f"split.group_by: {config.split.group_by} is no regular expression ({error}); correct it")
    if config.split.group_by is not None and config.split.group_column is not None:
        faults.append("split.group_by: give it or split.group_column, not both")
    for name, split in splits.items():
        path = f"{config.solver.root_dir}/data/split/{_LISTS[name]}.csv"
        if split["sources"] is not None or split["source"] not in (None, path):
            faults.append(f"{name}.source: is given, but the section `split` makes the splits; leave one of them out")
        if not shares[name]:
            faults.append(f"{name}: is given, but split.{_LISTS[name]} is 0; leave it out, or give it a share")
        split["source"] = path


_LISTS = {"data": "train", "validation_data": "validation", "test_data": "test"}


def _read_split(section, name, faults):
    """A split's section as a dict, QuAC's alternative spellings turned into `scale`, `shift` and `channels`."""
    split = section.model_dump()
    if split["mean"] is not None or split["std"] is not None:
        mean, std = split["mean"] or 0.0, split["std"] or 1.0
        same = {"scale": 1 / std, "shift": -mean / std}
        if any(split[spelling] != same[spelling] for spelling in section.model_fields_set & same.keys()):
            faults.append(f"{name}: mean and std say the same as scale and shift, but differently; give one pair")
        split |= same
    split["mean"] = split["std"] = None
    gray, rgb = split["grayscale"], split["rgb"]
    if gray is not None and gray == rgb:
        faults.append(f"{name}: grayscale and rgb are both {str(gray).lower()}; give one of them")
    split["channels"] = None if gray is None and rgb is None else 1 if gray or rgb is False else 3
    return split


def _as_data(split, data, name, faults):
    """What a split leaves out, filled in from `data`."""
    for shared in _ONE_FOR_ALL:
        if split[shared] is not None and split[shared] != data[shared]:
            faults.append(
                f"{name}: {shared} is {split[shared]}, but {data[shared]} in data; "
                "all splits must be read alike: leave it out here"
            )
    of_each = ("source", "sources", "reference", "load_size")
    filled = {key: data[key] if value is None and key not in of_each else value for key, value in split.items()}
    filled["preprocess"] = for_conversion(filled["preprocess"])
    if parts(filled["preprocess"])[0] == parts(data["preprocess"])[0]:  # another scaling has another size
        filled["load_size"] = filled["load_size"] or data["load_size"]
    _fill_in_load_size(filled, data["img_size"], name, faults)
    return filled


def _fill_in_model(config, data, faults):
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
        faults.append("data.classes: names at least two classes, each once")
    if classes is not None and model["num_domains"] not in (None, len(classes)):
        faults.append(
            f"model.num_domains: is {model['num_domains']}, but data.classes names {len(classes)}; leave it out"
        )
    if fault := range_fault(model["final_activation"], data["scale"], data["shift"]):
        faults.append(f"data.scale, data.shift: {fault}")
    return model


def _fill_in_judge(judge, data, faults):
    if judge["do_nothing"] and (judge["scale"], judge["shift"]) != (1.0, 0.0):
        faults.append(
            "validation_config.do_nothing: true means scale 1 and shift 0, but others are given; leave it out"
        )
    if judge["classifier_checkpoint"] is None:
        for name in ("scale", "shift"):
            if isinstance(judge[name], list):
                faults.append(f"validation_config.{name}: numbers for each channel are for a classifier that is given")
        if judge["classes"] is not None:
            faults.append("validation_config.classes: is for a classifier that is given; leave it out")
    return judge | {"do_nothing": None, "img_size": judge["img_size"] or data["img_size"]}


def _check_classifier(config, faults):
    """A network of torchvision halves the resolution five times."""
    own, judge = config.classifier, config.validation_config
    if own.backbone == "small" and own.weights:
        faults.append("classifier.weights: are of a network of torchvision; name it in classifier.backbone")
    if own.backbone != "small" and not judge.classifier_checkpoint and (judge.img_size or 32) < 32:
        faults.append(f"validation_config.img_size: {judge.img_size} is too small for {own.backbone}: at least 32")


def _fill_in_further_judges(judges, data):
    """Each further judge as a section, also where it is given as a file alone."""
    filled = {}
    for name, judge in judges.items():
        judge = FurtherJudge(classifier_checkpoint=judge) if isinstance(judge, str) else judge
        filled[name] = judge.model_dump() | {"img_size": judge.img_size or data["img_size"]}
    return filled


def _check_references(splits, faults):
    sources = [*(_LISTS[name] for name in splits), *(split["source"] for split in splits.values() if split["source"])]
    if splits["data"]["reference"] not in (None, "train", splits["data"]["source"]):
        faults.append("data.reference: training draws its references from data.source; leave it out")
    for name, split in splits.items():
        if name != "data" and split["reference"] is not None and split["reference"] not in sources:
            faults.append(
                f"{name}.reference: {split['reference']} is no split, nor the source of one; leave it out "
                f"(the training split's images), or give one of: {', '.join(dict.fromkeys(sources))}"
            )


_ALTERNATIVE = re.compile(r"(function-|literal|dict|list)\[|(float|str|FurtherJudge|\[key\])$")


def _is_of_another_type(error):
    """Whether a value, of the several types it may have, has another one than this error is about."""
    kind, given = str(error["loc"][-1]), error["input"]
    return (kind == "str" and isinstance(given, dict)) or (kind == "list[float]" and not isinstance(given, list))


def _explain(error):
    """One of pydantic's errors as a sentence, with the nearest known name for an unknown key."""
    # What pydantic adds of its own: of which alternative of a type it speaks.
    location = [part for part in error["loc"] if not _ALTERNATIVE.match(str(part))]
    name = ".".join(str(part) for part in location)
    if error["type"] == "extra_forbidden":
        return f"{name}: unknown key{_nearest(location)}"
    if error["type"] == "missing":
        return f"{name}: is missing; it has no default"
    if location == ["data", "sampling"]:
        return "data.sampling: must be balanced, natural, or {class: weight}" + _shown(error["input"])
    return f"{name}: {error['msg'][0].lower()}{error['msg'][1:]}{_shown(error['input'])}"


def _shown(given):
    return f" (given: {given!r})" if isinstance(given, str | int | float | bool | type(None)) else ""


def _nearest(location):
    known = [*known_keys(), "runs"]
    wrong = ".".join(str(part) for part in location)
    if wrong.count("."):
        section = wrong.rsplit(".", 1)[0]
        siblings = [name for name in known if name.rsplit(".", 1)[0] == section]
        if match := difflib.get_close_matches(wrong, siblings, n=1, cutoff=0.8):
            return f"; did you mean {match[0]}?"
    last = str(location[-1])
    if elsewhere := [name for name in known if name.split(".")[-1] == last]:
        return f"; did you mean {elsewhere[0]}?"
    names = {name.split(".")[-1]: name for name in reversed(known)}
    match = difflib.get_close_matches(last, names, n=1, cutoff=0.6)
    return f"; did you mean {names[match[0]]}?" if match else ""
