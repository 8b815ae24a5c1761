"""The kinds of conversion networks, by `model.kind`. A kind is a folder, and an entry here. (Starts without torch.)"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from quac.models.base import Converter


def _starganv2() -> "type[Converter]":
    from quac.models.starganv2.converter import StarGANv2Converter

    return StarGANv2Converter


DEFAULT = "starganv2"
MODELS: "dict[str, Callable[[], type[Converter]]]" = {DEFAULT: _starganv2}


def open_converter(path: Path | str, device: "torch.device") -> "Converter":
    """The averaged networks of a checkpoint, in evaluation mode. Raises QuacError if the file cannot be used."""
    import warnings

    import torch

    try:  # without reading the weights
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files of other kinds
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        kind = content["quac"]["model"]["kind"]
    except Exception:  # damaged, or published without it: the reader of the default kind reports what is wrong
        kind = DEFAULT
    return MODELS.get(kind, MODELS[DEFAULT])().open(path, device)
