import re
from types import SimpleNamespace

import pytest
import torch
from helpers.builders import make_store, run_options, tiny_config, training_config

from quac.training import sizes
from quac.training.plan import Plan
from quac.training.trainer import Trainer


def test_the_logged_disk_use_is_that_of_the_saved_files(tmp_path, monkeypatch, caplog):
    trainer = Trainer(training_config(), make_store(tmp_path, {"a": 2, "b": 2}), torch.device("cpu"))
    trainer.step()
    monkeypatch.setattr(sizes, "_gib", lambda size: f"{size} bytes")
    caplog.set_level("INFO", logger="quac")
    sizes.log_sizes(trainer, Plan(50, [10, 20, 30, 40, 50], [], run_options(keep_states=2)))
    state, checkpoint, total = (int(size) for size in re.findall(r"(\d+) bytes", caplog.text)[1:])
    assert checkpoint == bytes_in(trainer.checkpoint())
    assert state == pytest.approx(bytes_in(trainer.state()), rel=0.01)  # which also holds a few single numbers
    assert total == 5 * checkpoint + 3 * state


def bytes_in(value):
    if isinstance(value, torch.Tensor):
        return value.nbytes
    return sum(bytes_in(inner) for inner in value.values()) if isinstance(value, dict) else 0


def test_time_and_memory_are_estimated(monkeypatch, caplog):
    monkeypatch.setattr(sizes, "peak_memory_mb", lambda: 2**31 / 1e6)
    config = tiny_config(data={"batch_size": 8})
    caplog.set_level("INFO", logger="quac")
    sizes.log_eta(SimpleNamespace(steps_done=100, config=config, device=torch.device("cpu")), 1000, rate=2.0)
    assert "2.0 images/s: step 1000 in about 1 h 0 min; peak memory 2.00 GiB" in caplog.text
