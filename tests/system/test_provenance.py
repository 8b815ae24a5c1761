import re
import shutil
import subprocess
import sys

from helpers.builders import ROOT

from quac.system.files import json_sha256, write_json
from quac.system.provenance import Provenance


def test_a_record_states_what_made_a_result(tmp_path):
    write_json(tmp_path / "key.json", {"a": 1})
    record = Provenance("train", tmp_path / "key.json").record(device="cpu")
    assert record["keys"] == [json_sha256({"a": 1})]
    assert record["device"] == "cpu"
    assert {"python", "torch", "pandas"} <= set(record["versions"])
    assert record["seconds"] >= 0
    assert record["peak_memory_mb"] > 1


def test_the_commit_is_that_of_the_package_and_of_no_other_repository(tmp_path):
    """Installed in an environment inside somebody's own repository, the package must not claim that one's commit."""
    shutil.copytree(ROOT / "quac", tmp_path / "quac", ignore=shutil.ignore_patterns("__pycache__"))
    ask = [sys.executable, "-c", "from quac.system.provenance import commit; print(commit())"]

    def git(*words):
        options = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", *options, *words], cwd=tmp_path, check=True, capture_output=True)

    def commit():
        return subprocess.run(ask, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    git("init")
    git("commit", "--allow-empty", "-m", "of somebody else")
    assert commit() == "None"
    git("add", "quac")
    git("commit", "-m", "the package")
    assert re.fullmatch("[0-9a-f]{40}", commit())
    with open(tmp_path / "quac" / "system" / "errors.py", "a") as file:
        file.write("# changed\n")
    assert re.fullmatch(r"[0-9a-f]{40}\+changes", commit())
