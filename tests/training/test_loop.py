"""The loop: resume is start, and gives the same weights bit for bit."""

import errno
import os
import signal
import time

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.builders import make_store, run_options, training_config
from PIL import Image

from quac.data.batches import to_pixels
from quac.models.starganv2.checkpoint import open_checkpoint
from quac.models.starganv2.networks import AVERAGED
from quac.models.starganv2.samples import GRIDS
from quac.system.errors import QuacError
from quac.system.files import file_sha256, read_json
from quac.training.history import History
from quac.training.loop import Stopped, train
from quac.training.plan import Plan
from quac.training.state import StateFolder
from quac.training.trainer import Trainer

CPU = torch.device("cpu")
THROUGHPUT = ["images_per_second", "waiting_share"]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


class Recorder:
    """A tracker that remembers, and may do something at a step."""

    def __init__(self, at=None, action=None):
        self.backfilled, self.steps, self.flushed, self.images = [], [], [], {}
        self.at, self.action = at, action

    def backfill(self, rows):
        self.backfilled = [step for step, *_ in rows]

    def log(self, step, numbers, images):
        assert all(path.is_file() for path in images.values())
        self.steps.append(step)
        self.images[step] = set(images)
        if step == self.at:
            self.action()

    def flush_until(self, step):
        self.flushed.append(step)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store"), {"across": 6, "along": 4})


LOSS = {"lambda_ds": 1.0, "ds_iter": 6}
CONFIG = training_config(loss=LOSS)


def run(
    path,
    store,
    end=8,
    steps=(3, 6, 8),
    config=CONFIG,
    device="cpu",
    tracker=None,
    evaluate=None,
    evaluations=(),
    **options,
):
    path.mkdir(exist_ok=True)
    options = run_options(**{"log_every": 2, "state_every": 2, "state_minutes": 60, **options})
    folder, plan = StateFolder(path), Plan(end, [step for step in steps if step <= end], evaluations, options)
    session = {"started": str(len(folder.sessions))}
    tracker = tracker or Recorder()
    train(config, store, folder, plan, torch.device(device), tracker, lambda: session, evaluate=evaluate)
    return folder


def weights(folder, step=8):
    return folder.checkpoint(step).read_bytes()


@pytest.fixture(scope="module")
def undisturbed(store, tmp_path_factory):
    return run(tmp_path_factory.mktemp("undisturbed"), store)


def test_the_files_of_a_training(undisturbed):
    assert undisturbed.missing([3, 6, 8]) == []
    history = pd.read_csv(undisturbed.history)
    assert history["step"].tolist() == [2, 3, 4, 6, 8]
    terms = {"D": ("real", "fake", "reg"), "G": ("adv", "sty", "cyc", "ds")}
    names = [
        f"{network}/{kind}_{term}" for network in terms for kind in ("latent", "reference") for term in terms[network]
    ]
    assert list(history) == ["step", *THROUGHPUT, *names]
    grid = np.asarray(Image.open(undisturbed.image(8, "samples")))
    assert grid.shape[:2] == (8 * 33 + 1, 5 * 33 + 1)  # 8 queries; the query and 2 classes x 2 styles


def test_training_changes_the_networks(undisturbed):
    assert weights(undisturbed, 3) != weights(undisturbed, 6)


@pytest.mark.parametrize("device", DEVICES)
def test_each_device_trains_and_resumes_alike(store, tmp_path, undisturbed, device):
    run(tmp_path / "state", store, end=3, device=device)
    folder = run(tmp_path / "state", store, device=device)
    ours, theirs = (torch.load(f.checkpoint(3), weights_only=True)["generator"] for f in (folder, undisturbed))
    for name, value in ours.items():
        assert value.device == CPU
        torch.testing.assert_close(value, theirs[name], rtol=0.05, atol=0.01)
    assert folder.missing([3, 6, 8]) == []


@pytest.mark.parametrize("level", [0, 1, 2])
def test_the_log_level_decides_which_grids_are_kept(store, tmp_path, undisturbed, level):
    tracker = Recorder()
    folder = run(tmp_path / "state", store, end=3, tracker=tracker, level=level)
    kept = GRIDS[: (0, 1, len(GRIDS))[level]]
    assert tracker.images == {step: set(kept) for step in (2, 3)}
    found = set((folder.path / "samples").rglob("*.png"))
    assert found == {folder.image(step, name) for step in (2, 3) for name in kept}
    assert weights(folder, 3) == weights(undisturbed, 3)
    for name in kept[1:]:
        assert np.asarray(Image.open(folder.image(3, name))).shape[:2] == (34, 4 * 33 + 1)  # a batch of 4 in a row


