"""Checkpoints in the published format: `{network: state_dict}` of the averaged generator, mapping network and style
encoder, as StarGAN v2 and QuAC write it, and a CheckpointInfo."""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from quac.models.starganv2.checkpoint_info import KEY, CheckpointInfo, read_info
from quac.models.starganv2.networks import AVERAGED, build_networks
from quac.system.errors import QuacError, reason_of
from quac.system.files import save_torch

# What torch.load raises for files that are damaged, or not checkpoints.
BAD_VALUES = (RuntimeError, ValueError, EOFError, LookupError, TypeError)
UNREADABLE = (OSError, pickle.UnpicklingError, zipfile.BadZipFile, *BAD_VALUES)

_WANTED = (
    "Use a file with the weights of generator, mapping network and style encoder: <step>_nets_ema.ckpt. If it is a "
    "damaged one of a run, delete it and run the workflow again."
)


def open_checkpoint(path: Path, device: torch.device) -> tuple[CheckpointInfo, nn.ModuleDict]:
    """The information of a checkpoint and its averaged networks: in evaluation mode, frozen, channels last.

    Raises QuacError if the file cannot be used or does not describe itself.
    """
    content = read_checkpoint(path)
    info = require_info(content, path)
    networks = build_networks(info.model, len(info.classes))
    del networks["discriminator"]
    try:
        for name in AVERAGED:
            networks[name].load_state_dict(content[name])
    except UNREADABLE as error:
        message = f"the networks are not the described ones ({reason_of(error)}). Use another file."
        raise QuacError(f"{path}: {message}") from None
    networks.to(device).to(memory_format=torch.channels_last)
    return info, networks.eval().requires_grad_(False)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, {network: state_dict} and more. Raises QuacError if the file is not one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files of other kinds
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise QuacError(f"{path}: file not found. Check the path.") from None
    except UNREADABLE as error:
        raise QuacError(f"{path}: cannot be read as a checkpoint ({reason_of(error)}). {_WANTED}") from None
    networks = content if isinstance(content, dict) else {}
    if missing := [name.replace("_", " ") for name in AVERAGED if not isinstance(networks.get(name), dict)]:
        raise QuacError(f"{path}: no {', '.join(missing)} in this file. {_WANTED}")
    return networks


def require_info(content: Mapping[str, Any], path: Path) -> CheckpointInfo:
    """The CheckpointInfo of a checkpoint. Raises QuacError if it has none."""
    if info := read_info(content, path):
        return info
    raise QuacError(
        f"{path}: does not describe its classes and ranges. `quac import {path} --classes ...` makes a checkpoint that "
        "does."
    )


def write_checkpoint(path: Path, weights: Mapping[str, Mapping[str, Any]], info: CheckpointInfo | None = None) -> None:
    """Write {network: state_dict} and the information; without it, only the published format."""
    content = {name: dict(weights[name]) for name in AVERAGED}
    save_torch(path, content | ({KEY: info.as_dict()} if info else {}))
