"""Training states that nothing uses any more. (Starts without torch.)"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quac.system.console import log
from quac.system.errors import QuacError
from quac.system.files import PART, read_json, remove_own
from quac.system.lock import is_training
from quac.training.marker import STATE, read_marker

CURRENT = "current.json"  # next to the folders of states: which one was trained last
# What a training writes into its folder of states. A folder that holds anything else is not deleted.
_CONTENT = re.compile(
    r"state_\d+\.(pt|sha256)|\d+_nets_ema\.(ckpt|sha256)|history\.csv|samples|rates|(settings|sessions)\.json|lock|wandb"
    rf"|tensorboard|{PART}"
)


@dataclass(frozen=True)
class StaleState:
    """A folder of training states.

    Attributes:
        size: in bytes, without files that are published.
        step: the last one.
        differences: settings that differ from those of the last training.
    """

    path: Path
    size: int
    step: int
    differences: list[str]

    def __str__(self) -> str:
        reason = f"differs in {', '.join(self.differences)}" if self.differences else "other images or classifier"
        return f"{self.path}: {self.size / 1e6:.1f} MB, up to step {self.step}, {reason}"

    def remove(self) -> None:
        remove_own(self.path, self.path.parent, STATE)


def stale_states(root: Path) -> list[StaleState]:
    """The folders of states of a run that belong neither to its last training nor to its results.

    Raises QuacError if `root` is not the folder of a run that has started to train.
    """
    states, trained = root / "training/state", root / "training/trained.json"
    if not (states / CURRENT).is_file():
        raise QuacError(
            f"{states / CURRENT}: file not found. Is {root} the folder of a run (solver.root_dir, or with `runs` a "
            "folder in it), and has it started to train?"
        )
    current = str(read_json(states / CURRENT, ["training"])["training"])
    checkpoints = read_marker(trained)["checkpoints"].values() if trained.is_file() else []
    used = {current, *(Path(checkpoint["file"]).parent.name for checkpoint in checkpoints)}
    folders = [path for path in sorted(states.glob("*")) if path.is_dir() and path.name not in used]
    ours = [path for path in folders if _is_ours(path) and not is_training(path)]
    return [_describe(path, _settings(states / current)) for path in ours]


def _is_ours(path: Path) -> bool:
    """Whether a folder is one of states, and nothing else. Logs a warning if not."""
    others = [entry.name for entry in path.iterdir() if not _CONTENT.fullmatch(entry.name)]
    if not path.is_symlink() and re.fullmatch(STATE, path.name) and not others:
        return True
    what = "a link" if path.is_symlink() else f"holds {others[0]}" if others else "is not named as one"
    log.warning("%s: not a folder of training states (%s); it is left alone", path, what)
    return False


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / "settings.json"
    return read_json(path, []) if path.is_file() else {}


def _describe(path: Path, settings: dict[str, Any]) -> StaleState:
    steps = [int(name[1]) for file in path.iterdir() if (name := re.match(r"(?:state_)?(\d+)[._]", file.name))]
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and file.stat().st_nlink == 1)
    return StaleState(path, size, max(steps, default=0), sorted(_differences(_settings(path), settings)))


def _differences(first: Any, second: Any, name: str = "") -> Iterator[str]:
    if isinstance(first, dict) and isinstance(second, dict):
        for part in first.keys() | second.keys():
            yield from _differences(first.get(part), second.get(part), f"{name}.{part}" if name else part)
    elif first != second:
        yield name
