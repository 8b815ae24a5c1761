"""Rows are read back from the files of wandb and tensorboard: every step once, whatever happened."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from helpers.builders import make_store, run_options, tiny_config, training_config
from helpers.wandb_file import OfflineRun
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer

from quac.models.starganv2.samples import GRIDS
from quac.system.files import read_json, write_json
from quac.training.loop import train
from quac.training.plan import Plan
from quac.training.state import StateFolder
from quac.training.tracking import tensorboard_run, wandb_run
from quac.training.tracking.base import BackgroundTracker, Tracker, add_results, open_tracker

BOTH = pytest.mark.parametrize("log_type", ["wandb", "tensorboard"])


@pytest.fixture(autouse=True)
def _no_account(tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    # Files of one second are ordered by a number, as text.
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(100))


def row(folder, step):
    path = folder / "grid.png"
    if not path.exists():
        Image.new("L", (4, 4)).save(path)
    return step, {"D/latent_real": step / 8}, {"samples": path}


def track(log_type, folder, logged=(1, 2), flushed=2, before=(), **log):
    """A session: steps logged before it, steps that it logs, and the step up to which a state is saved."""
    config = tiny_config(log_type=log_type, log={"mode": "offline", **log})
    tracker = open_tracker(config, folder / log_type, "abc")
    tracker.backfill(row(folder, step) for step in before)
    for step in logged:
        tracker.log(*row(folder, step))
    tracker.flush_until(flushed)
    tracker.close()
    return tracker


def numbers(log_type, folder):
    """{name: [(step, value)]} that a tracker's files hold."""
    found = {}
    if log_type == "wandb":
        for step, values in OfflineRun(folder / "wandb", "abc").history:
            for name, value in values.items():
                if isinstance(value, int | float) and not name.startswith(("_", "samples")):
                    found.setdefault(name, []).append((step, value))
        return found
    events = EventAccumulator(str(folder / "tensorboard/tensorboard")).Reload()
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}


def steps(log_type, folder):
    return [step for step, _ in numbers(log_type, folder).get("D/latent_real", [])]


@BOTH
def test_logged_rows_are_in_the_files(tmp_path, log_type):
    track(log_type, tmp_path)
    assert numbers(log_type, tmp_path) == {"D/latent_real": [(1, 0.125), (2, 0.25)]}


def test_wandb_shows_name_notes_tags_config_and_images_without_an_account(tmp_path):
    track("wandb", tmp_path, name="a run ü", notes="a note", tags=["a tag", "b"], project="mine")
    written = OfflineRun(tmp_path / "wandb", "abc")
    run = written.runs[0]
    assert (run.run_id, run.project, run.display_name) == ("abc", "mine", "a run ü")
    assert (run.notes, list(run.tags)) == ("a note", ["a tag", "b"])
    assert {item.key: item.value_json for item in run.config.update}["solver"].startswith('{"root_dir":"results/tiny"')
    image = written.history[0][1]["samples/path"]
    assert (written.files[0].parent / "files" / image).is_file()


def test_tensorboard_shows_name_notes_tags_config_and_images(tmp_path):
    track("tensorboard", tmp_path, name="a run ü", notes="a note", tags=["a tag", "b"])
    events = EventAccumulator(str(tmp_path / "tensorboard/tensorboard")).Reload()
    assert [image.step for image in events.Images("samples")] == [1, 2]
    texts = {name: events.Tensors(f"{name}/text_summary")[0].tensor_proto.string_val[0].decode() for name in TEXTS}
    assert [texts[name].strip() for name in TEXTS[:3]] == ["a run ü", "a note", "a tag, b"]
    assert "root_dir: results/tiny" in texts["config"]


TEXTS = ("name", "notes", "tags", "config")


def test_tensorboard_writes_to_the_configured_folder(tmp_path):
    track("tensorboard", tmp_path, log_dir=str(tmp_path / "my folder"), comment="-x")
    assert list((tmp_path / "my folder-x").glob("events.out.tfevents.*"))


