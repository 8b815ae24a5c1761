"""The networks of a checkpoint as modules that torch loads without us: TorchScript, and torch.export's programs."""

import io
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.export import Dim

from quac.models.starganv2.networks import AVERAGED
from quac.system.files import whole

FORMATS = ("torchscript", "pt2")


class _OwnHead(nn.Module):
    """`Heads`, each row by the head of its class: the same numbers, whatever the number of rows."""

    def __init__(self, heads):
        super().__init__()
        self.weights = nn.ParameterList(weight for weight, _ in heads.stacked)
        self.biases = nn.ParameterList(bias for _, bias in heads.stacked)

    def forward(self, x, y):
        x = x[:, None]
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias[y][:, None], F.relu(x) if i else x, weight[y].mT)
        return x[:, 0]


def export(networks, model, path, kind):
    """Write a file for each network; returns their paths.

    Args:
        networks: generator, mapping network and style encoder, on the CPU; their heads are replaced.
        model: their `model` section.
        path: of the generator; the others have their name before its ending.
        kind: one of FORMATS.

    The generator takes images (B, C, H, W) in the networks' range, their sides multiples of `img_size / 16`, and styles
    (B, style_dim); the mapping network latents (B, latent_dim) and labels (B,) int64; the style encoder images, squares
    of `img_size`, and labels. Labels count the classes from 0.
    """
    batch, unit, size = Dim("batch"), model.img_size // 16, model.img_size
    image, style = torch.zeros(2, model.input_dim, size, size), torch.zeros(2, model.style_dim)
    latent, label = torch.zeros(2, model.latent_dim), torch.zeros(2, dtype=torch.int64)
    any_size = {0: batch, 2: unit * Dim("rows", min=2), 3: unit * Dim("columns", min=2)}
    inputs = {
        "generator": ((image, style), (any_size, {0: batch})),
        "mapping_network": ((latent, label), ({0: batch}, {0: batch})),
        "style_encoder": ((image, label), ({0: batch}, {0: batch})),
    }
    for name in ("mapping_network", "style_encoder"):
        networks[name].unshared = _OwnHead(networks[name].unshared)
    write = {"torchscript": _torchscript, "pt2": _program}[kind]
    path, paths = Path(path), []
    for name in AVERAGED:
        paths.append(path if name == "generator" else path.with_name(f"{path.stem}_{name}{path.suffix}"))
        buffer = io.BytesIO()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit is deprecated; it is what many programs read
            write(networks[name], *inputs[name], buffer)
        with whole(paths[-1]) as temporary:
            temporary.write_bytes(buffer.getbuffer())
    return paths


def _torchscript(network, inputs, _, buffer):
    torch.jit.save(torch.jit.trace(network, inputs, check_trace=False), buffer)


def _program(network, inputs, dynamic, buffer):
    torch.export.save(torch.export.export(network, inputs, dynamic_shapes=dynamic), buffer)
