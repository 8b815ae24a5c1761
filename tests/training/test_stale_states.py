import fcntl

import pytest
from helpers.builders import command

from quac.system.errors import QuacError
from quac.system.files import write_json
from quac.training.stale_states import stale_states

PUBLISHED, BEGUN, OLD = "0" * 16, "1" * 16, "f" * 16
SETTINGS = {"loss": {"lambda_cyc": 1.0}, "seed": 0, "judge": None}


@pytest.fixture
def root(tmp_path):
    """A run with the results of one training, while another has started; OLD belongs to neither."""
    states = tmp_path / "training/state"
    for name, loss in {PUBLISHED: {}, BEGUN: {}, OLD: {"lambda_cyc": 2.0, "lambda_ds": 1.0}}.items():
        (states / name).mkdir(parents=True)
        (states / name / "state_000020.pt").write_bytes(b"x" * 1000)
        write_json(states / name / "settings.json", {**SETTINGS, "loss": {**SETTINGS["loss"], **loss}})
    write_json(states / "current.json", {"training": BEGUN})
    made = {"20": {"file": f"elsewhere/{PUBLISHED}/000020_nets_ema.ckpt", "sha256": "d"}}
    write_json(tmp_path / "training/trained.json", {"checkpoints": made})
    return tmp_path


def test_states_that_neither_the_settings_nor_the_results_use_are_found_and_removed(root):
    (state,) = stale_states(root)
    assert state.path == root / "training/state" / OLD
    assert (state.step, state.differences) == (20, ["loss.lambda_cyc", "loss.lambda_ds"])
    assert 1000 < state.size < 2000
    state.remove()
    assert stale_states(root) == []
    assert sorted(path.name for path in (root / "training/state").iterdir()) == [PUBLISHED, BEGUN, "current.json"]


def test_a_running_training_is_left_alone(root):
    with open(root / "training/state" / OLD / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert stale_states(root) == []


def test_a_folder_that_is_not_a_run_is_refused(tmp_path):
    with pytest.raises(QuacError, match=r"current\.json: file not found\. Is .* the folder of a run"):
        stale_states(tmp_path)


def test_what_is_not_of_a_training_is_left_alone(root, tmp_path, caplog):
    """A results folder from elsewhere may hold anything under any name."""
    states, mine = root / "training/state", tmp_path / "mine"
    mine.mkdir()
    (mine / "state_000020.pt").touch()
    (states / ("a" * 16)).symlink_to(mine)
    (states / "photos").mkdir()
    (states / ("b" * 16)).mkdir()
    (states / ("b" * 16) / "thesis.tex").touch()
    (states / OLD / "samples").symlink_to(mine)
    (state,) = stale_states(root)
    assert state.path.name == OLD
    for what in ("a link", "is not named as one", "holds thesis.tex"):
        assert f"not a folder of training states ({what}); it is left alone" in caplog.text
    state.remove()
    assert not (states / OLD).exists()
    assert (mine / "state_000020.pt").is_file()
    done = command("clean", root, "--remove")
    assert done.status == 0
    assert (states / ("b" * 16) / "thesis.tex").is_file()
    assert (states / "photos").is_dir()


@pytest.mark.parametrize("name", ["../../../mine", "..", "/"])
def test_names_that_lead_elsewhere_are_damage(root, name):
    write_json(root / "training/trained.json", {"checkpoints": {"20": {"file": f"x/{name}", "sha256": "d"}}})
    with pytest.raises(QuacError, match=r"trained\.json: damaged"):
        stale_states(root)


def test_parts_of_files_are_listed_and_removed(root):
    (root / "data").mkdir()
    part, writing = root / "data/.0123456789abcdef.part", root / "data/.fedcba9876543210.part"
    part.write_bytes(b"x" * 2_000_000)
    writing.touch()
    with open(writing) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert f"{part}: 2.0 MB, left when its stage was killed" in command("clean", root).output
        command("clean", root, "--remove")
    assert not part.exists()
    assert writing.exists()
