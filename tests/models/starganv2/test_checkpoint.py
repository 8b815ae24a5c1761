import pytest
import torch
from helpers.builders import tiny_config, training_settings

from quac.models.starganv2.checkpoint import StateFolder, load_checkpoint, open_checkpoint, write_checkpoint
from quac.models.starganv2.checkpoint_info import KEY, description_of
from quac.models.starganv2.networks import AVERAGED, build_networks
from quac.system.errors import QuacError

CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "state").mkdir()
    return StateFolder(tmp_path / "state")


def state(step):
    return {"step": step, "weights": torch.full((3,), float(step)), "nested": [{"a": torch.ones(1)}, 1, None]}


def test_the_last_two_states_are_kept(folder):
    for step in (10, 20, 30):
        folder.save_state(state(step))
    assert sorted(file.name for file in folder.path.glob("*.pt")) == ["state_000020.pt", "state_000030.pt"]
    assert folder.load_state(99)["weights"].tolist() == [30.0] * 3
    assert folder.load_state(25)["step"] == 20
    assert folder.load_state(19) is None
    assert folder.newest_step() == 30


def test_going_back_deletes_neither_what_it_saves_nor_the_highest(folder):
    for step in (90, 100, 10, 20, 30):
        folder.save_state(state(step))
    assert sorted(int(file.stem[6:]) for file in folder.path.glob("*.pt")) == [20, 30, 100]


def test_sessions_are_kept_in_order_and_replaced_by_their_newer_record(folder):
    for started, seconds in (("monday", 5), ("monday", 9), ("tuesday", 2)):
        folder.save_session({"started": started, "seconds": seconds})
    assert [session["seconds"] for session in folder.sessions] == [9, 2]


@pytest.mark.parametrize("damage", ["cut", "flip", "no digest"])
def test_a_damaged_state_falls_to_the_one_before(folder, caplog, damage):
    folder.save_state(state(10))
    folder.save_state(state(20))
    path = folder.path / "state_000020.pt"
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[:-100])
    elif damage == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    else:
        path.with_suffix(".sha256").unlink()
    assert folder.load_state(99)["step"] == 10
    assert "state_000020.pt is damaged; going on from the state before it" in caplog.text


def networks():
    return build_networks(tiny_config().model, 2)


def weights(networks):
    return {name: networks[name].state_dict() for name in AVERAGED}


def described(classes=("a", "b"), **sections):
    return description_of(training_settings(tiny_config(**sections)), classes, 100)


def test_a_checkpoint_has_the_published_format(folder):
    trained = networks()
    folder.save_checkpoint(100, {**weights(trained), KEY: described().as_dict()})
    content = torch.load(folder.checkpoint(100), weights_only=True)
    assert folder.checkpoint(100).name == "000100_nets_ema.ckpt"
    assert list(content) == ["generator", "mapping_network", "style_encoder", "quac"]
    assert all(isinstance(value, torch.Tensor) for name in AVERAGED for value in content[name].values())
    loaded = load_checkpoint(folder.checkpoint(100), tiny_config().model, 2, CPU)
    for name in AVERAGED:
        for key, value in trained[name].state_dict().items():
            assert torch.equal(loaded[name].state_dict()[key], value)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_what_has_no_digest_yet_is_missing(folder):
    folder.save_checkpoint(10, weights(networks()))
    folder.save_checkpoint(20, weights(networks()))
    folder.checkpoint(20).with_suffix(".sha256").unlink()
    assert folder.missing([10, 20, 30]) == [20, 30]


@pytest.mark.parametrize("damage", ["cut", "text", "other shape", "nowhere"])
def test_a_checkpoint_that_does_not_fit_is_named(folder, damage):
    folder.save_checkpoint(10, weights(networks()))
    path, model = folder.checkpoint(10), tiny_config().model
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-2000])
    elif damage == "text":
        path.write_text("no checkpoint")
    elif damage == "other shape":
        model = tiny_config(model={"style_dim": 6}).model
    else:
        path = folder.path / "nowhere.ckpt"
    with pytest.raises(QuacError, match=rf"{path.name}: .*run the same command again"):
        load_checkpoint(path, model, 2, CPU)


@pytest.mark.parametrize(
    ("asked", "classes", "said"),
    [
        (
            {"final_activation": "none"},
            2,
            r"x\.ckpt: is of networks of another kind: final_activation tanh \(asked for: no",
        ),
        ({"style_dim": 6, "conv_dim": 8}, 2, r"style_dim 4 \(asked for: 6\), conv_dim 4 \(asked for: 8\)"),
        ({}, 3, r"is of 2 classes \(a, b\), but 3 are asked for"),
    ],
)
def test_what_a_checkpoint_says_of_itself_must_be_what_is_asked_for(tmp_path, asked, classes, said):
    write_checkpoint(tmp_path / "x.ckpt", weights(networks()), described())
    with pytest.raises(QuacError, match=said):
        load_checkpoint(tmp_path / "x.ckpt", tiny_config(model=asked).model, classes, CPU)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "x.ckpt: describes itself in format 2, but this quac reads 1"),
        ({"classes": ["a"]}, "x.ckpt: what it says of itself cannot be used .*classes: List"),
        ({"classes": ["a", "b", "c"]}, "its sizes contradict each other"),
        ({"classes": ["a", "a"]}, "two classes have one name"),
        ({"more": 1}, "what it says of itself cannot be used"),
        ({"model": described(model={"hidden_dim": 8}).model.model_dump()}, "holds other networks than it says"),
        (None, "does not say what its classes and ranges are; `quac import"),
    ],
)
def test_a_checkpoint_that_says_nothing_usable_is_not_opened(tmp_path, changes, said):
    content = weights(networks()) if changes is None else {**weights(networks()), KEY: described().as_dict() | changes}
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(QuacError, match=said):
        open_checkpoint(tmp_path / "x.ckpt", CPU)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"generator": {}, "mapping_network": {}}, "holds no style encoder; give"),
        ([1, 2], "holds no generator, mapping network, style encoder"),
        (torch.ones(3), "holds no generator, mapping"),
        (dict.fromkeys(AVERAGED, 1), "holds no generator, mapping"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, content, said):
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(QuacError, match=rf"x\.ckpt: .*{said}"):
        open_checkpoint(tmp_path / "x.ckpt", CPU)
    with pytest.raises(QuacError, match=r"x\.ckpt: cannot be used as a checkpoint"):
        load_checkpoint(tmp_path / "x.ckpt", tiny_config().model, 2, CPU)
