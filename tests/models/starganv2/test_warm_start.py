"""Fine-tuning: every weight goes where it belongs."""

import copy
from types import SimpleNamespace

import pytest
import torch
from helpers.builders import make_store, tiny_config, training_config

from quac.config.training import Init
from quac.models.starganv2.checkpoint import open_checkpoint, write_checkpoint
from quac.models.starganv2.checkpoint_info import CheckpointInfo
from quac.models.starganv2.networks import AVERAGED, NETWORKS, build_networks
from quac.models.starganv2.warm_start import first_blocks, initialise
from quac.system.errors import QuacError
from quac.training.trainer import Trainer

CPU = torch.device("cpu")


def networks(classes, seed, **model):
    torch.manual_seed(seed)
    return build_networks(tiny_config(model=model).model, classes)


def save(path, source, names=AVERAGED):
    torch.save({name: source[name].state_dict() for name in names}, path)
    return path


def load(networks, path, data_classes, **init):
    initialise(networks, path, Init(**init), data_classes)


def test_a_fresh_discriminator_is_not_frozen(tmp_path):
    file = save(tmp_path / "x.ckpt", networks(2, 1))
    with pytest.raises(QuacError, match=r"init\.freeze_d: .*x\.ckpt holds no discriminator"):
        load(networks(2, 2), file, ["a", "b"], freeze_d=1)


def test_all_weights_are_those_of_the_file(tmp_path):
    theirs, ours = networks(2, 1), networks(2, 2)
    load(ours, save(tmp_path / "x.ckpt", theirs, NETWORKS), ["a", "b"])
    for name in NETWORKS:
        for key, value in theirs[name].state_dict().items():
            assert torch.equal(ours[name].state_dict()[key], value)


def test_a_missing_discriminator_starts_from_scratch_and_is_logged(tmp_path, caplog):
    theirs, ours = networks(2, 1), networks(2, 2)
    before = copy.deepcopy(ours["discriminator"].state_dict())
    with caplog.at_level("INFO", "quac"):
        load(ours, save(tmp_path / "x.ckpt", theirs), ["a", "b"])
    assert "from scratch: discriminator" in caplog.text
    assert all(torch.equal(before[key], value) for key, value in ours["discriminator"].state_dict().items())
    assert torch.equal(ours["generator"].from_rgb.weight, theirs["generator"].from_rgb.weight)


def test_heads_go_to_the_classes_of_their_names_and_new_ones_start_from_scratch(tmp_path, caplog):
    theirs, ours = networks(3, 1), networks(4, 2)
    fresh, file = copy.deepcopy(ours), save(tmp_path / "x.ckpt", theirs, NETWORKS)
    with caplog.at_level("INFO", "quac"):
        load(ours, file, ["a", "b", "c", "d"], classes=["c", "gone", "a"])
    assert "from scratch: class b, class d" in caplog.text
    for name in ("mapping_network", "style_encoder"):
        for stacked, old, new in zip(
            ours[name].unshared.stacked, theirs[name].unshared.stacked, fresh[name].unshared.stacked, strict=True
        ):
            for part in (0, 1):  # weights, biases
                assert torch.equal(stacked[part][0], old[part][2])
                assert torch.equal(stacked[part][2], old[part][0])
                assert torch.equal(stacked[part][1], new[part][1])
                assert torch.equal(stacked[part][3], new[part][3])
    last, old, new = (each["discriminator"].main[-1].weight for each in (ours, theirs, fresh))
    assert torch.equal(last[[0, 2]], old[[2, 0]])
    assert torch.equal(last[[1, 3]], new[[1, 3]])


def test_the_classes_are_those_that_the_file_names_unless_configured(tmp_path):
    theirs = networks(2, 1)
    named = CheckpointInfo.of(training_config(), ["b", "a"], 5)
    write_checkpoint(tmp_path / "x.ckpt", {name: theirs[name].state_dict() for name in AVERAGED}, named)
    for classes, place in ((None, 1), (["a", "b"], 0)):
        ours = networks(2, 2)
        load(ours, tmp_path / "x.ckpt", ["a", "c"], classes=classes)
        for stacked, old in zip(
            ours["mapping_network"].unshared.stacked, theirs["mapping_network"].unshared.stacked, strict=True
        ):
            assert torch.equal(stacked[0][0], old[0][place])
    with pytest.raises(QuacError, match=r"none of b, a, the classes of .*x\.ckpt, is a class of the data \(3, 5\)"):
        load(networks(2, 2), tmp_path / "x.ckpt", ["3", "5"])


@pytest.mark.parametrize(
    ("classes", "model", "message"),
    [
        (None, {}, "init.classes: .* has 2 classes, but 3 are in the data"),
        (["a"], {}, "has 2 classes, but 1 are named"),
        (["x", "y"], {}, "none of x, y, the classes of .*, is a class of the data"),
        (["a", "b"], {"style_dim": 5}, r"networks of other sizes: .* Set data\.img_size"),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path, classes, model, message):
    file = save(tmp_path / "x.ckpt", networks(2, 1, **model))
    with pytest.raises(QuacError, match=message):
        load(networks(3, 2), file, ["a", "b", "c"], classes=classes)


def test_a_file_that_is_not_a_checkpoint_is_named(tmp_path):
    (tmp_path / "x.ckpt").write_bytes(b"no")
    with pytest.raises(QuacError, match=r"init\.from: .*x\.ckpt cannot be read"):
        load(networks(2, 1), tmp_path / "x.ckpt", ["a", "b"])


def test_frozen_blocks_stay_and_the_others_move(tmp_path):
    store = make_store(tmp_path, {"a": 6, "b": 6})
    file = tmp_path / "state_000001.pt"
    torch.save({"step": 1, "networks": networks(2, 1).state_dict()}, file)
    config = training_config(init={"from": str(file), "freeze_d": 2})
    trainer = Trainer(config, store, CPU, init=file)
    assert torch.equal(trainer.averages["generator"].from_rgb.weight, networks(2, 1)["generator"].from_rgb.weight)
    before = copy.deepcopy(trainer.networks["discriminator"].state_dict())
    trainer.step()
    after = trainer.networks["discriminator"].state_dict()
    moved = {key for key, value in after.items() if not torch.equal(value, before[key])}
    assert moved == {key for key in before if key.split(".")[1] not in ("0", "1")}
    with pytest.raises(QuacError, match=r"init\.freeze_d: 9, but the discriminator has 4"):
        first_blocks(trainer.networks["discriminator"], 9)


@pytest.mark.parametrize("content", [b"", b"rubbish", None])
def test_a_file_that_is_no_checkpoint_is_named_without_advice_to_run_its_code(tmp_path, content):
    path = tmp_path / "x.ckpt"
    if content is None:
        torch.save({"generator": SimpleNamespace()}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(QuacError) as raised:
        load(networks(2, 2), path, ["a", "b"])
    message = str(raised.value)
    assert message.startswith(f"init.from: {path} cannot be read as a checkpoint (")
    assert len(message.splitlines()) == 1
    assert "weights_only" not in message
    with pytest.raises(QuacError) as raised:
        open_checkpoint(path, torch.device("cpu"))
    assert "weights_only" not in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
