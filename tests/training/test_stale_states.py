import fcntl

import pytest

from quac.system.errors import QuacError
from quac.system.files import write_json
from quac.training.stale_states import stale_states

SETTINGS = {"loss": {"lambda_cyc": 1.0}, "seed": 0, "judge": None}


@pytest.fixture
def root(tmp_path):
    """A run with the results of one training, while another has started; `old` belongs to neither."""
    states = tmp_path / "training/state"
    for name, loss in {"published": {}, "begun": {}, "old": {"lambda_cyc": 2.0, "lambda_ds": 1.0}}.items():
        (states / name).mkdir(parents=True)
        (states / name / "state_000020.pt").write_bytes(b"x" * 1000)
        write_json(states / name / "settings.json", {**SETTINGS, "loss": {**SETTINGS["loss"], **loss}})
    write_json(states / "current.json", {"training": "begun"})
    made = {"20": {"file": str(states / "published/000020_nets_ema.ckpt")}}
    write_json(tmp_path / "training/trained.json", {"checkpoints": made})
    return tmp_path


def test_states_that_neither_the_settings_nor_the_results_use_are_found_and_removed(root):
    (state,) = stale_states(root)
    assert state.path == root / "training/state/old"
    assert (state.step, state.differences) == (20, ["loss.lambda_cyc", "loss.lambda_ds"])
    assert 1000 < state.size < 2000
    state.remove()
    assert stale_states(root) == []
    assert sorted(path.name for path in (root / "training/state").iterdir()) == ["begun", "current.json", "published"]


def test_a_running_training_is_left_alone(root):
    with open(root / "training/state/old/lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert stale_states(root) == []


def test_a_folder_that_is_not_a_run_is_refused(tmp_path):
    with pytest.raises(QuacError, match=r"current\.json: file not found\. Is .* the folder of a run"):
        stale_states(tmp_path)
