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
    assert type(track(log_type, tmp_path, mode=mode)) is Tracker
    assert not (tmp_path / log_type).exists()


def test_a_tracker_that_cannot_start_does_not_stop_the_training(tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("no server")

    monkeypatch.setattr("quac.stargan.tracking.WandbTracker.__init__", fail)
    assert type(track("wandb", tmp_path, mode="online")) is Tracker
    assert "wandb could not be started, training goes on without it: no server" in caplog.text
