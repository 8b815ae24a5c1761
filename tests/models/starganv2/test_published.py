"""Published weights in, ours out."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers.builders import command, ours, tiny_config

from quac.models.starganv2.checkpoint import open_checkpoint, write_checkpoint
from quac.models.starganv2.networks import AVERAGED, build_networks
from quac.models.starganv2.published import average, import_published
from quac.system.errors import QuacError

PUBLISHED = json.loads((Path(__file__).parent / "published_keys.json").read_text())
CPU = torch.device("cpu")
CLASSES = ["cat", "dog", "wild"]


def published(size):
    """What a published file holds, every key and shape, the weights random."""
    torch.manual_seed(0)
    shapes = PUBLISHED[str(size)]
    return {name: {key: torch.randn(shape) * 0.02 for key, shape in shapes[name].items()} for name in AVERAGED}


def small(classes=3, seed=0, **sections):
    """Networks and their weights."""
    torch.manual_seed(seed)
    networks = build_networks(tiny_config(**sections).model, classes)
    return networks, {name: networks[name].state_dict() for name in AVERAGED}


def save(path, content):
    torch.save(content, path)
    return path


@pytest.mark.parametrize("size", [128, 256])
def test_a_published_file_is_read_with_all_its_sizes(tmp_path, size):
    content = published(size)
    weights, found = import_published(save(tmp_path / "100000_nets_ema.ckpt", content), CLASSES, "none")
    model = found.model
    assert (model.img_size, model.input_dim, model.conv_dim, model.max_conv_dim) == (size, 3, 2**14 // size, 512)
    assert (model.style_dim, model.latent_dim, model.hidden_dim, model.num_domains) == (64, 16, 512, 3)
    assert (found.scale, found.shift, found.channels, found.img_size, found.step) == (2, -1, 3, size, 100000)
    assert all(torch.equal(weights[name][key], content[name][key]) for name in AVERAGED for key in content[name])


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_imported_file_gives_the_same_networks(tmp_path, size, channels):
    data = {"img_size": size, "grayscale": channels == 1, "rgb": channels == 3, "scale": 1, "shift": 0}
    networks, weights = small(data=data, model={"final_activation": "sigmoid"})
    prefixed = {name: {f"module.{key}": value for key, value in weights[name].items()} for name in AVERAGED}
    file = save(tmp_path / "x y.ckpt", {**prefixed, "fan": {}})
    out = tmp_path / "ours.ckpt"
    done = command("import", file, "--classes", "cat, dog,ü", "--final-activation", "sigmoid", "--out", out)
    assert done.status == 0, done.output
    found, loaded = open_checkpoint(out, CPU)
    assert (found.classes, found.scale, found.shift) == (["cat", "dog", "ü"], 1, 0)
    assert found.model.model_dump(exclude={"max_conv_dim"}) == {
        **tiny_config(data=data, model={"final_activation": "sigmoid"}).model.model_dump(exclude={"max_conv_dim"}),
        "num_domains": 3,
    }
    x, y, z = torch.randn(2, channels, size, size), torch.tensor([2, 0]), torch.randn(2, 4)
    networks.to(memory_format=torch.channels_last)
    for networks_ in (networks, loaded):
        style = networks_["mapping_network"](z, y) + networks_["style_encoder"](x, y)
        result = networks_["generator"](x, style)
        assert torch.equal(result, networks["generator"](x, style))


def test_a_style_encoder_of_one_output_is_that_of_every_class(tmp_path):
    networks, weights = small()
    encoder = dict(weights["style_encoder"])
    single = {f"output.{kind}": encoder.pop(f"unshared.1.{kind}") for kind in ("weight", "bias")}
    unused = {
        f"unshared.{i}.{kind}": torch.zeros(64, 512)[: 64 if kind == "weight" else 1]
        for i in (0, 1)
        for kind in ("weight", "bias")
    }
    trunk = {key: value for key, value in encoder.items() if key.startswith("shared")}
    weights = {**weights, "style_encoder": {**trunk, **unused, **single}}
    read, found = import_published(save(tmp_path / "x.ckpt", weights), CLASSES, "tanh")
    write_checkpoint(tmp_path / "y.ckpt", read, found)
    _, loaded = open_checkpoint(tmp_path / "y.ckpt", CPU)
    x = torch.randn(3, 1, 32, 32)
    expected = networks["style_encoder"](x, torch.tensor([1, 1, 1]))
    assert torch.allclose(loaded["style_encoder"](x, torch.tensor([0, 1, 2])), expected)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda c: c["generator"].update({"hpf.filter": torch.zeros(3, 3)}), {}, "a high-pass filter .* w_hpf 0"),
        (lambda c: c.pop("style_encoder"), {}, "no style encoder in this file"),
        (lambda c: c["generator"].pop("from_rgb.weight"), {}, "it has no 'from_rgb.weight'"),
        (lambda c: c["generator"].update({"from_rgb.weight": torch.zeros(3)}), {}, "its weights have other shapes"),
        (lambda c: c.update(small(1)[1]), {"classes": ["a"]}, "has one class"),
        (lambda c: c["generator"].pop("to_rgb.0.bias"), {}, r"(?s)generator\.to_rgb\.0\.bias: missing, not \[4\]"),
        (lambda c: c["generator"].update({"more": torch.zeros(1)}), {}, r"(?s)generator\.more: \[1\], not known"),
        (lambda c: c["style_encoder"].pop("unshared.2.bias"), {}, r"(?s)style_encoder\.unshared\.2\.bias: missing"),
        (
            lambda c: c.update(style_encoder=small(data={"img_size": 64})[1]["style_encoder"]),
            {},
            "generator is built for images of 32, its style encoder for 64 pixels",
        ),
        (lambda c: None, {"classes": ["a", "b"]}, r"2 names \(a, b\), but .* has 3"),
        (lambda c: None, {"classes": ["a", "b", "a"]}, "Give each class its own name"),
        (
            lambda c: None,
            {"final_activation": "relu"},
            "--final-activation: relu is unknown. Choose from tanh, none, sigmoid",
        ),
        (
            lambda c: None,
            {"final_activation": "sigmoid", "scale": 2.0},
            r"into \[0, 2\], but a last activation of sigm",
        ),
        (lambda c: None, {"scale": float("nan")}, "--scale, --shift: the scale must"),
        (lambda c: c.update(quac={"format": 1}), {}, "already a checkpoint of quac"),
    ],
)
def test_a_file_that_is_not_a_published_one_of_these_classes_is_refused(tmp_path, change, options, message):
    _, weights = small()
    content = {name: dict(weights[name]) for name in AVERAGED}
    change(content)
    options = {"classes": CLASSES, "final_activation": "tanh", **options}
    with pytest.raises(QuacError, match=message):
        import_published(save(tmp_path / "x.ckpt", content), **options)


def test_a_width_for_another_size_is_logged(tmp_path, caplog):
    _, weights = small(data={"img_size": 64}, model={"conv_dim": 170, "max_conv_dim": 170})
    import_published(save(tmp_path / "x.ckpt", weights), CLASSES, "tanh")
    assert "has networks for 64 pixels with the width for 96" in caplog.text


def test_the_published_format_is_exported_as_it_was_imported(tmp_path):
    content = small()[1]
    save(tmp_path / "in.ckpt", content)
    command(
        "import",
        tmp_path / "in.ckpt",
        "--classes",
        "a,b,c",
        "--final-activation",
        "tanh",
        "--out",
        tmp_path / "ours.ckpt",
    )
    done = command("export", tmp_path / "ours.ckpt", "--format", "quac", "--out", tmp_path / "out.ckpt")
    assert done.status == 0, done.output
    back = torch.load(tmp_path / "out.ckpt", weights_only=True)
    assert list(back) == list(AVERAGED)
    for name in AVERAGED:
        assert list(back[name]) == list(content[name])
        assert all(torch.equal(back[name][key], value) for key, value in content[name].items())


@pytest.mark.parametrize("kind", ["torchscript", "pt2"])
def test_exported_networks_give_the_same_without_quac(tmp_path, kind):
    """In another process that cannot import quac, for other numbers and sizes of images than it was exported with."""
    model = ours(tmp_path / "a b.ckpt", classes=("a", "b", "c"), data={"img_size": 64})
    done = command("export", model, "--format", kind, "--out", tmp_path / "net.pt")
    assert done.status == 0, done.output
    assert "classes a, b, c" in done.output
    _, networks = open_checkpoint(model, CPU)
    torch.manual_seed(1)
    cases = []
    for batch, height, width in ((1, 64, 64), (5, 48, 100), (2, 8, 8)):
        x, square = torch.rand(batch, 1, height, width) * 2 - 1, torch.rand(batch, 1, 64, 64) * 2 - 1
        z, y, s = torch.randn(batch, 4), torch.randint(3, (batch,)), torch.randn(batch, 4)
        expected = (
            networks["generator"](x, s),
            networks["mapping_network"](z, y),
            networks["style_encoder"](square, y),
        )
        cases.append((((x, s), (z, y), (square, y)), expected))
    torch.save(cases, tmp_path / "cases.pt")
    load = "torch.jit.load(f)" if kind == "torchscript" else "torch.export.load(f).module()"
    code = f"""import sys, torch
    sys.modules["quac"] = None
    networks = [{load} for f in ("net.pt", "net_mapping_network.pt", "net_style_encoder.pt")]
    for inputs, expected in torch.load("cases.pt"):
        for network, given, wanted in zip(networks, inputs, expected):
            torch.testing.assert_close(network(*given), wanted, rtol=0, atol=1e-5)"""
    code = re.sub(r"\n    ", "\n", code)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_average_is_the_weighted_mean(tmp_path):
    files = [ours(tmp_path / f"{seed}.ckpt", seed, step=seed) for seed in (1, 2)]
    parts = [torch.load(file, weights_only=True)["generator"]["from_rgb.weight"] for file in files]
    done = command("average", *files, "--weights", "3,1", "--out", tmp_path / "mean.ckpt")
    assert done.status == 0, done.output
    found, networks = open_checkpoint(tmp_path / "mean.ckpt", CPU)
    torch.testing.assert_close(networks["generator"].from_rgb.weight, 0.75 * parts[0] + 0.25 * parts[1])
    assert (found.step, found.classes) == (None, ["a", "b"])
    mean, _ = average(files)
    torch.testing.assert_close(mean["generator"]["from_rgb.weight"], (parts[0] + parts[1]) / 2)
    same, found = average([files[0]] * 3)
    assert found.step == 1
    torch.testing.assert_close(same["generator"]["from_rgb.weight"], parts[0])


@pytest.mark.parametrize(
    ("other", "weights", "message"),
    [
        ({"classes": ("a", "c")}, None, r"2\.ckpt: differs from .*1\.ckpt in classes \['a', 'c'\], not"),
        ({"model": {"style_dim": 5}}, None, "style_dim 5, not 4"),
        ({"data": {"scale": 1.0, "shift": 0.0}}, None, "scale 1.0, not 2.0; shift 0.0, not -1.0"),
        ({}, [1.0], "--weights: 1. Give a number above 0 for each of the 2"),
        ({}, [1.0, -1.0], "--weights: 1,-1"),
        ({}, [1.0, float("nan")], "--weights: 1,nan"),
    ],
)
def test_only_equal_networks_are_averaged(tmp_path, other, weights, message):
    files = [ours(tmp_path / "1.ckpt"), ours(tmp_path / "2.ckpt", **other)]
    with pytest.raises(QuacError, match=message):
        average(files, weights)
    with pytest.raises(QuacError, match=r"1\.ckpt: a single checkpoint"):
        average(files[:1])


def test_no_input_is_overwritten(tmp_path):
    model = ours(tmp_path / "a.ckpt")
    before = model.read_bytes()
    for arguments in (
        ("export", model, "--format", "quac"),
        ("average", model, model),
        ("import", model, "--classes", "a,b", "--final-activation", "tanh"),
    ):
        done = command(*arguments, "--out", tmp_path / "." / "a.ckpt")
        assert done.status == 1
        assert "a.ckpt is an input of this command and would be overwritten" in done.output
    assert model.read_bytes() == before
    for name in ("b_mapping_network.pt", "b_style_encoder.pt"):  # which an export to b.pt would write
        other = ours(tmp_path / name)
        for format in ("torchscript", "pt2"):
            done = command("export", other, "--format", format, "--out", tmp_path / "new/../b.pt")
            assert f"{name} is an input of this command and would be overwritten" in done.output
        assert other.read_bytes() == before
    assert not (tmp_path / "b.pt").exists()
    done = command("export", model, "--format", "onnx", "--out", tmp_path / "b")
    assert "--format: onnx is unknown. Choose from quac, torchscript, pt2" in done.output