def test_the_grids_of_a_step_are_of_its_batch(store):
    trainer = Trainer(CONFIG, store, CPU)
    trainer.step()
    grids, batch = trainer.grids(2), trainer.batches[0]
    for name, images in (("x_real", batch.x_real), ("x_reference", batch.x_ref)):
        np.testing.assert_array_equal(grids[name][1:33, 1:33, 0], to_pixels(images, 2, -1)[0, 0])
    assert (grids["fake_x_latent"] != grids["ema_fake_x_latent"]).any()
    assert (grids["fake_x_latent"] != grids["fake_x_reference"]).any()


def test_evaluations_are_in_the_row_of_their_step(store, tmp_path, undisturbed):
    seen, logged = [], {}

    def evaluate(averages, stopped=None):
        seen.append(averages["generator"].from_rgb.weight.detach().clone())
        return {"translation_rate_latent": len(seen) / 4}, {"translation_rate_latent/a,b/ü": len(seen) / 8}

    tracker = Recorder()
    tracker.log = lambda step, numbers, _: logged.update({step: numbers})
    folder = run(tmp_path / "state", store, tracker=tracker, evaluate=evaluate, evaluations=[3, 5])
    history = pd.read_csv(folder.history).set_index("step")["translation_rate_latent"].dropna()
    assert history.to_dict() == {3: 0.25, 5: 0.5}  # of which 5 is neither logged nor saved otherwise
    ours = torch.load(folder.checkpoint(3), weights_only=True)["generator"]["from_rgb.weight"]
    assert torch.equal(seen[0], ours)
    assert weights(folder) == weights(undisturbed)
    both = {"translation_rate_latent": 0.5, "translation_rate_latent/a,b/ü": 0.25}
    assert {name: value for name, value in logged[5].items() if name in both} == both
    # A tracker that starts later gets the same.
    later = {step: numbers for step, numbers, _ in folder.logged(History(folder.history), 8)}
    assert later == {step: pytest.approx(numbers) for step, numbers in logged.items()}


def test_an_evaluation_that_a_stop_left_out_is_made_up_for(store, tmp_path):
    def evaluate(averages, stopped=None):
        rate = float(averages["generator"].from_rgb.weight.mean())
        return {"translation_rate_latent": rate}, {"translation_rate_latent/a,b/ü": rate}

    plan = {"evaluate": evaluate, "evaluations": [3, 6]}
    whole = run(tmp_path / "whole", store, **plan)
    with pytest.raises(Stopped, match="step 3"):
        run(tmp_path / "stopped", store, tracker=Recorder(2, lambda: signal.raise_signal(signal.SIGTERM)), **plan)
    stopped = run(tmp_path / "stopped", store, **plan)
    ours, theirs = (pd.read_csv(folder.history).drop(columns=[*THROUGHPUT]) for folder in (stopped, whole))
    pd.testing.assert_frame_equal(ours[list(theirs)], theirs)
    assert read_json(stopped.rates(3)) == read_json(whole.rates(3))


def test_a_signal_ends_an_evaluation_which_the_next_start_makes_up_for(store, tmp_path):
    """The training stops at this very step, with its state; the last evaluation is carried to its end."""
    asked = []

    def evaluate(averages, stopped):
        step = len(asked)
        if signals and step == 0:
            asked.append(stopped())
            signal.raise_signal(signal.SIGINT)
            asked.append(stopped())
            return {}, {}
        asked.append(stopped())
        rate = float(averages["generator"].from_rgb.weight.mean())
        return {"translation_rate_latent": rate}, {"translation_rate_latent/a,b/ü": rate}

    plan, signals = {"evaluate": evaluate, "evaluations": [3, 6, 8]}, False
    whole = run(tmp_path / "whole", store, **plan)
    signals = True
    asked.clear()
    with pytest.raises(Stopped, match="step 3"):
        run(tmp_path / "stopped", store, **plan)
    assert asked == [False, True]
    stopped = run(tmp_path / "stopped", store, **plan)
    ours, theirs = (pd.read_csv(folder.history).drop(columns=[*THROUGHPUT]) for folder in (stopped, whole))
    pd.testing.assert_frame_equal(ours[list(theirs)], theirs)
    assert weights(stopped) == weights(whole)


def test_a_tracker_is_flushed_up_to_states_that_are_on_disk(store, tmp_path):
    class Checking(Recorder):
        def flush_until(self, step):
            super().flush_until(step)
            assert StateFolder(tmp_path).newest_step() == step

    tracker = Checking()
    run(tmp_path, store, tracker=tracker)
    assert tracker.flushed == [2, 4, 6, 8]
    assert tracker.backfilled == []
    run(tmp_path, store, end=10, steps=(3, 6, 8, 10), tracker=(later := Checking()))
    assert (later.backfilled, later.steps, later.flushed) == ([2, 3, 4, 6, 8], [10], [10])


