"""The four networks of StarGAN v2 (arXiv 1912.01865, appendix F), without the high-pass skip.

Modules are named so that `state_dict` has the keys of the published checkpoints. Shapes: images (B, C, H, W), styles
(B, style_dim), latents (B, latent_dim), labels (B,) int64.
"""

import copy
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from quac.config.training import Model

NETWORKS = ("generator", "mapping_network", "style_encoder", "discriminator")
AVERAGED = NETWORKS[:3]  # these have a moving average, and make a published checkpoint
LEAK = 0.2
EPSILON = 1e-5

T = TypeVar("T")


def normalize(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Instance normalisation (arXiv 1607.08022): each channel of each image to mean 0 and variance 1; then
    `scale * x + shift`, which are (C,) or (B, C).

    torch's own takes one scale for all images, and copies channels_last to the other layout and back. This one keeps
    the layout. Statistics are float32.
    """
    variance, mean = torch.var_mean(x.float() if x.dtype == torch.bfloat16 else x, (2, 3), correction=0, keepdim=True)
    normal = ((x - mean) * (variance + EPSILON).rsqrt()).to(x.dtype)
    return torch.addcmul(shift[..., None, None], scale[..., None, None], normal)


class InstanceNorm(nn.Module):
    """`normalize` with a scale and a shift for each channel."""

    def __init__(self, features: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        return normalize(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class ResBlk(nn.Module):
    """Pre-activation residual block; halves the resolution if `downsample`. Unit variance is kept by 1/sqrt(2)."""

    def __init__(self, dim_in: int, dim_out: int, normalize: bool = False, downsample: bool = False):
        super().__init__()
        self.resize = nn.AvgPool2d(2) if downsample else nn.Identity()
        self.conv1 = nn.Conv2d(dim_in, dim_in, 3, padding=1)
        self.conv2 = nn.Conv2d(dim_in, dim_out, 3, padding=1)
        self.norm1 = InstanceNorm(dim_in) if normalize else nn.Identity()
        self.norm2 = InstanceNorm(dim_in) if normalize else nn.Identity()
        self.conv1x1 = nn.Conv2d(dim_in, dim_out, 1, bias=False) if dim_in != dim_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.conv1x1(self.resize(x))  # halved before the convolution: the same for a quarter of the work
        x = self.conv1(F.leaky_relu(self.norm1(x), LEAK))
        x = self.conv2(F.leaky_relu(self.norm2(self.resize(x)), LEAK))
        return (shortcut + x) / math.sqrt(2)


class Heads(nn.Module):
    """A chain of linear layers, with ReLU between them, for each class; each row goes through the chain of its class.

    The parameters of all classes are stacked, (classes, out, in), so that the number of kernels does not grow with the
    classes. In a `state_dict` they have the published names: `<class>.<position>.weight`, or `<class>.weight` of a
    single layer.
    """

    def __init__(self, dims: list[int], classes: int):
        super().__init__()
        self.classes = classes
        self.layers = len(dims) - 1
        for i, (dim_in, dim_out) in enumerate(pairwise(dims)):
            setattr(self, f"weight{i}", nn.Parameter(torch.empty(classes, dim_out, dim_in)))
            setattr(self, f"bias{i}", nn.Parameter(torch.empty(classes, dim_out)))
        self.reset()

    @property
    def stacked(self) -> list[tuple[Tensor, Tensor]]:
        """Weights (classes, out, in) and biases (classes, out) of each layer."""
        return [(getattr(self, f"weight{i}"), getattr(self, f"bias{i}")) for i in range(self.layers)]

    def reset(self) -> None:
        """He-initialise the weights; biases are 0."""
        for weights, biases in self.stacked:
            for weight in weights.detach():
                nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu")
            nn.init.zeros_(biases)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """(B, in) and labels (B,) -> (B, out)."""
        # Few classes: all heads for all rows, which copies no weights. Many: for each row the head of its class.
        all_heads = self.classes <= len(y)
        x = x.expand(self.classes, *x.shape) if all_heads else x[:, None]
        for i, (weight, bias) in enumerate(self.stacked):
            if not all_heads:
                weight, bias = weight[y], bias[y]
            x = torch.baddbmm(bias[:, None], F.relu(x) if i else x, weight.mT)
        return x[y, torch.arange(len(y), device=y.device)] if all_heads else x[:, 0]

    def _published(self, prefix: str) -> Iterator[tuple[str, Tensor, int]]:
        """(published name, stacked parameter, class) of the parameters of each head, in the published order."""
        for label in range(self.classes):
            for i, both in enumerate(self.stacked):
                position = f"{label}.{2 * i}" if self.layers > 1 else f"{label}"
                for name, stacked in zip(("weight", "bias"), both, strict=True):
                    yield f"{prefix}{position}.{name}", stacked, label

    def _save_to_state_dict(self, destination: dict[str, Tensor], prefix: str, keep_vars: bool) -> None:
        for name, stacked, label in self._published(prefix):
            destination[name] = (stacked if keep_vars else stacked.detach())[label]

    @torch.no_grad()
    def _load_from_state_dict(self, state_dict, prefix, metadata, strict, missing, unexpected, errors):
        expected = {name: stacked[label] for name, stacked, label in self._published(prefix)}
        for name, place in expected.items():
            if name not in state_dict:
                missing.append(name)
            elif state_dict[name].shape != place.shape:
                errors.append(f"size mismatch for {name}: {list(state_dict[name].shape)}, not {list(place.shape)}")
            else:
                place.copy_(state_dict[name])
        if strict:
            unexpected += [name for name in state_dict if name.startswith(prefix) and name not in expected]


class AdaIN(nn.Module):
    """Adaptive instance normalisation: (1 + gamma(s)) * norm(x) + beta(s) (arXiv 1703.06868)."""

    def __init__(self, style_dim: int, features: int):
        super().__init__()
        self.fc = nn.Linear(style_dim, 2 * features)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        gamma, beta = self.fc(style).chunk(2, dim=1)
        return normalize(x, 1 + gamma, beta)


class AdainResBlk(nn.Module):
    """Residual block whose normalisations take the style; doubles the resolution if `upsample`."""

    def __init__(self, dim_in: int, dim_out: int, style_dim: int, upsample: bool = False):
        super().__init__()
        self.resize: Callable[[Tensor], Tensor] = _doubled if upsample else nn.Identity()
        self.conv1 = nn.Conv2d(dim_in, dim_out, 3, padding=1)
        self.conv2 = nn.Conv2d(dim_out, dim_out, 3, padding=1)
        self.norm1 = AdaIN(style_dim, dim_in)
        self.norm2 = AdaIN(style_dim, dim_out)
        self.conv1x1 = nn.Conv2d(dim_in, dim_out, 1, bias=False) if dim_in != dim_out else nn.Identity()

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        shortcut = self.resize(self.conv1x1(x))  # doubled after the convolution: the same for a quarter of the work
        x = self.conv1(self.resize(F.leaky_relu(self.norm1(x, style), LEAK)))
        x = self.conv2(F.leaky_relu(self.norm2(x, style), LEAK))
        return (shortcut + x) / math.sqrt(2)


class Generator(nn.Module):
    """A query image and a style -> a generated image of the same size.

    `render(features(x), style)` is `forward(x, style)`: the features of a query are computed once and serve every
    style. The bottleneck is 16 x 16 for a square of `img_size`; the sides of other images must be multiples of
    `img_size / 16`.
    """

    def __init__(self, model: Model):
        """`model`: a config's `model` section with every size filled in."""
        super().__init__()
        widths = _widths(model, smallest=16)
        steps, last, style_dim = list(pairwise(widths)), widths[-1], model.style_dim
        down = [ResBlk(a, b, normalize=True, downsample=True) for a, b in steps]
        up = [AdainResBlk(b, a, style_dim, upsample=True) for a, b in reversed(steps)]
        self.from_rgb = nn.Conv2d(given(model.input_dim), widths[0], 3, padding=1)
        self.encode = nn.Sequential(*down, *(ResBlk(last, last, normalize=True) for _ in range(2)))
        self.decode = nn.ModuleList([*(AdainResBlk(last, last, style_dim) for _ in range(2)), *up])
        last_layer = nn.Conv2d(widths[0], given(model.input_dim), 1)
        self.to_rgb = nn.Sequential(InstanceNorm(widths[0]), nn.LeakyReLU(LEAK), last_layer)
        activations = {"tanh": nn.Tanh(), "sigmoid": nn.Sigmoid(), "none": nn.Identity()}
        self.final_activation = activations[model.final_activation]

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return self.render(self.features(x), style)

    def features(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) -> features (B, channels, H / n, W / n) with n = img_size / 16."""
        return self.encode(self.from_rgb(x))

    def render(self, features: Tensor, style: Tensor) -> Tensor:
        """Features of `features` and styles (B, style_dim) -> generated images (B, C, H, W)."""
        for block in self.decode:
            features = block(features, style)
        return self.final_activation(self.to_rgb(features))


class MappingNetwork(nn.Module):
    """A latent and a class -> a style (B, style_dim)."""

    def __init__(self, model: Model, num_domains: int):
        super().__init__()
        hidden = model.hidden_dim
        self.shared = nn.Sequential(*_layers(model.latent_dim, *[hidden] * 4), nn.ReLU())
        self.unshared = Heads([*[hidden] * 4, model.style_dim], num_domains)

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return self.unshared(self.shared(z), y)


class StyleEncoder(nn.Module):
    """An image (square, `img_size`) and its class -> its style (B, style_dim)."""

    def __init__(self, model: Model, num_domains: int):
        super().__init__()
        trunk, width = _trunk(model)
        self.shared = nn.Sequential(*trunk)
        self.unshared = Heads([width, model.style_dim], num_domains)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.unshared(self.shared(x).flatten(1), y)


class Discriminator(nn.Module):
    """An image (square, `img_size`) and a class -> a logit (B,): whether it is a real image of that class."""

    def __init__(self, model: Model, num_domains: int):
        super().__init__()
        trunk, width = _trunk(model)
        self.main = nn.Sequential(*trunk, nn.Conv2d(width, num_domains, 1))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.main(x).flatten(1).gather(1, y[:, None]).squeeze(1)


def build_networks(model: Model, num_domains: int) -> nn.ModuleDict:
    """The four networks by their published names, He-initialised with torch's global random generator."""
    networks: dict[str, nn.Module] = {"generator": Generator(model)}
    networks["mapping_network"] = MappingNetwork(model, num_domains)
    networks["style_encoder"] = StyleEncoder(model, num_domains)
    networks["discriminator"] = Discriminator(model, num_domains)
    return nn.ModuleDict(networks).apply(_he_init)


def given(value: T | None) -> T:
    """A size of a `model` section, which `quac.config.resolve` has filled in."""
    if value is None:
        raise ValueError("the model section is not filled in")
    return value


def without_gradients(networks: nn.ModuleDict) -> nn.ModuleDict:
    """Aliases of networks: they share every weight, including in-place updates, but require no gradients.

    To be made once the networks have their device and memory layout.
    """
    weights = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in networks.parameters()}
    return copy.deepcopy(networks, memo=weights)


