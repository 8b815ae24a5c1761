"""What a training leaves on disk: whole states to continue from, checkpoints, history and image grids."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from quac.data.index import content_digest
from quac.models.starganv2.checkpoint import UNREADABLE
from quac.models.starganv2.samples import GRIDS
from quac.system.console import log
from quac.system.files import (
    PART,
    file_sha256,
    json_sha256,
    parts_below,
    read_json,
    remove_own,
    save_torch,
    whole,
    write_json,
    write_text,
)
from quac.training.history import History
from quac.training.tracking.base import Row


def state_id(key: dict[str, Any], index: pd.DataFrame, classifier: Path | None = None) -> str:
    """The name of the folder in which a training keeps its states: a digest of everything that it depends on.

    `key`: content of its key file; `index`: of the training split; `classifier`: file, for the classifier loss.
    """
    inputs = {name: key[name] for name in ("settings", "version", "files")} | {"data": content_digest(index)}
    if classifier:
        inputs["classifier"] = file_sha256(classifier)
    return json_sha256(inputs)[:16]


class StateFolder:
    """The folder of one training setting: whole states, which hold everything that the next step depends on
    (`state_<step>.pt`), `<step>_nets_ema.ckpt`, `history.csv`, `samples/`, `rates/`, `sessions.json`."""

    def __init__(self, path: Path, keep: int = 2):
        """`keep`: number of whole states that are kept, the newest ones."""
        self.path, self.keep = path, keep
        self.saved: list[int] = []  # steps of the whole states that this process has saved

    @property
    def history(self) -> Path:
        return self.path / "history.csv"

    def image(self, step: int, name: str) -> Path:
        """The image grid of a step: `samples` in `samples/`, others below it in `<name>/`."""
        return self.path / "samples" / ("" if name == "samples" else name) / f"{step:06d}.png"

    def samples(self, end: int) -> list[Path]:
        """The sample grids up to step `end`, ascending."""
        grids = sorted((self.path / "samples").glob("*.png"))
        return [path for path in grids if path.stem.isdecimal() and int(path.stem) <= end]

    def rates(self, step: int) -> Path:
        """The rates of the class pairs evaluated at a step, {name: number} as JSON."""
        return self.path / "rates" / f"{step:06d}.json"

    def logged(self, history: History, end: int) -> Iterator[Row]:
        """Rows (step, numbers, {name: path of a grid}) of a History up to step `end`, as a tracker takes them."""
        for step, numbers in history.numbers(end):
            images, rates = {name: self.image(step, name) for name in GRIDS}, self.rates(step)
            numbers |= read_json(rates, []) if rates.is_file() else {}
            yield step, numbers, {name: path for name, path in images.items() if path.is_file()}

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """Records of the processes that have trained here, oldest first: commit, versions, device, started, seconds."""
        path = self.path / "sessions.json"
        if not path.is_file():
            return []
        with whole(path):
            return [{**session, "started": session["started"]} for session in read_json(path)]

    def save_session(self, record: dict[str, Any]) -> None:
        """Add a session, or its newer record; one that was killed has the time up to its last state."""
        earlier = [session for session in self.sessions if session["started"] != record["started"]]
        write_json(self.path / "sessions.json", [*earlier, record])

    def checkpoint(self, step: int) -> Path:
        return self.path / f"{step:06d}_nets_ema.ckpt"

    def missing(self, steps: list[int]) -> list[int]:
        """Those of `steps` that have no checkpoint yet, or a damaged one."""
        return [step for step in steps if not _is_whole(self.checkpoint(step))]

    def digest(self, step: int) -> str:
        """SHA-256 (hex) of the checkpoint of a step, as it was written."""
        return _recorded(self.checkpoint(step))

    def save_checkpoint(self, step: int, content: dict[str, Any]) -> None:
        """Write {network: state_dict, "quac": CheckpointInfo as a dict}, in host memory."""
        _save(self.checkpoint(step), content)

    def save_state(self, state: dict[str, Any]) -> None:
        """Write a whole state (with its `step`, in host memory), then remove older ones."""
        step = state["step"]
        _save(self._state(step), state)
        # Keep the newest: where a training goes back for a lost checkpoint, they are its own. And keep the highest
        # step, so that going back costs no progress. Not by their times: a clock may be set back.
        self.saved = [*(other for other in self.saved if other != step), step]
        in_order = [*(other for other in self._steps() if other not in self.saved), *self.saved]
        for old in set(in_order[: -self.keep]) - {self.newest_step()}:
            for path in (_digest_file(self._state(old)), self._state(old)):
                remove_own(path, self.path, r"state_\d+\.(pt|sha256)")

    def load_states(self, at_most: int) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The whole states up to step `at_most`, the newest first. Skips damaged ones with a warning."""
        for step in reversed([step for step in self._steps() if step <= at_most]):
            path = self._state(step)
            with suppress(*UNREADABLE):
                if _is_whole(path):
                    yield path, torch.load(path, map_location="cpu", weights_only=True)
                    continue
            log.warning("%s is damaged; continuing from the state before it", path)

    def newest_step(self) -> int:
        """The highest step that has a whole state, or 0."""
        return max(self._steps(), default=0)

    def _state(self, step: int) -> Path:
        return self.path / f"state_{step:06d}.pt"

    def _steps(self) -> list[int]:
        names = (re.fullmatch(r"state_(\d+)\.pt", file.name) for file in self.path.glob("state_*.pt"))
        return sorted(int(name[1]) for name in names if name)


def host_copy(value: Any) -> Any:
    """Copies in host memory of the tensors in nested dicts and lists: to read a file of them needs no GPU."""
    if isinstance(value, torch.Tensor):
        copy = torch.empty(value.shape, dtype=value.dtype)  # contiguous in any memory layout
        return copy.copy_(value.detach())
    if isinstance(value, dict):
        return {name: host_copy(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [host_copy(inner) for inner in value]
    return value


def _save(path: Path, value: Any) -> None:
    """Write a value and then its digest: a file without a digest is not complete."""
    remove_own(_digest_file(path), path.parent, r"\w+\.sha256")
    save_torch(path, value)
    write_text(_digest_file(path), file_sha256(path))


def _digest_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _is_whole(path: Path) -> bool:
    """Whether a file has the digest that was written after it."""
    return path.is_file() and _digest_file(path).is_file() and _recorded(path) == file_sha256(path)


def _recorded(path: Path) -> str:
    return _digest_file(path).read_bytes().decode(errors="replace").strip()


def remove_remains(folder: Path) -> None:
    """Remove what kills have left of files that were being written, from the locked folder of a training."""
    for path in parts_below(folder):
        remove_own(path, folder, f"(.*/)?{PART}")
