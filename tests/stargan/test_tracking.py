import pytest
from builders import tiny_config
from PIL import Image

from quac.stargan.tracking import Tracker, open_tracker


def track(log_type, folder, **log):
    Image.new("L", (4, 4)).save(folder / "grid.png")
    tracker = open_tracker(log_type, tiny_config(log=log).log, folder / log_type, "abc", {"seed": 0})
    tracker.log(1, {"D/latent_real": 0.5})
    tracker.image(1, "samples", folder / "grid.png")
    tracker.close()
    return tracker


def test_wandb_works_offline_without_an_account(tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    track("wandb", tmp_path, mode="offline")
    assert list(tmp_path.glob("wandb/wandb/offline-run-*-abc/run-abc.wandb"))


def test_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    track("tensorboard", tmp_path, mode="offline")
    events = EventAccumulator(str(tmp_path / "tensorboard" / "tensorboard")).Reload()
    assert events.Scalars("D/latent_real")[0].value == 0.5
    assert events.Images("samples")


@pytest.mark.parametrize(("log_type", "mode"), [("none", "offline"), ("wandb", "disabled")])
def test_no_tracking_leaves_nothing(tmp_path, log_type, mode):
    assert type(track(log_type, tmp_path, mode=mode).tracker) is Tracker
    assert not (tmp_path / log_type).exists()


@pytest.mark.parametrize("method", ["__init__", "log", "image", "close"])
def test_a_tracker_that_fails_does_not_stop_the_training(tmp_path, monkeypatch, caplog, method):
    calls = []

    def work(name):
        def call(*_):
            calls.append(name)
            if name == method:
                raise RuntimeError("no server")

        return call

    for name in ("__init__", "log", "image", "close"):
        monkeypatch.setattr(f"quac.stargan.tracking.WandbTracker.{name}", work(name))
    track("wandb", tmp_path, mode="online")
    assert calls[-1] == method  # and nothing after
    assert caplog.text.count("wandb failed, training goes on without it: no server") == 1
