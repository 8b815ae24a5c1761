"""Initial weights from a checkpoint: fine-tuning."""

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from quac.config.training import Init
from quac.models.starganv2.checkpoint import UNREADABLE
from quac.models.starganv2.checkpoint_info import read_info
from quac.models.starganv2.networks import AVERAGED, NETWORKS
from quac.system.console import log
from quac.system.errors import QuacError, reason_of

_HEAD = re.compile(r"unshared\.(\d+)\.")


def initialise(networks: nn.ModuleDict, path: Path, init: Init, data_classes: list[str]) -> None:
    """Load the weights of a checkpoint, ours or a published one, or of a whole state, into networks.

    What belongs to a class (a head of mapping network and style encoder, an output of the discriminator) goes to the
    class of the same name. `init.classes` names those of the file, in its order; None: as the file itself names them,
    or else as the data does. Classes that the file does not know, and networks that it does not hold, start from
    scratch; the log names them. Raises QuacError if the file is not a checkpoint, or its networks have other sizes.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if "networks" in content:  # a whole state
            named = [(key.split(".", 1), value) for key, value in content["networks"].items()]
            content = {name: {key: value for (net, key), value in named if net == name} for name in NETWORKS}
        weights = {name: dict(content[name]) for name in AVERAGED}
    except UNREADABLE as error:
        raise QuacError(
            f"init.from: {path} cannot be read as a checkpoint ({reason_of(error)}). Check the path."
        ) from None
    if "discriminator" in content:
        weights["discriminator"] = dict(content["discriminator"])
    elif init.freeze_d:
        raise QuacError(
            f"init.freeze_d: {path} holds no discriminator, and a new one must not be frozen. Leave it out, or use a "
            "file with one, such as training/state/<id>/state_<step>.pt."
        )
    count = len({match[1] for key in weights["mapping_network"] if (match := _HEAD.match(key))})
    info = read_info(content, path)
    names = _class_names(path, init.classes or (info.classes if info else None), data_classes, count)
    new_labels = {names.index(name): label for label, name in enumerate(data_classes) if name in names}
    for name, state in weights.items():
        _load(networks[name], name, state, new_labels, path)
    fresh = [name.replace("_", " ") for name in NETWORKS if name not in weights]
    fresh += [f"class {name}" for name in data_classes if name not in names]
    log.info("initial weights from %s; %s", path, f"from scratch: {', '.join(fresh)}" if fresh else "all of them")


def first_blocks(discriminator: nn.Module, count: int) -> list[nn.Parameter]:
    """Parameters of the first `count` blocks of a discriminator, counted from the image: a convolution, then residual
    blocks."""
    layers: Any = discriminator.main
    blocks = [layer for layer in layers if [*layer.parameters()]][:-2]
    if count > len(blocks):
        raise QuacError(f"init.freeze_d: {count}, but the discriminator has {len(blocks)} blocks. Lower it.")
    return [parameter for block in blocks[:count] for parameter in block.parameters()]


def _class_names(path: Path, classes: list[str] | None, data_classes: list[str], count: int) -> list[str]:
    names = list(classes or data_classes)
    if len(names) != count:
        raise QuacError(
            f"init.classes: {path} has {count} classes, but {len(names)} are "
            f"{'named' if classes else 'in the data'}. Name the classes of the file, in its order."
        )
    if not set(names) & set(data_classes):
        raise QuacError(
            f"init.classes: none of {', '.join(names)}, the classes of {path}, is a class of the data "
            f"({', '.join(data_classes)}). Give each class of the file the name of its counterpart in the data."
        )
    return names


def _load(network: nn.Module, name: str, weights: dict[str, Tensor], new_labels: dict[int, int], path: Path) -> None:
    """Load the weights of a network; `new_labels`: {label in the file: label in the data}."""
    state = network.state_dict()
    last = max(int(key.split(".")[1]) for key in state) if name == "discriminator" else None
    for key, value in weights.items():
        if match := _HEAD.match(key):
            if int(match[1]) in new_labels:
                _put(state, key.replace(match[0], f"unshared.{new_labels[int(match[1])]}.", 1), value, name, path)
        elif last is not None and key.startswith(f"main.{last}."):
            for old, new in new_labels.items():
                state[key][new].copy_(value[old])
        else:
            _put(state, key, value, name, path)
    network.load_state_dict(state)


def _put(state: dict[str, Tensor], key: str, value: Tensor, name: str, path: Path) -> None:
    if key not in state or state[key].shape != value.shape:
        shape, expected = list(value.shape), list(state[key].shape) if key in state else "nothing"
        raise QuacError(
            f"init.from: {path} has networks of other sizes: {name}.{key} is {shape}, expected {expected}. Set "
            "data.img_size and the sizes of `model` to those of the file."
        )
    state[key].copy_(value)
