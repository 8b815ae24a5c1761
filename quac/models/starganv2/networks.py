"""The four networks of StarGAN v2 (arXiv 1912.01865, appendix F), without the high-pass skip.

Modules are named so that `state_dict` has the keys of the published
checkpoints. Shapes: images (B, C, H, W), styles (B, style_dim), latents
(B, latent_dim), labels (B,) int64.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

NETWORKS = ("generator", "mapping_network", "style_encoder", "discriminator")
AVERAGED = NETWORKS[:3]  # these have a moving average, and make a published checkpoint
LEAK = 0.2
EPSILON = 1e-5


def normalize(x, scale, shift):
    """Instance normalisation (arXiv 1607.08022): every channel of every sample to mean 0 and variance 1; then
    `scale * x + shift`, (C,) or (B, C).

    torch's own takes one scale for all samples, and copies channels_last to the other layout and back; here the layout
    stays as it is. Statistics are float32.
    """
    batch, channels, *size = x.shape
    if x.is_contiguous() and x.dtype != torch.bfloat16:  # one pass over x: the channels of all samples side by side
        # (Under autocast the style's scale and shift are bfloat16.)
        scale, shift = (part.to(x.dtype).expand(batch, channels).reshape(-1) for part in (scale, shift))
        flat = x.view(1, batch * channels, *size)
        return F.batch_norm(flat, None, None, scale, shift, training=True, eps=EPSILON).view_as(x)
    variance, mean = torch.var_mean(x.float() if x.dtype == torch.bfloat16 else x, (2, 3), correction=0, keepdim=True)
    normal = ((x - mean) * (variance + EPSILON).rsqrt()).to(x.dtype)
    return torch.addcmul(shift[..., None, None], scale[..., None, None], normal)


class InstanceNorm(nn.Module):
    """`normalize` with a scale and a shift for each channel."""

    def __init__(self, features):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))

    def forward(self, x):
        return normalize(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class ResBlk(nn.Module):
    """Pre-activation residual block; halves the resolution if `downsample`. Unit variance is kept by 1/sqrt(2)."""

    def __init__(self, dim_in, dim_out, normalize=False, downsample=False):
        super().__init__()
        self.downsample = downsample
        self.conv1 = nn.Conv2d(dim_in, dim_in, 3, padding=1)
        self.conv2 = nn.Conv2d(dim_in, dim_out, 3, padding=1)
        self.norm1 = InstanceNorm(dim_in) if normalize else None
        self.norm2 = InstanceNorm(dim_in) if normalize else None
        self.conv1x1 = nn.Conv2d(dim_in, dim_out, 1, bias=False) if dim_in != dim_out else None

    def forward(self, x):
        return (self._shortcut(x) + self._residual(x)) / math.sqrt(2)

    def _shortcut(self, x):
        if self.downsample:  # before the convolution, which does not mind: a quarter of its work
            x = F.avg_pool2d(x, 2)
        return x if self.conv1x1 is None else self.conv1x1(x)

    def _residual(self, x):
        if self.norm1 is not None:
            x = self.norm1(x)
        x = self.conv1(F.leaky_relu(x, LEAK))
        if self.downsample:
            x = F.avg_pool2d(x, 2)
        if self.norm2 is not None:
            x = self.norm2(x)
        return self.conv2(F.leaky_relu(x, LEAK))


class Heads(nn.Module):
    """A chain of linear layers, with ReLU between them, for each class; every row goes through that of its class.

    The parameters of all classes are stacked, (classes, out, in), so that more classes are no more kernels. In a
    `state_dict` they have the published names: `<class>.<position>.weight`, or `<class>.weight` of a single layer.
    """

    def __init__(self, dims, classes):
        super().__init__()
        self.classes = classes
        self.layers = len(dims) - 1
        for i, (dim_in, dim_out) in enumerate(pairwise(dims)):
            setattr(self, f"weight{i}", nn.Parameter(torch.empty(classes, dim_out, dim_in)))
            setattr(self, f"bias{i}", nn.Parameter(torch.empty(classes, dim_out)))
        self.reset()

    @property
    def stacked(self):
        """Weight and bias of each layer, of all classes."""
        return [(getattr(self, f"weight{i}"), getattr(self, f"bias{i}")) for i in range(self.layers)]

    def reset(self):
        for weights, biases in self.stacked:
            for weight in weights.detach():
                nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu")
            nn.init.zeros_(biases)

    def forward(self, x, y):
        """(B, in) and labels (B,) -> (B, out)."""
        # Few classes: all heads for all rows, which copies no weights; many: the heads of the rows.
        every = self.classes <= len(y)
        x = x.expand(self.classes, *x.shape) if every else x[:, None]
        for i, (weight, bias) in enumerate(self.stacked):
            if not every:
                weight, bias = weight[y], bias[y]
            x = torch.baddbmm(bias[:, None], F.relu(x) if i else x, weight.mT)
        return x[y, torch.arange(len(y), device=y.device)] if every else x[:, 0]

    def _published(self, prefix):
        """(published name, stacked parameter, class) of every head's parameters, in the published order."""
        for label in range(self.classes):
            for i, both in enumerate(self.stacked):
                position = f"{label}.{2 * i}" if self.layers > 1 else f"{label}"
                for name, stacked in zip(("weight", "bias"), both, strict=True):
                    yield f"{prefix}{position}.{name}", stacked, label

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        for name, stacked, label in self._published(prefix):
            destination[name] = (stacked if keep_vars else stacked.detach())[label]

    @torch.no_grad()
    def _load_from_state_dict(self, state_dict, prefix, _, strict, missing_keys, unexpected_keys, error_msgs):
        expected = {name: stacked[label] for name, stacked, label in self._published(prefix)}
        for name, place in expected.items():
            if name not in state_dict:
                missing_keys.append(name)
            elif state_dict[name].shape != place.shape:
                error_msgs.append(f"size mismatch for {name}: {list(state_dict[name].shape)}, not {list(place.shape)}")
            else:
                place.copy_(state_dict[name])
        if strict:
            unexpected_keys += [name for name in state_dict if name.startswith(prefix) and name not in expected]


