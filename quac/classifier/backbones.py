"""The networks of a fitted classifier: a small one, or one of torchvision."""

import pickle
import warnings

import torch
from torch import nn
from torchvision.models import get_model

from quac.config.evaluation import Classifier
from quac.system.console import log
from quac.system.errors import QuacError, reason_of
from quac.system.files import FilePath


class SmallClassifier(nn.Sequential):
    """Three stages of two 3x3 convolutions, each halving the resolution; then the mean over all positions.

    (B, channels, H, W) -> logits (B, classes).
    """

    def __init__(self, channels: int, classes: int, width: int):
        stages: list[nn.Module] = []
        dim = channels
        for out in (width, 2 * width, 4 * width):
            stages += [*_conv(dim, out, stride=1), *_conv(out, out, stride=2)]
            dim = out
        super().__init__(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(dim, classes))


def build_backbone(config: Classifier, channels: int, classes: int, weights: FilePath | None = None) -> nn.Module:
    """A network (B, channels, H, W) -> logits (B, classes), for 1 or 3 channels.

    Of `config`, `backbone` and `width` are used. `weights` is a file of the state_dict of the torchvision network, as
    torchvision writes it (three channels, any number of classes). Its first and last layer are loaded if they fit, and
    the first also for grey images, which it sees as grey RGB images. The log lists the layers that start from random
    weights. Raises QuacError if the file cannot be read, or is of another network.
    """
    if config.backbone == "small":
        return SmallClassifier(channels, classes, config.width)
    network = get_model(config.backbone, weights=None, num_classes=classes)
    first, convolution = next((name, part) for name, part in network.named_modules() if isinstance(part, nn.Conv2d))
    if channels == 1:
        convolution.weight, convolution.in_channels = nn.Parameter(_to_grey(convolution.weight.detach())), 1
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 0.1  # 0.01, of mobilenet_v3, needs hundreds of steps before evaluation works
    if weights:
        _load(network, f"{first}.weight", config.backbone, weights)
    return network


def _conv(dim_in: int, dim_out: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(dim_in, dim_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(dim_out),
        nn.ReLU(inplace=True),
    ]


def _to_grey(weight: torch.Tensor) -> torch.Tensor:
    """Weights (out, channels, height, width) -> (out, 1, height, width): for grey images, equal to grey RGB images."""
    return weight.sum(1, keepdim=True)


def _load(network: nn.Module, first: str, backbone: str, path: FilePath) -> None:
    """Load the weights of a file; `first`: name of the weight of the first layer."""
    weights, own = _read(backbone, path), network.state_dict()
    last = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)][-1]
    if first in weights and weights[first].ndim == 4 and own[first].shape[1] == 1:
        weights[first] = _to_grey(weights[first])
    fits = {name: value for name, value in weights.items() if name in own and value.shape == own[name].shape}
    may_differ = {first, f"{last}.weight", f"{last}.bias"}
    if odd := sorted((own.keys() | weights.keys()) - fits.keys() - may_differ):
        raise QuacError(
            f"classifier.weights: {path} belongs to another network than {backbone}: {odd[0]} differs; {_REMEDY}"
        )
    network.load_state_dict(fits, strict=False)
    fresh = sorted(own.keys() - fits.keys())
    log.info("loaded weights from %s; %s", path, f"random: {', '.join(fresh)}" if fresh else "all layers")


def _read(backbone: str, path: FilePath) -> dict[str, torch.Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about TorchScript, which is an error below
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        what = f"cannot be read as a state_dict ({reason_of(error)})"
        raise QuacError(f"classifier.weights: {path} {what}; {_REMEDY}") from None
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise QuacError(f"classifier.weights: {path} does not hold a state_dict of {backbone}; {_REMEDY}")
    return dict(weights)


_REMEDY = 'write it by torch.save(torchvision.models.get_model(backbone, weights="DEFAULT").state_dict(), path)'