@BOTH
def test_rows_after_the_last_state_are_held_back(tmp_path, log_type):
    track(log_type, tmp_path, logged=(1, 2, 3), flushed=2)
    assert steps(log_type, tmp_path) == [1, 2]
    track(log_type, tmp_path, before=(1, 2), logged=(3, 4), flushed=4)
    assert steps(log_type, tmp_path) == [1, 2, 3, 4]


@BOTH
def test_a_kill_between_the_state_and_the_tracker_leaves_no_gap(tmp_path, log_type):
    track(log_type, tmp_path, logged=(1,), flushed=1)
    track(log_type, tmp_path, before=(1, 2, 3), logged=(), flushed=3)
    assert steps(log_type, tmp_path) == [1, 2, 3]


@BOTH
@pytest.mark.parametrize("kept", [0, 1])
def test_a_kill_during_the_hand_over_repeats_nothing(tmp_path, monkeypatch, log_type, kept):
    if kept:
        track(log_type, tmp_path, logged=(1,), flushed=1)
    with monkeypatch.context() as patch:
        if log_type == "wandb":
            save = wandb_run.WandbRun._save
            patch.setattr(
                wandb_run.WandbRun,
                "_save",
                lambda run, step, unfinished=None: unfinished and save(run, step, unfinished),
            )
        else:
            patch.setattr(tensorboard_run, "write_json", lambda *_: None)
        track(log_type, tmp_path, logged=(2, 3), flushed=3)
    assert steps(log_type, tmp_path) == [1, 2, 3][1 - kept :]
    track(log_type, tmp_path, before=(1, 2, 3), logged=(4,), flushed=4)
    assert steps(log_type, tmp_path) == [1, 2, 3, 4]


@BOTH
def test_a_session_without_new_rows_adds_no_file(tmp_path, log_type):
    track(log_type, tmp_path)
    files = sorted(tmp_path.rglob("*"))
    track(log_type, tmp_path, before=(1, 2), logged=())
    assert sorted(tmp_path.rglob("*")) == files


