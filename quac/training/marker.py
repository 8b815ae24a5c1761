"""`trained.json`: the checkpoints of a training, and the inputs that they were trained from. (Starts without torch.)"""

import hashlib
from pathlib import Path
from typing import Any

from quac.system.errors import QuacError
from quac.system.files import file_sha256, link_or_copy, read_json


def read_marker(path: Path) -> dict[str, Any]:
    """The content of a `trained.json`; `inputs` is empty if version 1 wrote it. Raises QuacError if it is damaged."""
    try:
        marker = {"inputs": {}, **read_json(path)}
        if isinstance(marker["checkpoints"], dict) and isinstance(marker["inputs"], dict):
            return marker
    except (OSError, ValueError, LookupError, TypeError):
        pass
    raise QuacError(f"{path}: damaged. Delete it and run the workflow again: nothing is trained twice.")


def stale_keys(path: str, texts: dict[str, str], files: dict[str, str]) -> list[str]:
    """Which of the keys of a training have to be written again, so that it is carried out again.

    Where a training fails, Snakemake restores the marker of an earlier one with a new time, and takes it for current.

    Args:
        path: of the marker, which need not exist.
        texts: of the key files that it should be of, by the names of its inputs: `key`, `save_plan`.
        files: its other inputs, by their names: `index`, `classifier`. They need not exist.
    """
    if not Path(path).is_file():
        return []
    try:
        inputs = read_marker(Path(path))["inputs"]
    except QuacError:
        inputs = {}
    stale = [name for name, text in texts.items() if inputs.get(name) != hashlib.sha256(text.encode()).hexdigest()]
    changed = (Path(file).is_file() and inputs.get(name) != file_sha256(file) for name, file in files.items())
    return stale or (["key"] if any(changed) else [])


def publish(trained: Path, step: int, out: Path, key: Path, index: Path, classifier: Path | None = None) -> None:
    """Link the checkpoint of a step from the state folder to `out`; copy it if the file system has no links.

    Args:
        trained: the marker of the training, see `quac.training.run.run_training`.
        key, index, classifier: the current inputs of the training.

    Raises QuacError if the training had other inputs, or the checkpoint is not the one that was trained.
    """
    marker = read_marker(trained)
    paths = {"key": key, "index": index} | ({"classifier": classifier} if classifier else {})
    current = {name: file_sha256(path) for name, path in paths.items()}
    recorded = {name: digest for name, digest in marker["inputs"].items() if name != "save_plan"}
    if changed := sorted(name for name in current.keys() | recorded.keys() if current.get(name) != recorded.get(name)):
        raise QuacError(
            f"{trained}: the training had another {' and another '.join(changed)}, so its checkpoints are not of the "
            "current settings; run the workflow again"
        )
    if str(step) not in marker["checkpoints"]:
        raise QuacError(f"{trained}: the training saved no checkpoint of step {step}; run the workflow again")
    checkpoint = marker["checkpoints"][str(step)]
    source = Path(checkpoint["file"])
    if not source.is_file() or file_sha256(source) != checkpoint["sha256"]:
        source.unlink(missing_ok=True)  # so that training makes it again
        raise QuacError(f"{source}: damaged or lost; delete {trained} and run the workflow again")
    link_or_copy(source, out)
    out.touch()
