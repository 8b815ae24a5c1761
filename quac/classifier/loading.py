"""The file of a classifier -> a module, in either of torch's two formats."""

import logging
import warnings
import zipfile
from pathlib import Path

import torch
from torch import nn
from torch.export.passes import move_to_device_pass

from quac.system.errors import QuacError, error_lines


def load_classifier(path: str | Path, device: torch.device) -> nn.Module:
    """A classifier saved as TorchScript or by `torch.export.save`: frozen, for evaluation.

    It may have been saved on another device, but a program exported on a GPU can only be loaded on a machine with one.
    Both formats contain code: load only files of people you trust. Raises QuacError if the file is neither.
    """
    if not Path(path).is_file():
        raise QuacError(f"{path}: file not found. Check the path.")
    inside = zipfile.ZipFile(path).namelist() if zipfile.is_zipfile(path) else []
    if any(name.endswith("data.pkl") for name in inside) and not any("/code/" in name for name in inside):
        raise QuacError(
            f"{path}: holds only weights (a state_dict), or a model without its code; load it into the model, and "
            "save that with torch.jit.script(model).save(...) or torch.export.save(...), see docs/how-to/classifier.md"
        )
    exported = any(name.endswith("archive_format") for name in inside)
    # Otherwise a GPU compiles the program after a few runs, and the outputs for the same images change slightly.
    torch._C._jit_set_texpr_fuser_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit is deprecated, but users of QuAC have such files
            module = _exported(path, device) if exported else torch.jit.load(path, map_location=device).eval()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # both loaders raise errors of many types
        if exported and not torch.cuda.is_available() and b'"cuda"' in Path(path).read_bytes():
            raise QuacError(
                f"{path}: was exported on a GPU, but this machine has none; export it with the model on the CPU "
                "(model.cpu()), then it can be loaded anywhere"
            ) from None
        reason = error_lines(error)[0]
        raise QuacError(
            f"{path}: cannot be loaded as TorchScript or as an exported program ({reason}); save it with "
            "torch.jit.script(model).save(...) or torch.export.save(...), see docs/how-to/classifier.md"
        ) from None
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module


def _exported(path: str | Path, device: torch.device) -> nn.Module:
    logging.getLogger("torch.export").setLevel(logging.CRITICAL)  # errors are reported once, by load_classifier
    with open(path, "rb") as file:  # not by its name, because torch refuses names that do not end in .pt2
        program = torch.export.load(file)
    return move_to_device_pass(program, str(device)).module()