@BOTH
def test_an_interrupted_and_resumed_training_is_one_run(tmp_path, log_type):
    config = tiny_config(log_type=log_type, log={"mode": "offline", "level": 2})
    store = make_store(tmp_path / "store", {"across": 6, "along": 4})
    options = run_options(log_every=1, state_every=3, state_minutes=60, level=2)
    plan = Plan(end=8, steps=[3, 8], evaluations=[2, 5, 8], options=options)
    folder = StateFolder(tmp_path)

    def session(fails_at):
        tracker = open_tracker(config, tmp_path / log_type, "abc")
        log = tracker.log

        def fail(step, *what):
            log(step, *what)
            if step == fails_at:
                raise RuntimeError

        tracker.log = fail
        try:
            arguments = training_config(), store, folder, plan, torch.device("cpu"), tracker
            train(
                *arguments,
                lambda: {"started": 0},
                evaluate=lambda *_: ({"rate_latent": 0.5}, {"rate_latent/a,b/ü": 0.25}),
            )
        finally:
            tracker.close()

    for step in (5, 8):  # of which no state is saved
        with pytest.raises(RuntimeError):
            session(fails_at=step)
        assert steps(log_type, tmp_path) == list(range(1, step // 3 * 3 + 1))
    session(fails_at=None)
    found, history = numbers(log_type, tmp_path), pd.read_csv(folder.history)
    assert found["rate_latent"] == [(step, 0.5) for step in (2, 5, 8)]
    assert found["rate_latent/a,b/ü"] == [(step, 0.25) for step in (2, 5, 8)]
    for name in history.columns.drop(["step", "rate_latent"]):
        assert [step for step, _ in found[name]] == list(range(1, 9))
        assert [value for _, value in found[name]] == pytest.approx(history[name].tolist(), rel=1e-5, abs=1e-6)
    if log_type == "wandb":
        written = OfflineRun(tmp_path / "wandb", "abc").history[-1][1]
        shown = {name.removesuffix("/path") for name in written if name.endswith("/path")}
    else:
        shown = set(EventAccumulator(str(tmp_path / "tensorboard/tensorboard")).Reload().Tags()["images"])
    assert shown == set(GRIDS)


@pytest.mark.parametrize(
    ("log_type", "mode"), [("none", "offline"), ("wandb", "disabled"), ("tensorboard", "disabled")]
)
def test_no_tracking_leaves_nothing(tmp_path, log_type, mode):
    assert type(track(log_type, tmp_path, mode=mode)) is Tracker
    assert not (tmp_path / log_type).exists()


@pytest.mark.parametrize("method", ["start", "send", "close"])
def test_a_tracker_that_fails_warns_once_and_stops(caplog, method):
    calls = []

    def work(name):
        def call(*_):
            calls.append(name)
            if name == method:
                raise RuntimeError("no server")

        return call

    def start():
        work("start")()
        return SimpleNamespace(send=work("send"), close=work("close"))

    tracker = BackgroundTracker("wandb", start)
    for step in (1, 2, 3):
        tracker.log(step, {}, {})
        tracker.flush_until(step)
    tracker.close()
    assert calls[-1] == method
    assert calls.count(method) == 1
    assert (
        caplog.text.count("wandb failed, training continues, and the next start sends what is missing: no server") == 1
    )


def test_an_unreachable_server_falls_back_to_offline(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setattr(wandb_run, "BEGIN_SECONDS", 1)
    monkeypatch.setattr(wandb_run.wandb, "login", lambda **_: True)
    wandb_run.wandb.teardown()
    track("wandb", tmp_path, mode="online")
    wandb_run.wandb.teardown()
    assert steps("wandb", tmp_path) == [1, 2]
    assert caplog.text.count("wandb cannot be reached, tracking offline") == 1
    holds_key = [path for path in tmp_path.rglob("*") if path.is_file() and b"0" * 40 in path.read_bytes()]
    assert holds_key == []


def test_there_is_no_login_prompt(tmp_path, monkeypatch, caplog):
    begin, modes = wandb_run.wandb.init, []
    monkeypatch.setattr(wandb_run.wandb, "login", lambda prompt, verify: prompt)  # False: not asked, not logged in
    monkeypatch.setattr(wandb_run.wandb, "init", lambda **given: modes.append(given["mode"]) or begin(**given))
    track("wandb", tmp_path, mode="online")
    assert modes == ["offline"]
    assert "not logged in: `wandb login`" in caplog.text
    assert steps("wandb", tmp_path) == [1, 2]


class Server:
    """An online run of wandb, of which the server has steps already."""

    def __init__(self, monkeypatch, has=0, finish=lambda: None):
        self.step, self.logged, self.finish = has + 1 if has else 0, [], finish
        monkeypatch.setattr(wandb_run.wandb, "login", lambda **_: True)
        monkeypatch.setattr(wandb_run.wandb, "init", lambda **given: self)

    def log(self, values, step, commit):
        self.logged.append(step)
        self.step = step + 1


def test_rows_that_the_server_has_are_not_sent_again(tmp_path, monkeypatch):
    server = Server(monkeypatch, has=2)
    track("wandb", tmp_path, mode="online", before=(1, 2, 3), logged=(4, 5), flushed=4)
    assert server.logged == [3, 4]
    server = Server(monkeypatch, has=4)
    track("wandb", tmp_path, mode="online", before=(1, 2, 3, 4), logged=(5,), flushed=5)
    assert server.logged == [5]


def test_an_upload_that_times_out_is_logged(tmp_path, monkeypatch, caplog):
    def finish():
        raise TimeoutError("30 seconds")

    Server(monkeypatch, finish=finish)
    track("wandb", tmp_path, mode="online")
    assert "the next start sends what is missing: 30 seconds" in caplog.text
    assert not (tmp_path / "wandb/sent.json").exists()


@pytest.fixture
def results(tmp_path):
    report, numbers = tmp_path / "a report ü.html", tmp_path / "a report ü.json"
    report.write_text("<html>")
    numbers.write_text("{}")
    matrix = pd.DataFrame({"a b": [None, 0.25], "ü": [0.5, None]}, index=pd.Index(["a b", "ü"], name="source"))
    rates = {1: {"translation_rate_latent/a b/ü": 0.5}, 2: {"translation_rate_latent/a b/ü": 0.75}}
    tables = {"test_latent_translation_rate": matrix.astype(float)}
    return SimpleNamespace(step=2, rates=rates, tables=tables, files=[report, numbers])


def add(log_type, folder, results):
    config = tiny_config(log_type=log_type, log={"mode": "offline"})
    return add_results(results, [row(folder, step) for step in (1, 2)], config, folder / log_type, "abc")


def test_results_go_to_the_run_of_wandb(tmp_path, results):
    track("wandb", tmp_path)
    for _ in range(2):
        assert add("wandb", tmp_path, results)
    track("wandb", tmp_path, before=(1, 2), logged=(3,), flushed=3)  # a longer training
    written = OfflineRun(tmp_path / "wandb", "abc")
    assert written.steps == [1, 2, 3]
    assert {run.run_id for run in written.runs} == {"abc"}
    assert written.summary["translation_rate_latent/a b/ü"] == 0.75
    table = written.files[1].parent / "files" / written.summary["test_latent_translation_rate"]["path"]
    assert read_json(table)["columns"] == ["source", "a b", "ü"]
    assert read_json(table)["data"] == [["a b", None, 0.5], ["ü", 0.25, None]]
    report = next(artifact for artifact in written.artifacts if artifact.type == "report")
    assert sorted(entry.path for entry in report.manifest.contents) == ["a report ü.html", "a report ü.json"]


def test_results_go_to_the_folder_of_tensorboard(tmp_path, results):
    track("tensorboard", tmp_path)
    for _ in range(2):
        assert add("tensorboard", tmp_path, results)
    track("tensorboard", tmp_path, before=(1, 2), logged=(3,), flushed=3)
    assert numbers("tensorboard", tmp_path) == {"D/latent_real": [(1, 0.125), (2, 0.25), (3, 0.375)]}
    events = EventAccumulator(str(tmp_path / "tensorboard/tensorboard/scores")).Reload()
    rates = [(event.step, event.value) for event in events.Scalars("translation_rate_latent/a b/ü")]
    assert rates == [(1, 0.5), (2, 0.75)]  # next to the evaluations of the same name, not among them
    text = events.Tensors("test_latent_translation_rate/text_summary")[0].tensor_proto.string_val[0].decode()
    assert text.splitlines()[2] == "| a b | nan | 0.5 |"


@BOTH
def test_a_training_that_was_not_tracked_is_backfilled(tmp_path, log_type, results):
    assert add(log_type, tmp_path, results)
    assert steps(log_type, tmp_path) == [1, 2]


def test_results_that_cannot_be_added_are_logged(tmp_path, results, monkeypatch, caplog):
    monkeypatch.setattr(wandb_run.wandb, "init", lambda **_: 1 / 0)
    assert not add("wandb", tmp_path, results)
    assert "wandb failed; the results were not added: division by zero" in caplog.text


def test_only_its_own_folder_is_removed(tmp_path):
    """`sent.json` of a results folder from elsewhere may name anything."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").touch()
    track("wandb", tmp_path, logged=(1,), flushed=1)
    record = next(tmp_path.rglob("sent.json"))
    (record.parent / "wandb/kept").mkdir(exist_ok=True)
    for name in (str(tmp_path / "mine"), "../../mine", str(record.parent / "wandb/kept"), 5):
        write_json(record, {"step": 1, "unfinished": name})
        track("wandb", tmp_path, before=(1,), logged=(2,), flushed=2)
        assert (tmp_path / "mine/thesis.tex").is_file()
        assert (record.parent / "wandb/kept").is_dir()
