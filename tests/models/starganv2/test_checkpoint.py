import pytest
import torch
from helpers.builders import tiny_config, training_config

from quac.models.starganv2.checkpoint import open_checkpoint, write_checkpoint
from quac.models.starganv2.checkpoint_info import KEY, CheckpointInfo
from quac.models.starganv2.networks import AVERAGED, build_networks
from quac.system.errors import QuacError

CPU = torch.device("cpu")


def networks():
    return build_networks(tiny_config().model, 2)


def weights(networks):
    return {name: networks[name].state_dict() for name in AVERAGED}


def info(classes=("a", "b"), **sections):
    return CheckpointInfo.of(training_config(**sections), classes, 100)


def test_a_checkpoint_has_the_published_format(tmp_path):
    trained, path = networks(), tmp_path / "000100_nets_ema.ckpt"
    write_checkpoint(path, weights(trained), info())
    content = torch.load(path, weights_only=True)
    assert list(content) == ["generator", "mapping_network", "style_encoder", "quac"]
    assert all(isinstance(value, torch.Tensor) for name in AVERAGED for value in content[name].values())
    described, loaded = open_checkpoint(path, CPU)
    assert described == info()
    for name in AVERAGED:
        for key, value in trained[name].state_dict().items():
            assert torch.equal(loaded[name].state_dict()[key], value)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert loaded["generator"].encode[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("damage", ["cut", "text", "nowhere"])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    path = tmp_path / "x.ckpt"
    write_checkpoint(path, weights(networks()), info())
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-2000])
    elif damage == "text":
        path.write_text("no checkpoint")
    else:
        path.unlink()
    with pytest.raises(QuacError, match=r"x\.ckpt: (cannot be read as a checkpoint|file not found)"):
        open_checkpoint(path, CPU)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "x.ckpt: its description has format 2, but this quac reads 1"),
        ({"classes": ["a"]}, "x.ckpt: its description cannot be used .*classes: List"),
        ({"classes": ["a", "b", "c"]}, "its sizes contradict each other"),
        ({"classes": ["a", "a"]}, "two classes have the same name"),
        ({"more": 1}, "its description cannot be used"),
        ({"model": info(model={"hidden_dim": 8}).model.model_dump()}, "the networks are not the described ones"),
        (None, "does not describe its classes and ranges. `quac import"),
    ],
)
def test_a_checkpoint_without_a_usable_description_is_refused(tmp_path, changes, message):
    content = weights(networks()) if changes is None else {**weights(networks()), KEY: info().as_dict() | changes}
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(QuacError, match=message):
        open_checkpoint(tmp_path / "x.ckpt", CPU)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"generator": {}, "mapping_network": {}}, "no style encoder in this file. Use"),
        ([1, 2], "no generator, mapping network, style encoder"),
        (torch.ones(3), "no generator, mapping"),
        (dict.fromkeys(AVERAGED, 1), "no generator, mapping"),
    ],
)
def test_a_file_that_is_not_a_checkpoint_is_named(tmp_path, content, message):
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(QuacError, match=rf"x\.ckpt: .*{message}"):
        open_checkpoint(tmp_path / "x.ckpt", CPU)
