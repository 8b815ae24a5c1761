"""`trained.json`: the checkpoints of a training, and the inputs that they were trained from. (Starts without torch.)"""

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from quac.system.errors import QuacError
from quac.system.files import DAMAGED, file_sha256, link_or_copy, read_json, remove_own

STATE = "[0-9a-f]{16}"  # name of the folder of a training's states, see `quac.training.state.state_id`
CHECKPOINT = r"\d{6,}_nets_ema\.(ckpt|sha256)"


def read_marker(path: Path) -> dict[str, Any]:
    """The content of a `trained.json`; `inputs` is empty if version 1 wrote it. Raises QuacError if it is damaged."""
    try:
        marker = {"inputs": {}, **read_json(path)}
        for checkpoint in marker["checkpoints"].values():
            checkpoint_file(path, checkpoint)
        if isinstance(marker["inputs"], dict):
            return marker
    except (OSError, QuacError, *DAMAGED):
        pass
    raise QuacError(f"{path}: damaged. Delete it and run the workflow again: nothing is trained twice.")


def checkpoint_file(path: Path, checkpoint: dict[str, str]) -> Path:
    """Where a checkpoint of the marker `path` lies: below `state`, next to it.

    Only names are believed, since the folder may have been moved, or be from elsewhere. Raises an error of any type if
    they are not ours.
    """
    folder, name = Path(checkpoint["file"]).parent.name, Path(checkpoint["file"]).name
    if not (re.fullmatch(STATE, folder) and re.fullmatch(CHECKPOINT, name) and len(checkpoint["sha256"])):
        raise ValueError(checkpoint)
    return path.parent / "state" / folder / name


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
    source = checkpoint_file(trained, checkpoint)
    if not _is_whole(source, checkpoint, file_sha256):
        # So that training makes it again. Without the marker, it is carried out.
        remove_own(source, trained.parent, f"state/{STATE}/{CHECKPOINT}")
        remove_own(trained, trained.parent, re.escape(trained.name))
        raise QuacError(f"{source}: damaged or lost. Run the workflow again: the training makes it anew.")
    link_or_copy(source, out)
    out.touch()


def damaged_checkpoints(
    trained: Path, published: Callable[[int], Path], digest: Callable[[Path], str]
) -> tuple[list[int], list[int]]:
    """The steps whose checkpoint has to be trained again, and those for which it has to be published again.

    Args:
        trained: the marker, which need not exist.
        published: step -> where it is published. A file that is not there is made when it is needed.
        digest: file -> SHA-256 (hex).
    """
    lost, changed = list[int](), list[int]()
    if trained.is_file():
        with suppress(QuacError):  # a damaged marker is made anew, see `stale_keys`
            for step, checkpoint in read_marker(trained)["checkpoints"].items():
                path = published(int(step))
                if path.is_file() and not _is_whole(path, checkpoint, digest):
                    changed.append(int(step))
                    if not _is_whole(checkpoint_file(trained, checkpoint), checkpoint, digest):
                        lost.append(int(step))
    return lost, changed


def _is_whole(path: Path, checkpoint: dict[str, str], digest: Callable[[Path], str]) -> bool:
    return path.is_file() and digest(path) == checkpoint["sha256"]
