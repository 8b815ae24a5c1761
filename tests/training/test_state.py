import os
import time

import pandas as pd
import pytest
import torch

from quac.training.state import StateFolder, remove_remains, state_id


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "state").mkdir()
    return StateFolder(tmp_path / "state")


def state(step):
    return {"step": step, "weights": torch.full((3,), float(step)), "nested": [{"a": torch.ones(1)}, 1, None]}


def newest(folder, at_most=99):
    return next((state for _, state in folder.load_states(at_most)), None)


def test_the_last_two_states_are_kept(folder):
    for step in (10, 20, 30):
        folder.save_state(state(step))
    assert sorted(file.name for file in folder.path.glob("*.pt")) == ["state_000020.pt", "state_000030.pt"]
    assert newest(folder)["weights"].tolist() == [30.0] * 3
    assert newest(folder, 25)["step"] == 20
    assert newest(folder, 19) is None
    assert folder.newest_step() == 30


def test_going_back_keeps_what_it_saves_and_the_highest_step(folder):
    for step in (90, 100, 10, 20, 30):
        folder.save_state(state(step))
    assert sorted(int(file.stem[6:]) for file in folder.path.glob("*.pt")) == [20, 30, 100]


def test_the_newest_states_are_kept_whatever_the_clock_says(folder):
    for step in (10, 20):
        folder.save_state(state(step))
    for path in folder.path.iterdir():
        os.utime(path, (time.time() + 3600,) * 2)
    again = StateFolder(folder.path)  # after the clock was set back
    for step in (30, 40):
        again.save_state(state(step))
        assert newest(again)["step"] == step
    assert sorted(int(file.stem[6:]) for file in folder.path.glob("*.pt")) == [30, 40]


def test_what_a_kill_has_left_is_removed(folder):
    for name in (".0123456789abcdef.part", ".0123456789abcdef.77.part", ".mine.part", "samples/.0123456789abcdef.part"):
        (folder.path / name).parent.mkdir(exist_ok=True)
        (folder.path / name).touch()
    remove_remains(folder.path)
    assert sorted(path.name for path in folder.path.rglob("*") if path.is_file()) == [".mine.part"]


def test_sessions_are_kept_in_order_and_replaced_by_their_newer_record(folder):
    for started, seconds in (("monday", 5), ("monday", 9), ("tuesday", 2)):
        folder.save_session({"started": started, "seconds": seconds})
    assert [session["seconds"] for session in folder.sessions] == [9, 2]


@pytest.mark.parametrize("damage", ["cut", "flip", "no digest", "damaged digest"])
def test_a_damaged_state_falls_back_to_the_one_before(folder, caplog, damage):
    folder.save_state(state(10))
    folder.save_state(state(20))
    path = folder.path / "state_000020.pt"
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[:-100])
    elif damage == "flip":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "damaged digest":
        path.with_suffix(".sha256").write_bytes(b"\xff" * 64)
    else:
        path.with_suffix(".sha256").unlink()
    assert newest(folder)["step"] == 10
    assert "state_000020.pt is damaged; continuing from the state before it" in caplog.text


def test_a_checkpoint_without_a_digest_is_missing(folder):
    folder.save_checkpoint(10, {})
    folder.save_checkpoint(20, {})
    folder.checkpoint(20).with_suffix(".sha256").unlink()
    assert folder.missing([10, 20, 30]) == [20, 30]
    folder.checkpoint(10).write_bytes(b"damaged")
    assert folder.missing([10, 20, 30]) == [10, 20, 30]


def test_a_checkpoint_has_the_published_name(folder):
    folder.save_checkpoint(100, {})
    assert folder.checkpoint(100).name == "000100_nets_ema.ckpt"


def test_the_id_is_of_everything_that_a_training_depends_on(tmp_path):
    key = {
        "format": 2,
        "stage": "train",
        "settings": {"loss.lambda_cyc": 2.0},
        "version": 1,
        "files": {"init.from": "a"},
    }
    index = pd.DataFrame({"class": ["a", "b"], "sha256": ["1", "2"], "weight": [1.0, 1.0], "path": ["x", "y"]})
    classifiers = tmp_path / "first.pt", tmp_path / "second.pt"
    for path in classifiers:
        path.write_text(path.name)
    others = [
        state_id({**key, "settings": {}}, index),
        state_id({**key, "version": 2}, index),
        state_id({**key, "files": {"init.from": "b"}}, index),
        state_id(key, index.assign(sha256=["1", "3"])),
        *(state_id(key, index, path) for path in classifiers),
    ]
    assert len({state_id(key, index), *others}) == 7
    assert state_id(key, index.assign(path=["elsewhere", "y"])) == state_id(key, index)