@torch.no_grad()
def update_average(averages: nn.ModuleDict, networks: nn.ModuleDict, weight: float) -> None:
    """Update the exponential moving averages in place: `weight * average + (1 - weight) * network`."""
    for name in AVERAGED:
        torch._foreach_lerp_(list(averages[name].parameters()), list(networks[name].parameters()), 1 - weight)


def _he_init(module: nn.Module) -> None:
    if isinstance(module, Heads):
        module.reset()
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _doubled(x: Tensor) -> Tensor:
    """Images of twice the size, each pixel repeated. Exact in any precision, so autocast must not make it float32."""
    with torch.autocast(x.device.type, enabled=False):
        return F.interpolate(x, scale_factor=2, mode="nearest")


def _widths(model: Model, smallest: int) -> list[int]:
    """Channels at each resolution, from `img_size`, halved each time, to the smallest."""
    halvings = (given(model.img_size) // smallest).bit_length() - 1
    return [min(given(model.conv_dim) * 2**i, model.max_conv_dim) for i in range(halvings + 1)]


def _trunk(model: Model) -> tuple[list[nn.Module], int]:
    """The layers that style encoder and discriminator have in common, image -> (B, width, 1, 1), and the width."""
    widths = _widths(model, smallest=4)
    blocks = [ResBlk(a, b, downsample=True) for a, b in pairwise(widths)]
    last = widths[-1]
    first = nn.Conv2d(given(model.input_dim), widths[0], 3, padding=1)
    return [first, *blocks, nn.LeakyReLU(LEAK), nn.Conv2d(last, last, 4), nn.LeakyReLU(LEAK)], last


def _layers(*dims: int) -> list[nn.Module]:
    """Linear layers of the given widths, with ReLU between them."""
    layers: list[nn.Module] = []
    for dim_in, dim_out in pairwise(dims):
        layers += [nn.Linear(dim_in, dim_out), nn.ReLU()]
    return layers[:-1]