def test_resuming_gives_the_same_weights_and_history(store, tmp_path, undisturbed):
    for end in (3, 5, 8):
        folder = run(tmp_path / "state", store, end)
    assert weights(folder) == weights(undisturbed)
    ours, theirs = (pd.read_csv(f.history).drop(columns=THROUGHPUT) for f in (folder, undisturbed))
    pd.testing.assert_frame_equal(ours, theirs)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_saves_and_stops(store, tmp_path, undisturbed, signum):
    tracker = Recorder(at=4, action=lambda: os.kill(os.getpid(), signum))
    before = signal.getsignal(signum)
    with pytest.raises(Stopped) as stopped:
        run(tmp_path / "state", store, tracker=tracker, state_every=100)
    assert stopped.value.signum == signum
    assert signal.getsignal(signum) is before
    assert StateFolder(tmp_path / "state").newest_step() in (4, 5)
    assert weights(run(tmp_path / "state", store)) == weights(undisturbed)


def test_a_second_signal_does_not_interrupt_the_last_state(store, tmp_path, undisturbed, monkeypatch):
    write = StateFolder.save_state

    def slowly(folder, state):
        os.kill(os.getpid(), signal.SIGTERM)  # as it comes again from an impatient sender
        time.sleep(0.5)
        write(folder, state)

    monkeypatch.setattr(StateFolder, "save_state", slowly)
    tracker = Recorder(at=4, action=lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Stopped):
        run(tmp_path / "state", store, tracker=tracker, state_every=100)
    assert StateFolder(tmp_path / "state").newest_step() in (4, 5)


def test_a_stop_ends_the_wait_for_room_on_a_full_disk(store, tmp_path, monkeypatch):
    def full(folder, state):
        os.kill(os.getpid(), signal.SIGTERM)
        raise OSError(errno.ENOSPC, "No space left on device", "state.pt")

    monkeypatch.setattr(StateFolder, "save_state", full)
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path / "state", store, state_every=100)


def fail():
    raise RuntimeError


def test_an_error_at_any_point_loses_nothing(store, tmp_path, undisturbed):
    for at in (2, 4, 6):
        with pytest.raises(RuntimeError):
            run(tmp_path / "state", store, tracker=Recorder(at, fail))
    folder = run(tmp_path / "state", store)
    assert weights(folder) == weights(undisturbed)
    assert pd.read_csv(folder.history)["step"].tolist() == [2, 3, 4, 6, 8]


def test_states_are_saved_by_the_clock_too(store, tmp_path):
    with pytest.raises(RuntimeError):
        run(tmp_path / "state", store, tracker=Recorder(6, fail), state_every=100, state_minutes=1e-9)
    assert StateFolder(tmp_path / "state").newest_step() == 5


def test_keep_states_decides_how_many_are_kept(store, tmp_path):
    folder = StateFolder(tmp_path, keep=3)
    for step in (10, 20, 30, 40):
        folder.save_state({"step": step})
    assert sorted(file.name for file in tmp_path.glob("*.pt")) == [f"state_0000{n}.pt" for n in (20, 30, 40)]


def test_gradient_accumulation_changes_only_the_rounding(store, tmp_path, undisturbed):
    folder = run(tmp_path / "state", store, end=3, accumulate=2)
    ours, theirs = (torch.load(f.checkpoint(3), weights_only=True) for f in (folder, undisturbed))
    for network in AVERAGED:
        for name, value in ours[network].items():
            torch.testing.assert_close(value, theirs[network][name], rtol=0.01, atol=0.003)


def test_a_finished_training_does_nothing(store, undisturbed):
    tracker = Recorder()
    run(undisturbed.path, store, tracker=tracker)
    assert tracker.steps == []
    assert tracker.backfilled == [2, 3, 4, 6, 8]  # a kill may have come before they were handed over


def test_a_longer_training_continues(store, tmp_path, undisturbed):
    short = run(tmp_path / "state", store, end=6, steps=(3, 6))
    tracker = Recorder()
    assert weights(run(short.path, store, tracker=tracker)) == weights(undisturbed)
    assert tracker.steps == [8]


def test_a_lost_checkpoint_is_made_again(store, tmp_path, undisturbed):
    folder = run(tmp_path / "state", store)
    for step in (3, 8):
        folder.checkpoint(step).unlink()
    run(folder.path, store)
    assert weights(folder, 3) == weights(undisturbed, 3)
    assert weights(folder, 8) == weights(undisturbed, 8)