class AdaIN(nn.Module):
    """Adaptive instance normalisation: (1 + gamma(s)) * norm(x) + beta(s) (arXiv 1703.06868)."""

    def __init__(self, style_dim, features):
        super().__init__()
        self.fc = nn.Linear(style_dim, 2 * features)

    def forward(self, x, style):
        gamma, beta = self.fc(style).chunk(2, dim=1)
        return normalize(x, 1 + gamma, beta)


class AdainResBlk(nn.Module):
    """Residual block whose norms take the style; doubles the resolution if `upsample`."""

    def __init__(self, dim_in, dim_out, style_dim, upsample=False):
        super().__init__()
        self.upsample = upsample
        self.conv1 = nn.Conv2d(dim_in, dim_out, 3, padding=1)
        self.conv2 = nn.Conv2d(dim_out, dim_out, 3, padding=1)
        self.norm1 = AdaIN(style_dim, dim_in)
        self.norm2 = AdaIN(style_dim, dim_out)
        self.conv1x1 = nn.Conv2d(dim_in, dim_out, 1, bias=False) if dim_in != dim_out else None

    def forward(self, x, style):
        return (self._shortcut(x) + self._residual(x, style)) / math.sqrt(2)

    def _shortcut(self, x):
        if self.conv1x1 is not None:  # before the doubling: a quarter of its work
            x = self.conv1x1(x)
        return _doubled(x) if self.upsample else x

    def _residual(self, x, style):
        x = F.leaky_relu(self.norm1(x, style), LEAK)
        if self.upsample:
            x = _doubled(x)
        x = F.leaky_relu(self.norm2(self.conv1(x), style), LEAK)
        return self.conv2(x)


