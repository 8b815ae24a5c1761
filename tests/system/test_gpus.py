"""Processes on a machine with several GPUs. (The machine of the tests has none; they are simulated.)"""

import subprocess
import sys
import tempfile

import pytest
import torch

from quac.system import gpus

STAGE = """
import os, sys, torch
from quac.system.device import choose_device
torch.cuda._device_count_nvml = lambda: 2
choose_device("auto", 1)
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A function that claims one of three GPUs as another process would, and returns it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "_device_count_nvml", lambda: 3)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(gpus, "_claimed", [])
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # so that it is as it was in the end

    def take(visible=None):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        gpus.claim_gpu()
        return gpus.os.environ.get("CUDA_VISIBLE_DEVICES")

    return take


def test_each_process_claims_another_gpu_and_further_ones_share_evenly(machine):
    assert [machine() for _ in range(7)] == ["0", "1", "2", "0", "1", "2", "0"]
    gpus._claimed[4].close()
    assert machine() == "1"
    for number in (0, 1, 3, 4, 6, 7):  # all but those of the third GPU
        gpus._claimed[number].close()
    assert [machine() for _ in range(4)] == ["0", "1", "0", "1"]


def test_only_visible_gpus_are_claimed(machine):
    assert [machine("GPU-5, GPU-7,GPU-9") for _ in range(4)] == ["GPU-5", "GPU-7", "GPU-9", "GPU-5"]
    assert machine("4,0,1,7") == "4"  # three of them are there


@pytest.mark.parametrize(("count", "begun"), [(1, False), (0, False), (-1, False), (3, True)])
def test_without_a_choice_nothing_is_claimed(machine, monkeypatch, count, begun):
    monkeypatch.setattr(torch.cuda, "_device_count_nvml", lambda: count)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: begun)
    assert machine() is None
    assert gpus._claimed == []


def test_an_unusable_lock_folder_is_only_a_warning(machine, tmp_path, caplog):
    folder = tmp_path / f"quac-gpus-{gpus.os.getuid()}"
    folder.write_text("a file")
    assert machine() is None
    assert f"{folder}: file exists; using the first of 3 GPUs" in caplog.text
    folder.unlink()
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    assert machine() is None
    assert f"{folder}: belongs to another user; using the first of 3 GPUs" in caplog.text
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_killed_stage_releases_its_gpu(tmp_path):
    def start():
        environment = {**gpus.os.environ, "TMPDIR": str(tmp_path)}
        environment.pop("CUDA_VISIBLE_DEVICES", None)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": environment, "text": True}
        process = subprocess.Popen([sys.executable, "-c", STAGE], **pipes)
        return process, process.stdout.readline().strip()

    (first, of_first), (second, of_second) = start(), start()
    assert (of_first, of_second) == ("0", "1")
    first.kill()
    first.wait()
    third, of_third = start()
    assert of_third == "0"
    for process in (second, third):
        process.communicate()
