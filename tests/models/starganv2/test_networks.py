import copy
import json
from pathlib import Path

import pytest
import torch
from helpers.builders import tiny_config
from torch import nn
from torch.nn import functional as F

from quac.config.training import Model
from quac.models.starganv2.networks import (
    AVERAGED,
    AdaIN,
    Heads,
    InstanceNorm,
    build_networks,
    normalize,
    update_average,
)

# Keys and shapes of the published networks (clovaai/stargan-v2 at 875b70a, w_hpf 0), 3 classes, 3 channels.
PUBLISHED = json.loads((Path(__file__).parent / "published_keys.json").read_text())
# img_size: parameters of generator, mapping network, style encoder, discriminator.
COUNTS = {
    32: (28_740_099, 3_259_072, 18_466_496, 18_369_539),
    64: (32_634_883, 3_259_072, 20_360_640, 20_263_683),
    128: (33_632_003, 3_259_072, 20_832_576, 20_735_619),
    256: (33_892_995, 3_259_072, 20_949_760, 20_852_803),
    512: (33_964_099, 3_259_072, 20_978_656, 20_881_699),
    1024: (33_984_803, 3_259_072, 20_985_680, 20_888_723),
}


def published(img_size, input_dim=3, classes=3):
    """The networks in their published widths, without memory for their weights."""
    with torch.device("meta"):
        return build_networks(Model(img_size=img_size, input_dim=input_dim, conv_dim=2**14 // img_size), classes)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("img_size", [128, 256])
def test_keys_and_shapes_are_the_published_ones(img_size):
    for name, network in published(img_size).items():
        ours = {key: list(value.shape) for key, value in network.state_dict().items()}
        assert ours == PUBLISHED[str(img_size)][name]
        assert list(ours) == list(PUBLISHED[str(img_size)][name])


@pytest.mark.parametrize("img_size", COUNTS)
def test_parameter_counts_are_the_published_ones(img_size):
    assert tuple(count(network) for network in published(img_size).values()) == COUNTS[img_size]


@pytest.mark.parametrize(
    ("img_size", "counts"), [(128, (33_629_441, 20_830_272, 20_733_315)), (256, (33_891_713, 20_948_608, 20_851_651))]
)
def test_one_channel_changes_the_first_and_last_layers_only(img_size, counts):
    networks = published(img_size, input_dim=1)
    assert tuple(count(networks[name]) for name in ("generator", "style_encoder", "discriminator")) == counts


def test_each_class_adds_a_head():
    assert count(published(128, classes=2)["mapping_network"]) == 2_438_272
    assert count(published(128)["mapping_network"]) - 2_438_272 == 820_800


@pytest.mark.parametrize("img_size", [32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes(img_size, channels):
    config = tiny_config(data={"img_size": img_size, "grayscale": channels == 1, "rgb": channels == 3})
    networks = build_networks(config.model, 3)
    x, y = torch.randn(2, channels, img_size, img_size), torch.tensor([2, 0])
    style = networks["mapping_network"](torch.randn(2, config.model.latent_dim), y)
    assert style.shape == networks["style_encoder"](x, y).shape == (2, config.model.style_dim)
    assert networks["generator"].features(x).shape[-2:] == (16, 16)
    assert networks["generator"](x, style).shape == x.shape
    assert networks["discriminator"](x, y).shape == (2,)


def test_the_generator_takes_other_sizes_that_its_halvings_divide():
    config = tiny_config(data={"img_size": 64})
    generator = build_networks(config.model, 2)["generator"]
    style = torch.randn(1, config.model.style_dim)
    assert generator(torch.randn(1, 1, 48, 100), style).shape == (1, 1, 48, 100)


def by_hand(heads, x, label):
    """The layers of one class, one after the other, by their published names."""
    layers = heads.state_dict()
    names = sorted(name.removesuffix(".weight") for name in layers if name.startswith(f"{label}.") and "weight" in name)
    for i, name in enumerate(names):
        x = F.linear(x.relu() if i else x, layers[f"{name}.weight"], layers[f"{name}.bias"])
    return x


@pytest.mark.parametrize("classes", [3, 7])  # fewer and more than rows: all heads, or those of the rows
def test_each_row_gets_the_head_of_its_class(classes):
    networks = build_networks(tiny_config().model, classes)
    x, z, y = torch.randn(4, 1, 32, 32), torch.randn(4, 4), torch.tensor([1, 0, 2, 1])
    for row, label in enumerate(y):
        mapping, encoder, discriminator = (networks[n] for n in ("mapping_network", "style_encoder", "discriminator"))
        alone = by_hand(mapping.unshared, mapping.shared(z[row : row + 1]), label)
        torch.testing.assert_close(mapping(z, y)[row], alone[0])
        alone = by_hand(encoder.unshared, encoder.shared(x[row : row + 1]).flatten(), label)
        torch.testing.assert_close(encoder(x, y)[row], alone)
        torch.testing.assert_close(discriminator(x, y)[row], discriminator.main(x[row : row + 1])[0, label, 0, 0])


@pytest.mark.parametrize("classes", [3, 7])
def test_stacked_heads_have_the_values_and_gradients_of_single_ones(classes):
    torch.manual_seed(0)
    heads, y = Heads([5, 6, 2], classes), torch.tensor([1, 0, 1, 2])
    single = nn.ModuleList(nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 2)) for _ in range(classes))
    single.load_state_dict(heads.state_dict())
    x, plain_x = (torch.randn(4, 5, generator=torch.manual_seed(1)).requires_grad_() for _ in range(2))
    plain = torch.stack([single[label](row) for label, row in zip(y, plain_x, strict=True)])
    torch.testing.assert_close(heads(x, y), plain, rtol=0, atol=1e-5)
    heads(x, y).square().sum().backward()
    plain.square().sum().backward()
    torch.testing.assert_close(x.grad, plain_x.grad, rtol=0, atol=1e-5)
    for i, layer in ((0, 0), (1, 2)):
        for label in range(classes):
            expected = single[label][layer].weight.grad
            expected = torch.zeros_like(single[label][layer].weight) if expected is None else expected
            torch.testing.assert_close(heads.stacked[i][0].grad[label], expected, rtol=0, atol=1e-5)


def test_heads_of_another_number_or_shape_are_refused():
    heads = Heads([4, 3], 2)
    more, wider = Heads([4, 3], 3), Heads([4, 5], 2)
    with pytest.raises(RuntimeError, match="Missing key"):
        more.load_state_dict(heads.state_dict())
    with pytest.raises(RuntimeError, match="Unexpected key"):
        heads.load_state_dict(more.state_dict())
    with pytest.raises(RuntimeError, match=r"size mismatch for 0\.weight"):
        wider.load_state_dict(heads.state_dict())


def outcome(network, arguments, layout):
    """Output and gradients of a network in a memory layout."""
    network = copy.deepcopy(network).to(memory_format=layout)
    x, *rest = arguments
    x = x.clone(memory_format=layout).requires_grad_()
    out = network(x, *rest)
    out.square().sum().backward()
    return [out, x.grad, *(parameter.grad for parameter in network.parameters() if parameter.grad is not None)]


@pytest.mark.parametrize("name", ["generator", "style_encoder", "discriminator"])
def test_the_memory_layout_changes_only_the_rounding(name):
    torch.manual_seed(0)
    network = build_networks(tiny_config().model, 3)[name].double()
    x, y = torch.randn(2, 1, 32, 32).double(), torch.tensor([2, 0])
    arguments = (x, torch.randn(2, 4).double()) if name == "generator" else (x, y)
    for plain, last in zip(
        outcome(network, arguments, torch.contiguous_format),
        outcome(network, arguments, torch.channels_last),
        strict=True,
    ):
        torch.testing.assert_close(plain, last, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_our_normalisation_is_that_of_torch_and_keeps_the_layout(layout):
    torch.manual_seed(0)
    one = torch.randn(2, 8, 6, 5), torch.randn(2, 8), torch.randn(2, 8)  # a scale and a shift for each sample
    x, scale, shift = (part.clone().requires_grad_() for part in one)
    plain_x, plain_scale, plain_shift = (part.clone().requires_grad_() for part in one)
    ours = normalize(x.contiguous(memory_format=layout), scale, shift)
    theirs = plain_scale[:, :, None, None] * F.instance_norm(plain_x) + plain_shift[:, :, None, None]
    assert ours.is_contiguous(memory_format=layout)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    for out in (ours, theirs):
        (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum().backward()
    for part, plain in ((x, plain_x), (scale, plain_scale), (shift, plain_shift)):
        torch.testing.assert_close(part.grad, plain.grad, rtol=0, atol=2e-5)


def test_statistics_of_half_precision_are_full():
    x = (torch.randn(1, 1, 64, 64) * 0.1 + 100).to(torch.bfloat16)
    ours = InstanceNorm(1)(x)
    assert ours.dtype == torch.bfloat16  # what is passed on stays half as large
    torch.testing.assert_close(ours.float(), F.instance_norm(x.float()), rtol=1e-2, atol=1e-2)


def test_a_style_of_half_precision_scales_an_image_of_full_precision():
    """As on a GPU, where autocast upsamples in float32."""
    x, scale, shift = torch.randn(2, 3, 4, 4), torch.randn(2, 3).bfloat16(), torch.randn(2, 3).bfloat16()
    for layout in (torch.contiguous_format, torch.channels_last):
        found = normalize(x.contiguous(memory_format=layout), scale, shift)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, normalize(x, scale.float(), shift.float()), rtol=0, atol=1e-5)


def test_adain_is_its_definition():
    adain, x, style = AdaIN(4, 3), torch.randn(2, 3, 5, 5), torch.randn(2, 4)
    gamma, beta = adain.fc(style).chunk(2, 1)
    mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)
    expected = (1 + gamma[:, :, None, None]) * (x - mean) / (variance + 1e-5).sqrt() + beta[:, :, None, None]
    torch.testing.assert_close(adain(x, style), expected)


@pytest.mark.parametrize(("activation", "low", "high"), [("tanh", -1, 1), ("sigmoid", 0, 1), ("none", -1e9, 1e9)])
def test_the_final_activation_is_the_configured_one(activation, low, high):
    """(QuAC treats everything but `sigmoid` as tanh.)"""
    config = tiny_config(data={"scale": 1, "shift": 0}, model={"final_activation": activation})
    generator = build_networks(config.model, 2)["generator"]
    generator.to_rgb[2].weight.data.mul_(100)
    out = generator(torch.rand(2, 1, 32, 32), torch.randn(2, 4))
    assert out.min() >= low
    assert out.max() <= high
    assert (out.abs().max() > 1) == (activation == "none")


def test_he_initialisation():
    network = build_networks(Model(img_size=32, input_dim=1, conv_dim=64, max_conv_dim=64), 2)["discriminator"]
    conv = network.main[1].conv2
    assert abs(conv.weight.std() / (2 / (64 * 9)) ** 0.5 - 1) < 0.02
    assert conv.bias.abs().max() == 0
    mapping = build_networks(Model(img_size=32, input_dim=1, conv_dim=4, hidden_dim=256), 3)["mapping_network"]
    assert all(abs(weights.std() / (2 / 256) ** 0.5 - 1) < 0.02 for weights, _ in mapping.unshared.stacked)


def test_the_average_moves_by_its_weight():
    networks, averages = (build_networks(tiny_config().model, 2) for _ in range(2))
    before = {name: [p.clone() for p in averages[name].parameters()] for name in AVERAGED}
    update_average(averages, networks, 0.75)
    for name in AVERAGED:
        for old, new, now in zip(before[name], networks[name].parameters(), averages[name].parameters(), strict=True):
            torch.testing.assert_close(now, 0.75 * old + 0.25 * new)
