import json
from pathlib import Path

import pytest
import torch
from builders import tiny_config
from torch import nn

from quac.config import Model
from quac.stargan.networks import AVERAGED, AdaIN, build_networks, update_average

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


def test_a_class_more_is_a_head_more():
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


def test_each_row_gets_the_head_of_its_class():
    networks = build_networks(tiny_config().model, 3)
    x, z, y = torch.randn(4, 1, 32, 32), torch.randn(4, 4), torch.tensor([1, 0, 2, 1])
    for row, label in enumerate(y):
        mapping, encoder, discriminator = (networks[n] for n in ("mapping_network", "style_encoder", "discriminator"))
        alone = mapping.unshared[label](mapping.shared(z[row : row + 1]))
        torch.testing.assert_close(mapping(z, y)[row], alone[0])
        alone = encoder.unshared[label](encoder.shared(x[row : row + 1]).flatten())
        torch.testing.assert_close(encoder(x, y)[row], alone)
        torch.testing.assert_close(discriminator(x, y)[row], discriminator.main(x[row : row + 1])[0, label, 0, 0])


def test_adain_is_its_definition():
    adain, x, style = AdaIN(4, 3), torch.randn(2, 3, 5, 5), torch.randn(2, 4)
    gamma, beta = adain.fc(style).chunk(2, 1)
    mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), unbiased=False, keepdim=True)
    expected = (1 + gamma[:, :, None, None]) * (x - mean) / (variance + 1e-5).sqrt() + beta[:, :, None, None]
    torch.testing.assert_close(adain(x, style), expected)


@pytest.mark.parametrize(("activation", "low", "high"), [("tanh", -1, 1), ("sigmoid", 0, 1), ("none", -1e9, 1e9)])
def test_the_final_activation_is_the_one_asked_for(activation, low, high):
    """(QuAC takes everything but `sigmoid` for tanh.)"""
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
    norms = [module for module in published(64).modules() if isinstance(module, nn.InstanceNorm2d)]
    assert all(norm.affine and not norm.track_running_stats for norm in norms)


def test_the_average_moves_by_its_weight():
    networks, averages = (build_networks(tiny_config().model, 2) for _ in range(2))
    before = {name: [p.clone() for p in averages[name].parameters()] for name in AVERAGED}
    update_average(averages, networks, 0.75)
    for name in AVERAGED:
        for old, new, now in zip(before[name], networks[name].parameters(), averages[name].parameters(), strict=True):
            torch.testing.assert_close(now, 0.75 * old + 0.25 * new)