def test_checkpoints_at_other_steps_are_made_from_the_states_there_are(store, tmp_path, undisturbed):
    folder = run(tmp_path / "state", store, end=6, steps=(6,))
    tracker = Recorder()
    run(folder.path, store, end=6, steps=(4, 6), tracker=tracker)
    assert tracker.steps == [6]  # from the state of step 4
    assert folder.missing([4, 6]) == []
    assert weights(folder, 6) == weights(undisturbed, 6)


def test_going_back_leaves_the_checkpoints_that_there_are(store, tmp_path):
    """On a GPU they would not be the same to the last bit, and they are published."""
    folder = run(tmp_path / "state", store, end=6, steps=(6,))
    folder.checkpoint(6).write_bytes(b"published")
    folder.checkpoint(6).with_suffix(".sha256").write_text(file_sha256(folder.checkpoint(6)))
    run(folder.path, store, end=6, steps=(4, 6))
    assert folder.missing([4, 6]) == []
    assert folder.checkpoint(6).read_bytes() == b"published"
    run(folder.path, store, end=8, steps=(2, 4, 6, 8))
    assert folder.missing([2, 4, 6, 8]) == []
    assert folder.checkpoint(6).read_bytes() == b"published"


@pytest.mark.parametrize(
    "changes", [{"networks": {}}, {"optimizers": {}}, {"sums": torch.zeros(1)}, {"precision": None}]
)
def test_a_state_of_another_version_counts_as_damaged(store, tmp_path, undisturbed, caplog, changes):
    folder = run(tmp_path / "state", store, end=3)
    _, state = next(folder.load_states(3))
    state |= changes
    if "precision" in changes:
        del state["precision"]
    folder.save_state(state)
    folder.checkpoint(3).write_bytes(b"damaged")
    run(folder.path, store, end=3)
    assert "state_000003.pt is not of this version" in caplog.text
    assert weights(folder, 3) == weights(undisturbed, 3)


def test_going_back_and_forth_loses_neither_states_nor_history(store, tmp_path):
    folder = run(tmp_path / "state", store)
    before = pd.read_csv(folder.history).set_index("step").drop(columns=THROUGHPUT)
    run(folder.path, store, end=5, steps=(3, 5))
    assert next(folder.load_states(8))[1]["step"] == 8
    tracker = Recorder()
    run(folder.path, store, tracker=tracker)
    assert tracker.steps == []
    after = pd.read_csv(folder.history).set_index("step").drop(columns=THROUGHPUT)
    assert after.index.tolist() == [2, 3, 4, 5, 6, 8]
    pd.testing.assert_frame_equal(after.drop(index=5), before)
    assert len(folder.sessions) == 2  # the third found everything done


def test_a_damaged_state_gives_the_same_weights(store, tmp_path, undisturbed):
    folder = run(tmp_path / "state", store, end=6)
    (folder.path / "state_000006.pt").write_bytes(b"torn")
    assert weights(run(folder.path, store)) == weights(undisturbed)


def test_the_seed_decides(store, tmp_path, undisturbed):
    other = training_config(loss=LOSS, run={"seed": 1})
    assert weights(run(tmp_path / "state", store, config=other)) != weights(undisturbed)


def test_divergence_keeps_the_last_good_state(store, tmp_path):
    folder = run(tmp_path / "state", store, end=4)
    broken = Trainer(CONFIG, store, CPU)
    broken.restore(next(folder.load_states(4))[1])
    broken.networks["generator"].from_rgb.weight.data[0] = float("nan")
    state = broken.state() | {"step": 4}
    folder.save_state(state)
    message = r"diverged at step 5: not finite: .*G/latent_adv.*the weights of the generator(.|\n)*across-0\d\.png"
    with pytest.raises(QuacError, match=message):
        run(folder.path, store)
    assert folder.newest_step() == 4


def test_the_average_of_a_state_is_what_is_published(store, undisturbed):
    trainer = Trainer(CONFIG, store, CPU)
    trainer.restore(next(undisturbed.load_states(8))[1])
    content = torch.load(undisturbed.checkpoint(8), weights_only=True)
    for name in AVERAGED:
        for key, value in content[name].items():
            assert torch.equal(trainer.averages[name].state_dict()[key], value)


def test_a_checkpoint_describes_itself(store, undisturbed):
    info, networks = open_checkpoint(undisturbed.checkpoint(6), CPU)
    assert info.step == 6
    assert info.classes == store.classes
    assert info.model.model_dump(exclude={"num_domains"}) == vars(CONFIG.model)
    assert (info.scale, info.shift, info.channels) == (2.0, -1.0, 1)
    assert (info.preprocess, info.load_size, info.img_size) == ("resize", 32, 32)
    assert sorted(networks) == sorted(AVERAGED)
