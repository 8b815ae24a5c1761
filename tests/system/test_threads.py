import logging

import pytest

from quac.system import threads
from quac.system.threads import LoadFollower, default_threads, limit_spinning, usable_cores


@pytest.fixture
def machine(monkeypatch):
    """A machine whose clock and load are set by the test: `tick(others, own)`, in cores, for ten seconds."""
    state = {"time": 0.0, "busy": 100.0, "own": 50.0}
    monkeypatch.setattr(threads.time, "monotonic", lambda: state["time"])
    monkeypatch.setattr(threads, "_usage", lambda: (state["busy"], state["own"]))

    def tick(others, own, seconds=10):
        state["time"] += seconds
        state["own"] += own * seconds
        state["busy"] += (own + others) * seconds

    return tick


@pytest.mark.parametrize(("others", "expected"), [(0.0, 4), (0.3, 4), (0.6, 3), (1.0, 3), (2.4, 2), (3.9, 1), (8.0, 1)])
def test_threads_are_the_cores_that_others_leave_free(machine, others, expected):
    follower = LoadFollower(4)
    machine(others, own=4 - others / 2)
    assert follower.update() == expected


def test_threads_come_back_when_the_machine_is_idle(machine, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("quac"), "propagate", True)
    caplog.set_level(logging.INFO, "quac")
    follower = LoadFollower(2)
    machine(1.0, own=1)
    assert follower.update() == 1
    machine(1.0, own=1)
    assert follower.update() == 1
    machine(0.0, own=1)
    assert follower.update() == 2
    assert [record.message for record in caplog.records] == [
        "other programs keep 1.0 cores busy: computing with 1 thread(s)",
        "other programs keep 0.0 cores busy: computing with 2 thread(s)",
    ]


def test_the_load_is_not_checked_in_every_step(machine):
    follower = LoadFollower(2)
    machine(1.0, own=1, seconds=1)
    assert follower.update() == 2


def test_the_threads_stay_if_the_load_is_unknown(machine, monkeypatch):
    follower = LoadFollower(2)
    machine(1.0, own=1)
    monkeypatch.setattr(threads, "_usage", lambda: None)
    assert follower.update() == 2


def test_the_usage_of_this_process_is_seen():
    before = threads._usage()
    end = threads.time.perf_counter() + 0.3
    while threads.time.perf_counter() < end:
        pass
    after = threads._usage()
    if before is not None:
        assert after[1] - before[1] >= 0.05
        assert after[0] > before[0]


@pytest.mark.parametrize(("limit", "most"), [("1", 1), ("", None), ("0", None), ("x", None), ("4096", None)])
def test_omp_num_threads_limits_the_threads(monkeypatch, limit, most):
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert default_threads() == (most or usable_cores())


def test_a_spin_count_of_the_user_is_left_alone(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    limit_spinning()
    assert threads.os.environ["GOMP_SPINCOUNT"] == "7"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    limit_spinning()
    assert threads.os.environ["GOMP_SPINCOUNT"] == threads.SPIN_COUNT
