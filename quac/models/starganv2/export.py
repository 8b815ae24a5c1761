"""The networks of a checkpoint as modules that torch loads without quac: TorchScript, and programs of torch.export."""

import warnings
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim

from quac.config.training import Model
from quac.models.starganv2.networks import AVERAGED, given
from quac.system.files import save_torch

FORMATS = ("torchscript", "pt2")


class _OwnHead(nn.Module):
    """A `Heads` by the head of each row's class: the same numbers, in one form for any number of rows."""

    def __init__(self, heads: Any):
        super().__init__()
        self.weights = nn.ParameterList(weight for weight, _ in heads.stacked)
        self.biases = nn.ParameterList(bias for _, bias in heads.stacked)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        x = x[:, None]
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias[y][:, None], F.relu(x) if i else x, weight[y].mT)
        return x[:, 0]


def export_paths(path: Path) -> list[Path]:
    """The files of an export, in the order of the networks; `path`: that of the generator."""
    return [path, *(path.with_name(f"{path.stem}_{name}{path.suffix}") for name in AVERAGED[1:])]


def export(networks: nn.ModuleDict, model: Model, path: Path, format: str) -> list[Path]:
    """Write a file for each network; returns their paths.

    Args:
        networks: generator, mapping network and style encoder, on the CPU; their heads are replaced.
        model: their `model` section.
        path: of the generator; the others add their names before the suffix.
        format: one of FORMATS.

    The generator takes images (B, C, H, W) in the range of the networks, whose sides are multiples of `img_size / 16`,
    and styles (B, style_dim); the mapping network latents (B, latent_dim) and labels (B,) int64; the style encoder
    images, squares of `img_size`, and labels. Labels count the classes from 0.
    """
    batch, size = Dim("batch"), given(model.img_size)
    unit = size // 16
    image, style = torch.zeros(2, given(model.input_dim), size, size), torch.zeros(2, model.style_dim)
    latent, label = torch.zeros(2, model.latent_dim), torch.zeros(2, dtype=torch.int64)
    any_size = {0: batch, 2: unit * Dim("rows", min=2), 3: unit * Dim("columns", min=2)}
    inputs: dict[str, tuple[Any, Any]] = {
        "generator": ((image, style), (any_size, {0: batch})),
        "mapping_network": ((latent, label), ({0: batch}, {0: batch})),
        "style_encoder": ((image, label), ({0: batch}, {0: batch})),
    }
    for name in ("mapping_network", "style_encoder"):
        networks[name].unshared = _OwnHead(networks[name].unshared)
    paths = export_paths(path)
    for name, target in zip(AVERAGED, paths, strict=True):
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit is deprecated; it is what many programs read
            arguments, dynamic = inputs[name]
            if format == "torchscript":
                save_torch(target, torch.jit.trace(networks[name], arguments, check_trace=False), torch.jit.save)
            else:
                program = torch.export.export(networks[name], arguments, dynamic_shapes=dynamic)
                save_torch(target, program, torch.export.save)
    return paths
