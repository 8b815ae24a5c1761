import re
from types import SimpleNamespace

import pytest
import torch
from helpers.builders import make_store, tiny_config, training_settings
from torch.nn import functional as F

from quac.training import sizes as summary
from quac.training.loop import Trainer
from quac.training.sizes import FlopCounter


def test_operations_are_counted_also_of_a_gradient_penalty():
    x, w = torch.randn(2, 3, 8, 8, requires_grad=True), torch.randn(5, 3, 3, 3, requires_grad=True)
    forward = 2 * 2 * 5 * 8 * 8 * 3 * 9
    with FlopCounter() as counter:
        out = F.conv2d(x, w, padding=1)
    assert counter.total == forward
    with FlopCounter() as counter:
        (gradient,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
        gradient.square().sum().backward()
    assert counter.total >= 3 * forward
    with FlopCounter() as counter:
        torch.randn(4, 6) @ torch.randn(6, 5)
    assert counter.total == 2 * 4 * 6 * 5


def test_what_is_said_of_the_disk_is_what_is_saved(tmp_path, monkeypatch, caplog):
    trainer = Trainer(training_settings(tiny_config()), make_store(tmp_path, {"a": 2, "b": 2}), torch.device("cpu"))
    trainer.advance()
    monkeypatch.setattr(summary, "_gib", lambda size: f"{size} bytes")
    caplog.set_level("INFO", logger="quac")
    summary.describe(trainer, SimpleNamespace(end=50, steps=[10, 20, 30, 40, 50]), keep=2)
    state, checkpoint, total = (int(size) for size in re.findall(r"(\d+) bytes", caplog.text)[1:])
    assert checkpoint == bytes_in(trainer.checkpoint())
    assert state == pytest.approx(bytes_in(trainer.state()), rel=0.01)  # which holds some single numbers besides
    assert total == 5 * checkpoint + 3 * state


def bytes_in(value):
    if isinstance(value, torch.Tensor):
        return value.nbytes
    return sum(bytes_in(inner) for inner in value.values()) if isinstance(value, dict) else 0


def test_the_outlook_tells_time_and_memory(monkeypatch, caplog):
    monkeypatch.setattr(summary, "peak_memory_mb", lambda: 2**31 / 1e6)
    settings = SimpleNamespace(data=SimpleNamespace(batch_size=8))
    caplog.set_level("INFO", logger="quac")
    summary.outlook(SimpleNamespace(step=100, settings=settings, device=torch.device("cpu")), 1000, rate=2.0)
    assert "2.0 images/s: up to step 1000 in about 1 h 0 min; peak memory 2.00 GiB" in caplog.text
