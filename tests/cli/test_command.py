import errno
import signal
import subprocess
import sys

import pytest
from helpers.builders import command, tiny_config, write_images

from quac.cli import expanded
from quac.cli.command import stage
from quac.config.keys import key_text
from quac.config.stages import job_named
from quac.system.errors import QuacError
from quac.system.files import write_json


def quac(*arguments, **options):
    command = [sys.executable, "-m", "quac", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def write_key(folder, stage, **sections):
    path = folder / f"{stage}.json"
    path.write_text(key_text(tiny_config(**sections), job_named(stage), {}))
    return path


def test_a_stage_writes_its_file_and_its_log(tmp_path):
    write_images(tmp_path / "images", {"a": 2, "b": 2})
    key = write_key(tmp_path, "index_train", data={"source": str(tmp_path / "images")})
    done = quac(
        "index",
        "--key",
        key,
        "--split",
        "train",
        "--out",
        tmp_path / "train.parquet",
        "--log-file",
        tmp_path / "logs/index.log",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "train.parquet").is_file()
    assert "4 images of 2 classes" in done.stderr
    assert "4 images of 2 classes" in (tmp_path / "logs/index.log").read_text()


def test_an_error_is_one_message_on_the_screen_and_in_the_log(tmp_path):
    key = write_key(tmp_path, "index_train", data={"source": "nowhere"})
    done = quac(
        "index",
        "--key",
        key,
        "--split",
        "train",
        "--out",
        tmp_path / "train.parquet",
        "--log-file",
        tmp_path / "index.log",
    )
    message = "error: nowhere: does not exist; it must hold one folder of images per class"
    assert done.returncode == 1
    assert done.stderr.strip() == message
    assert message in (tmp_path / "index.log").read_text()
    assert not (tmp_path / "train.parquet").exists()


def test_a_damaged_key_file_is_named(tmp_path):
    (tmp_path / "key.json").write_text("{")
    done = quac("index", "--key", tmp_path / "key.json", "--split", "train", "--out", tmp_path / "train.parquet")
    assert done.returncode == 1
    assert "key.json: not a key file" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_finding_of_a_check_is_listed_and_nothing_is_written(tmp_path):
    write_images(tmp_path / "images", {"a": 2})
    (tmp_path / "images" / "a" / "torn.png").write_bytes(b"")
    key = write_key(tmp_path, "index_train", data={"source": str(tmp_path / "images")})
    quac("index", "--key", key, "--split", "train", "--out", tmp_path / "train.parquet")
    done = quac(
        *("check-splits", "--key", write_key(tmp_path, "checks", model={"num_domains": 2})),
        *("--index", tmp_path / "train.parquet", "--out", tmp_path / "findings.json"),
    )
    assert done.returncode == 1
    assert "error: the data has 3 error(s):" in done.stderr
    assert all(code in done.stderr for code in ("(one-class)", "(num-domains)", "(unreadable)"))
    assert not (tmp_path / "findings.json").exists()


class Stopped(Exception):
    signum = 15


@pytest.mark.parametrize(
    ("error", "status", "output"),
    [
        (QuacError("a.png: is torn"), 1, "error: a.png: is torn"),
        (OSError(errno.ENOSPC, "No space", "results/x"), 1, "error: results/x: no space left on the disk. Free some"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), 1, "error: x: permission denied. Make it accessible"),
        (FileNotFoundError(errno.ENOENT, "No such file", "x"), 1, "error: x: No such file"),
        (Stopped("stopped at step 5"), 143, "stopped at step 5"),
        (KeyboardInterrupt(), 130, "interrupted. Run the same command again."),
        (ZeroDivisionError("by zero"), 1, "error: unexpected ZeroDivisionError: by zero; please report it"),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA"), 1, "error: the GPU has too little memory. Training: "),
        (RuntimeError("CUDA error: out of memory"), 1, "error: the GPU has too little memory. Training: "),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when"), 1, "error: the GPU has too little memory. "),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't"), 1, "error: the machine has too little memory. "),
        (MemoryError(), 1, "error: the machine has too little memory. Training: "),
    ],
)
def test_errors_become_messages_and_statuses(tmp_path, capsys, error, status, output):
    def fail(log_file=None):
        raise error

    with pytest.raises(SystemExit) as ended:
        stage(fail)(log_file=tmp_path / "stage.log")
    shown = capsys.readouterr().err
    assert ended.value.code == status
    assert shown.startswith(output)
    assert len(shown.splitlines()) == 1
    assert "Traceback" not in shown
    assert ("Traceback" in (tmp_path / "stage.log").read_text()) == isinstance(error, ZeroDivisionError)


