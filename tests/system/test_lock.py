import errno
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading

import pytest

from quac.system.lock import is_training, only_trainer

HOLDER = """
import signal, sys, time
from pathlib import Path
from quac.system.lock import only_trainer

asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
with only_trainer(Path(sys.argv[1])):
    print("holding", flush=True)
    while not asked:
        time.sleep(0.01)
    (Path(sys.argv[1]) / "saved").touch()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), tmp_path / "state", "quac"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "holding\n"
    yield process
    process.kill()
    process.wait()


def test_another_trainer_on_this_machine_is_stopped_after_saving(holder, tmp_path, caplog):
    caplog.set_level("INFO", logger="quac")
    with only_trainer(tmp_path / "state"):
        assert (tmp_path / "state" / "saved").exists()
    assert f"process {holder.pid} is training in" in caplog.text


def test_a_killed_trainer_holds_nothing(holder, tmp_path, caplog):
    holder.kill()
    holder.wait()
    with only_trainer(tmp_path / "state"):
        assert "is training in" not in caplog.text


@pytest.mark.parametrize("error", [ProcessLookupError, PermissionError])
def test_a_trainer_that_cannot_be_signalled_is_waited_for(holder, tmp_path, monkeypatch, caplog, error):
    """It has just ended, or is another user's."""
    from quac.system import lock

    def refuse(*_):
        raise error

    monkeypatch.setattr(lock.os, "kill", refuse)
    caplog.set_level("INFO", logger="quac")
    about = {"host": lock.socket.gethostname(), "pid": holder.pid, "process": lock._identity(holder.pid)}
    lock._request_stop(about, tmp_path)
    assert "waiting until it stops" in caplog.text


@pytest.mark.parametrize("differs", ["boot", "namespace", "start", "command", "host", "pid", "all"])
def test_another_process_of_the_same_number_is_not_signalled(holder, tmp_path, monkeypatch, differs):
    """Process numbers are used again, and in a container they are others."""
    from quac.system import lock

    killed = []
    monkeypatch.setattr(lock.os, "kill", lambda *args: killed.append(args))
    about = json.loads((tmp_path / "state/lock").read_text())
    assert about == {"host": lock.socket.gethostname(), "pid": holder.pid, "process": lock._identity(holder.pid)}
    lock._request_stop(about, tmp_path)
    assert killed == [(holder.pid, signal.SIGTERM)]
    parts = ["boot", "namespace", "start", "command"]
    if differs in parts:
        about["process"][parts.index(differs)] = "another"
    else:
        about |= {"host": {"host": "elsewhere"}, "pid": {"pid": -1}, "all": {"host": None, "pid": None}}[differs]
    lock._request_stop(about, tmp_path)
    lock._request_stop({**about, "process": None}, tmp_path)  # of an earlier version
    assert len(killed) == 1


@pytest.fixture(params=[errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP], ids=errno.errorcode.get)
def without_locks(request, monkeypatch):
    """Lustre, NFS without lockd."""

    def refuse(*_):
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr("fcntl.flock", refuse)


def test_a_file_system_without_locks_gives_a_warning(without_locks, tmp_path, caplog):
    state = tmp_path / "state"
    with only_trainer(state):
        assert "this file system has no locks" in caplog.text
        assert json.loads((state / "lock").read_text())["pid"] == os.getpid()
    assert not is_training(state)
    for host, training in (("elsewhere", True), (socket.gethostname(), False)):
        (state / "lock").write_text(json.dumps({"host": host, "pid": 2**30}))
        assert is_training(state) == training
        with only_trainer(state):  # it may have been killed long ago: nobody could tell
            pass
        assert not is_training(state)


def test_without_locks_another_trainer_on_this_machine_is_stopped(holder, without_locks, tmp_path):
    assert is_training(tmp_path / "state")
    threading.Thread(target=holder.wait).start()  # so that it does not stay a zombie
    with only_trainer(tmp_path / "state"):
        assert (tmp_path / "state" / "saved").exists()


def test_another_error_of_a_lock_is_not_hidden(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("fcntl.flock", fail)
    with pytest.raises(OSError, match="Input/output error"), only_trainer(tmp_path / "state"):
        pass


def test_a_lock_is_seen_by_others(holder, tmp_path):
    assert is_training(tmp_path / "state")
    holder.kill()
    holder.wait()
    assert not is_training(tmp_path / "state")
    assert not is_training(tmp_path)
