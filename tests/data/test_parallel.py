import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quac.data.parallel import map_processes
from quac.system.errors import QuacError


def square(number):
    time.sleep(0.001 * (number % 3))
    if number == 31:
        raise QuacError("31: is odd")
    return number**2, os.getpid()


def kill_itself(number):
    os.kill(os.getpid(), signal.SIGKILL)


def test_results_come_in_order_from_several_processes():
    results = list(map_processes(square, range(30), 3, chunk=2))
    assert [value for value, _ in results] == [number**2 for number in range(30)]
    assert os.getpid() not in {process for _, process in results}
    for workers in (0, 1):
        assert {process for _, process in map_processes(square, range(30), workers)} == {os.getpid()}


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_an_error_in_a_worker_is_raised_in_the_parent(workers):
    with pytest.raises(QuacError, match="31: is odd"):
        list(map_processes(square, range(40), workers))


def test_a_killed_worker_is_reported():
    with pytest.raises(QuacError, match=r"was killed, .* lower data\.num_workers"):
        list(map_processes(kill_itself, range(4), 2))


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
def test_workers_die_with_their_parent(tmp_path):
    program = (
        "import os, pathlib, sys, time\n"
        "from quac.data.parallel import map_processes\n"
        "def work(number):\n"
        "    pathlib.Path(sys.argv[1], str(os.getpid())).touch()\n"
        "    time.sleep(60)\n"
        "list(map_processes(work, range(4), 2))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, tmp_path])
    end = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    while any(map(alive, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(alive, workers))


def alive(process):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False