def test_the_command_line_starts_without_torch():
    code = "import sys, quac.cli; sys.exit(any(name in sys.modules for name in ('torch', 'pandas', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_quac_split_overwrites_nothing_and_skips_nothing(tmp_path):
    write_images(tmp_path / "images", {"a": 10, "b": 10})
    done = quac("split", tmp_path / "images", "--out", tmp_path / "lists", "--group-by", r"(\d+)")
    assert done.returncode == 0, done.stderr
    lists = {path.name: path.read_text() for path in (tmp_path / "lists").iterdir()}
    assert sorted(lists) == ["test.csv", "train.csv", "validation.csv"]
    assert sum(text.count(".png") for text in lists.values()) == 20
    again = quac("split", tmp_path / "lists/train.csv", "--out", tmp_path / "lists")
    assert again.returncode == 1
    assert "train.csv: exists already; remove it, or choose another folder" in again.stderr
    assert (tmp_path / "lists/train.csv").read_text() == lists["train.csv"]
    (tmp_path / "images/a/torn.png").write_bytes(b"x")
    torn = quac("split", tmp_path / "images", "--out", tmp_path / "other")
    assert "1 file(s) cannot be used\n  a/torn.png: is not an image" in torn.stderr
    no_groups = quac("split", tmp_path / "lists/train.csv", "--out", tmp_path / "other", "--group-column", "plate")
    assert "train.csv: has no column plate" in no_groups.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["--range", "5", "5"], "--range: the lowest value comes first"),
        (["--range", "nan", "1"], "--range: the lowest value comes first"),
        (
            ["--train", "0", "--validation", "0.5", "--test", "0.5"],
            "the shares of train and validation must be above 0",
        ),
        (["--train", "0.9"], "must be from 0 to 1 and sum to 1"),
    ],
)
def test_quac_split_names_wrong_options_before_it_reads_an_image(tmp_path, arguments, output):
    write_images(tmp_path / "images", {"a": 4, "b": 4})
    done = quac("split", tmp_path / "images", "--out", tmp_path / "lists", *arguments)
    assert done.returncode == 1
    assert output in done.stderr
    assert "indexing" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_ends_a_stage_with_a_message(tmp_path, name):
    """Also before its work begins, while torch is loaded."""
    code = """
import os, signal, sys
from quac.cli.command import guarded
@guarded
def work(log_file=None):
    print("working", flush=True)
    signal.pause()
work(log_file=sys.argv[1])
"""
    log = tmp_path / "stage.log"
    process = subprocess.Popen(
        [sys.executable, "-c", code, log], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "working\n"
    process.send_signal(signal.Signals[name])
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.Signals[name]
    assert errors == f"stopped by {name}. Run the same command again.\n"
    assert errors.strip() in log.read_text()


def test_messages_are_not_written_over_another_file(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("data: {source: x}")
    done = command("config", "show", path, "--log-file", tmp_path / "new/../a.yaml")
    assert done.status == 1
    assert "a.yaml is another file of this command; choose another name" in done.output
    assert path.read_text() == "data: {source: x}"


def test_long_lists_come_from_files(tmp_path):
    path = tmp_path / "quac-keys" / f"{'0' * 64}.json"
    write_json(path, ["--part", "a b", "--part", "@c"])
    words = ["--part", "a b", "--part", "@c"]
    assert expanded(["gather", f"@{path}", "--out", "@x/y.json"]) == ["gather", *words, "--out", "@x/y.json"]
