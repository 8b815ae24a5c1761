"""What a fitted classifier is made of: a small network, or one of torchvision's."""

import pickle
import warnings

import torch
from torch import nn
from torchvision.models import get_model

from quac.system.console import log
from quac.system.errors import QuacError, lines_of


class SmallClassifier(nn.Sequential):
    """Three stages of two 3x3 convolutions, each halving the resolution; then the mean over what is left.

    (B, channels, H, W) -> logits (B, classes).
    """

    def __init__(self, channels, classes, width):
        stages, dim = [], channels
        for out in (width, 2 * width, 4 * width):
            stages += [*_conv(dim, out, stride=1), *_conv(out, out, stride=2)]
            dim = out
        super().__init__(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(dim, classes))


def build_backbone(settings, channels, classes, weights=None):
    """A network (B, channels, H, W) -> logits (B, classes).

    Args:
        settings: a config's `classifier` section (backbone, width).
        channels: 1 or 3.
        classes: how many.
        weights: file of the state_dict of the torchvision network, as torchvision has it (three channels, any number
            of classes). Its first and last layer are taken where they fit, and the first also for grey images: it
            sees them as grey RGB images. The log says what starts fresh.

    Raises QuacError where the file cannot be read, or is of another network.
    """
    if settings.backbone == "small":
        return SmallClassifier(channels, classes, settings.width)
    network = get_model(settings.backbone, weights=None, num_classes=classes)
    first, convolution = next((name, part) for name, part in network.named_modules() if isinstance(part, nn.Conv2d))
    if channels == 1:
        convolution.weight, convolution.in_channels = nn.Parameter(_to_grey(convolution.weight.detach())), 1
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 0.1  # mobilenet_v3's 0.01 wants some hundred steps before it can be used
    if weights:
        _load(network, f"{first}.weight", settings.backbone, weights)
    return network


def _conv(dim_in, dim_out, stride):
    return [
        nn.Conv2d(dim_in, dim_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(dim_out),
        nn.ReLU(inplace=True),
    ]


def _to_grey(weight):
    """(out, channels, height, width) -> (out, 1, height, width), which does to grey what `weight` does to grey RGB."""
    return weight.sum(1, keepdim=True)


def _load(network, first, backbone, path):
    found, own = _read(backbone, path), network.state_dict()
    last = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)][-1]
    if first in found and found[first].ndim == 4 and own[first].shape[1] == 1:
        found[first] = _to_grey(found[first])
    fits = {name: value for name, value in found.items() if name in own and value.shape == own[name].shape}
    may_differ = {first, f"{last}.weight", f"{last}.bias"}
    if odd := sorted((own.keys() | found.keys()) - fits.keys() - may_differ):
        raise QuacError(
            f"classifier.weights: {path} is of another network than {backbone}: {odd[0]} differs; {_REMEDY}"
        )
    network.load_state_dict(fits, strict=False)
    fresh = sorted(own.keys() - fits.keys())
    log.info("weights of %s; %s", path, f"fresh: {', '.join(fresh)}" if fresh else "all of them")


def _read(backbone, path):
    """{name: tensor} of a file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of TorchScript, which is an error right after
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        reason = lines_of(error)[0]
        raise QuacError(f"classifier.weights: {path} cannot be read as a state_dict ({reason}); {_REMEDY}") from None
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise QuacError(f"classifier.weights: {path} holds no state_dict of {backbone}; {_REMEDY}")
    return dict(found)


_REMEDY = 'write it by torch.save(torchvision.models.get_model(backbone, weights="DEFAULT").state_dict(), path)'
