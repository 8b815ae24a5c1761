"""Initial weights out of a checkpoint: fine-tuning."""

import re

import torch

from quac.models.starganv2.checkpoint import UNREADABLE
from quac.models.starganv2.checkpoint_info import read_description
from quac.models.starganv2.networks import AVERAGED, NETWORKS
from quac.system.console import log
from quac.system.errors import QuacError


def initialise(networks, init, own_classes):
    """Give networks the weights of a checkpoint, ours or a published one, or of a whole state of ours.

    Args:
        init: a config's `init` section: `checkpoint`, a file, with or without a discriminator; `classes`, the names of
            its classes in its order, None: those that it names itself, or else those of the data; `freeze_d`.
        own_classes: names of the classes of the data.

    What belongs to a class (a head of mapping network and style encoder, an output of the discriminator) goes to the
    class of the same name; a class that the file does not know, and a network that it does not hold, start fresh. The
    log says which. Raises QuacError where the file is no checkpoint, or of networks of another size.
    """
    path = init.checkpoint
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if "networks" in content:  # a whole state
            content = {name: _part(content["networks"], f"{name}.") for name in NETWORKS}
        weights = {name: dict(content[name]) for name in AVERAGED}
    except UNREADABLE as error:
        raise QuacError(f"init.from: {path} cannot be read as a checkpoint ({error}); correct the path") from None
    if "discriminator" in content:
        weights["discriminator"] = dict(content["discriminator"])
    elif init.freeze_d:
        raise QuacError(
            f"init.freeze_d: {path} holds no discriminator, and a fresh one must not be frozen; leave it out, or give "
            "a file that holds one, such as training/state/<setting>/state_<step>.pt"
        )
    count = len({match[1] for key in weights["mapping_network"] if (match := _HEAD.match(key))})
    description = read_description(content, path)
    names = _names(path, init.classes or (description and description.classes), own_classes, count)
    place_of = {names.index(name): place for place, name in enumerate(own_classes) if name in names}
    for name, found in weights.items():
        _load(networks[name], name, found, place_of, path)
    fresh = [name.replace("_", " ") for name in NETWORKS if name not in weights]
    fresh += [f"class {name}" for name in own_classes if name not in names]
    log.info("initial weights of %s; %s", path, f"fresh: {', '.join(fresh)}" if fresh else "all of them")


def _part(state, prefix):
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


_HEAD = re.compile(r"unshared\.(\d+)\.")


def _names(path, classes, own_classes, count):
    names = list(classes or own_classes)
    if len(names) != count:
        raise QuacError(
            f"init.classes: {path} has {count} classes, but {len(names)} are "
            f"{'named' if classes else 'in the data'}; name those of the file, in its order"
        )
    if not set(names) & set(own_classes):
        raise QuacError(
            f"init.classes: none of {', '.join(names)}, the classes of {path}, is a class of the data "
            f"({', '.join(own_classes)}); name those of the file as those of the data that they stand for"
        )
    return names


def _load(network, name, found, place_of, path):
    state = network.state_dict()
    last = max(int(key.split(".")[1]) for key in state) if name == "discriminator" else None
    for key, value in found.items():
        if match := _HEAD.match(key):
            if int(match[1]) in place_of:
                _put(state, key.replace(match[0], f"unshared.{place_of[int(match[1])]}.", 1), value, name, path)
        elif last is not None and key.startswith(f"main.{last}."):
            for old, new in place_of.items():
                state[key][new].copy_(value[old])
        else:
            _put(state, key, value, name, path)
    network.load_state_dict(state)


def _put(state, key, value, name, path):
    if key not in state or state[key].shape != value.shape:
        found, wanted = list(value.shape), list(state[key].shape) if key in state else "nothing"
        raise QuacError(
            f"init.from: {path} is of other networks: {name}.{key} has {found}, but {wanted} is wanted; "
            "set data.img_size and the sizes of `model` to those of the file"
        )
    state[key].copy_(value)


def lower_blocks(discriminator, count):
    """Parameters of the first convolution and residual blocks: the lower `count` of them, next to the image."""
    blocks = [layer for layer in discriminator.main if any(True for _ in layer.parameters())][:-2]
    if count > len(blocks):
        raise QuacError(f"init.freeze_d: is {count}, but the discriminator has {len(blocks)} lower blocks; lower it")
    return [parameter for block in blocks[:count] for parameter in block.parameters()]
