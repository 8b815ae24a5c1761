from types import SimpleNamespace

import torch
from torch.nn import functional as F

from quac.stargan import summary
from quac.stargan.summary import FlopCounter


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


def test_the_outlook_tells_time_and_memory(monkeypatch, caplog):
    monkeypatch.setattr(summary, "peak_memory_mb", lambda: 2**31 / 1e6)
    settings = SimpleNamespace(data=SimpleNamespace(batch_size=8))
    caplog.set_level("INFO", logger="quac")
    summary.outlook(SimpleNamespace(step=100, settings=settings, device=torch.device("cpu")), 1000, rate=2.0)
    assert "2.0 images/s: up to step 1000 in about 1 h 0 min; peak memory 2.00 GiB" in caplog.text