class Generator(nn.Module):
    """A query image and a style -> a generated image of the same size.

    `render(features(x), s)` is `forward(x, s)`: features are worked out once
    for a query and serve every style. The bottleneck is 16 x 16 for a square
    of `img_size`; other images need sides that are multiples of `img_size / 16`.
    """

    def __init__(self, model):
        """`model` is a config's `model` section, filled in."""
        super().__init__()
        widths = _widths(model, halvings=_log2(model.img_size) - 4)
        steps, last, style_dim = list(pairwise(widths)), widths[-1], model.style_dim
        down = [ResBlk(a, b, normalize=True, downsample=True) for a, b in steps]
        up = [AdainResBlk(b, a, style_dim, upsample=True) for a, b in reversed(steps)]
        self.from_rgb = nn.Conv2d(model.input_dim, widths[0], 3, padding=1)
        self.encode = nn.Sequential(*down, *(ResBlk(last, last, normalize=True) for _ in range(2)))
        self.decode = nn.ModuleList([*(AdainResBlk(last, last, style_dim) for _ in range(2)), *up])
        self.to_rgb = nn.Sequential(
            InstanceNorm(widths[0]),
            nn.LeakyReLU(LEAK),
            nn.Conv2d(widths[0], model.input_dim, 1),
        )
        self.final_activation = {"tanh": nn.Tanh(), "sigmoid": nn.Sigmoid(), "none": nn.Identity()}[
            model.final_activation
        ]

    def forward(self, x, style):
        return self.render(self.features(x), style)

    def features(self, x):
        return self.encode(self.from_rgb(x))

    def render(self, features, style):
        for block in self.decode:
            features = block(features, style)
        return self.final_activation(self.to_rgb(features))


class MappingNetwork(nn.Module):
    """A latent and a class -> a style (B, style_dim)."""

    def __init__(self, model, num_domains):
        super().__init__()
        hidden = model.hidden_dim
        self.shared = nn.Sequential(*_layers(model.latent_dim, *[hidden] * 4), nn.ReLU())
        self.unshared = Heads([*[hidden] * 4, model.style_dim], num_domains)

    def forward(self, z, y):
        return self.unshared(self.shared(z), y)


class StyleEncoder(nn.Module):
    """An image (square, `img_size`) and its class -> its style (B, style_dim)."""

    def __init__(self, model, num_domains):
        super().__init__()
        trunk, width = _trunk(model)
        self.shared = nn.Sequential(*trunk)
        self.unshared = Heads([width, model.style_dim], num_domains)

    def forward(self, x, y):
        return self.unshared(self.shared(x).flatten(1), y)


class Discriminator(nn.Module):
    """An image (square, `img_size`) and a class -> a logit (B,): real image of that class, or not."""

    def __init__(self, model, num_domains):
        super().__init__()
        trunk, width = _trunk(model)
        self.main = nn.Sequential(*trunk, nn.Conv2d(width, num_domains, 1))

    def forward(self, x, y):
        return self.main(x).flatten(1).gather(1, y[:, None]).squeeze(1)


def build_networks(model, num_domains):
    """The four networks by their published names, He-initialised from torch's global generator."""
    networks = nn.ModuleDict(
        {
            "generator": Generator(model),
            "mapping_network": MappingNetwork(model, num_domains),
            "style_encoder": StyleEncoder(model, num_domains),
            "discriminator": Discriminator(model, num_domains),
        }
    )
    return networks.apply(_he_init)


@torch.no_grad()
def update_average(averages, networks, weight):
    """Exponential moving average, in place: `weight * average + (1 - weight) * network`."""
    for name in AVERAGED:
        torch._foreach_lerp_(list(averages[name].parameters()), list(networks[name].parameters()), 1 - weight)


def _he_init(module):
    if isinstance(module, Heads):
        module.reset()
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _doubled(x):
    """Every pixel four times. (Exact in any precision; but autocast would have it and what follows in float32.)"""
    with torch.autocast(x.device.type, enabled=False):
        return F.interpolate(x, scale_factor=2, mode="nearest")


def _log2(size):
    return size.bit_length() - 1


def _widths(model, halvings):
    """Channels at each resolution, from full to 2**-halvings of it."""
    return [min(model.conv_dim * 2**i, model.max_conv_dim) for i in range(halvings + 1)]


def _trunk(model):
    """What style encoder and discriminator have in common: image -> (B, width, 1, 1)."""
    widths = _widths(model, halvings=_log2(model.img_size) - 2)  # down to 4 x 4
    blocks = [ResBlk(a, b, downsample=True) for a, b in pairwise(widths)]
    last = widths[-1]
    first = nn.Conv2d(model.input_dim, widths[0], 3, padding=1)
    return [first, *blocks, nn.LeakyReLU(LEAK), nn.Conv2d(last, last, 4), nn.LeakyReLU(LEAK)], last


def _layers(*dims):
    """Linear layers between the given widths, with ReLU between them."""
    layers = []
    for dim_in, dim_out in pairwise(dims):
        layers += [nn.Linear(dim_in, dim_out), nn.ReLU()]
    return layers[:-1]
