"""Writing in the background, and on a full disk."""

import errno
import threading
import time

import pytest

from quac.training import background_writer as module
from quac.training.background_writer import Writer


@pytest.fixture(autouse=True)
def _short_retries(monkeypatch):
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)


def full_disk(times, done):
    """A job that finds the disk full so many times."""
    left = [times]

    def job():
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device", "state.pt")
        done.append("written")

    return job


def test_jobs_are_carried_out_in_the_background_in_order():
    go, done = threading.Event(), []
    with Writer() as writer:
        writer.submit(lambda: go.wait(10), lambda: done.append(1))
        assert done == []
        go.set()
        writer.submit(lambda: done.append(2))
    assert done == [1, 2]


def test_an_error_is_raised_by_the_next_submit_and_at_the_end():
    def fail():
        raise ValueError("odd")

    with Writer() as writer:
        writer.submit(fail)
        with pytest.raises(ValueError, match="odd"):
            writer.submit(lambda: None)
    with pytest.raises(ValueError, match="odd"), Writer() as writer:
        writer.submit(fail)


def test_waits_for_a_full_disk_with_one_warning(caplog):
    done = []
    with caplog.at_level("WARNING", "quac"), Writer() as writer:
        writer.submit(full_disk(3, done))
        writer.retry_when_full(full_disk(2, done))
    assert done == ["written", "written"]
    assert caplog.text.count("state.pt: no space left on the disk; waiting for room, nothing is lost") == 2


def test_stop_waiting_raises_the_error():
    with Writer() as writer:
        writer.submit(full_disk(10**9, []))
        time.sleep(0.05)
        writer.stop_waiting = True
        with pytest.raises(OSError, match="No space"):
            writer.wait()
