"""A classifier's file -> a module, whichever of torch's two formats it has."""

import logging
import warnings
import zipfile
from pathlib import Path

import torch
from torch.export.passes import move_to_device_pass

from quac.system.errors import QuacError, lines_of


def load_classifier(path, device):
    """A classifier saved as TorchScript or by `torch.export.save`; frozen, for evaluation.

    It may have been saved on another device; but what was exported on a GPU is read only where there is one.

    Both formats hold code: load files of people you trust. Raises QuacError where the file is neither.
    """
    if not Path(path).is_file():
        raise QuacError(f"{path}: is no file; correct the path")
    inside = zipfile.ZipFile(path).namelist() if zipfile.is_zipfile(path) else []
    if any(name.endswith("data.pkl") for name in inside) and not any("/code/" in name for name in inside):
        raise QuacError(
            f"{path}: holds weights alone (a state_dict), or a model without its code; load it into the model, and "
            "save that with torch.jit.script(model).save(...) or torch.export.save(...), see docs/classifier.md"
        )
    exported = any(name.endswith("archive_format") for name in inside)
    # Else a GPU compiles what it has seen a few times, and then the same images have other last bits.
    torch._C._jit_set_texpr_fuser_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit is deprecated, and what QuAC's users have
            module = _exported(path, device) if exported else torch.jit.load(path, map_location=device).eval()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # of either loader: many kinds
        if exported and not torch.cuda.is_available() and b'"cuda"' in Path(path).read_bytes():
            raise QuacError(
                f"{path}: was exported on a GPU, and there is none here; export it with the model on the CPU "
                "(model.cpu()), then it can be read anywhere"
            ) from None
        reason = lines_of(error)[0]
        raise QuacError(
            f"{path}: cannot be loaded as TorchScript or as an exported program ({reason}); save it with "
            "torch.jit.script(model).save(...) or torch.export.save(...), see docs/classifier.md"
        ) from None
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module


def _exported(path, device):
    logging.getLogger("torch.export").setLevel(logging.CRITICAL)  # what is wrong is said once, by us
    with open(path, "rb") as file:  # by its content: a name that does not end in .pt2 is refused
        program = torch.export.load(file)
    return move_to_device_pass(program, str(device)).module()
