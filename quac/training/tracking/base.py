"""Logging of losses and image grids to a tracker. Training neither waits for it nor depends on it."""

import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import pandas as pd

from quac.config import Config
from quac.system.console import log
from quac.system.errors import error_lines
from quac.system.files import json_sha256

CLOSE_SECONDS = 600  # the trackers' own limits are shorter; this is for one that hangs

Row = tuple[int, dict[str, float], dict[str, Path]]  # step, numbers by name, paths of PNG files by name


@dataclass(frozen=True)
class Results:
    """The results of a run.

    Attributes:
        step: of the selected checkpoint.
        rates: of every checkpoint on validation, {step: {name: rate}}, ascending, by such names as
            `translation_rate_latent/<source>/<target>`, and `translation_rate_latent` for the mean over the class
            pairs.
        tables: the matrices of the selected checkpoint, {`<split>_<kind>_<metric>`: DataFrame}.
        files: paths of the report, and of the numbers behind it.
    """

    step: int
    rates: dict[int, dict[str, float]]
    tables: dict[str, pd.DataFrame]
    files: list[Path]


class TrackerRun(Protocol):
    """A run of a tracker."""

    def send(self, rows: list[Row]) -> None:
        """Log rows, ascending; skips those that the run has."""

    def add_results(self, results: Results) -> None:
        """Add the results of a run; they replace earlier ones."""

    def close(self) -> None:
        """Wait until everything is written."""


def id_of(training: str, root: str) -> str:
    """The id of a tracker's run: one training in two folders, of runs that are judged differently, is two runs.

    Args:
        training: see `quac.training.state.state_id`.
        root: the run's `solver.root_dir`.
    """
    return json_sha256([training, root])[:16]


def open_tracker(config: Config, folder: Path, run_id: str) -> "Tracker":
    """The tracker of a whole config, which it shows.

    Args:
        folder: for the tracker's own files.
        run_id: keeps a resumed training one run, see `id_of`.
    """
    return (
        BackgroundTracker(config.log_type, partial(open_run, config, folder, run_id))
        if config.is_tracked
        else Tracker()
    )


def open_run(config: Config, folder: Path, run_id: str) -> TrackerRun:
    """A run of wandb or tensorboard, whose errors are raised; see `open_tracker`."""
    if config.log_type == "wandb":
        from quac.training.tracking.wandb_run import WandbRun

        return WandbRun(config, folder, run_id)
    from quac.training.tracking.tensorboard_run import TensorboardRun

    return TensorboardRun(config, folder)


def add_results(results: Results, rows: Iterable[Row], config: Config, folder: Path, run_id: str) -> bool:
    """Add results to the tracker's run of a training; returns whether that worked. Logs a warning if not.

    Args:
        rows: of the whole training, which may have been tracked by another tracker, or by none.
        config, folder, run_id: see `open_tracker`.
    """
    try:
        run = open_run(config, folder, run_id)
        run.send(list(rows))
        run.add_results(results)
        run.close()
    except Exception as error:
        log.warning("%s failed; the results were not added: %s", config.log_type, "\n".join(error_lines(error)))
        return False
    return True


class Tracker:
    """Tracks nothing."""

    def backfill(self, rows: Iterable[Row]) -> None:
        """Add the rows of the training so far: a kill may have come before some were handed over."""

    def log(self, step: int, numbers: dict[str, float], images: dict[str, Path]) -> None:
        """Log numbers by name, and PNG files by name, at a step."""

    def flush_until(self, step: int) -> None:
        """Hand over what was logged up to a step: its whole state is on disk, so it will not be trained again."""

    def close(self) -> None:
        """Wait until everything that was flushed has been handed over; drop the rest."""


class BackgroundTracker(Tracker):
    """Hands rows over to a tracker's run, in a background thread.

    Rows are held back until they are flushed: so what a kill makes train twice is handed over once. The first failure,
    of any kind, ends the tracking until the next start, with a warning.
    """

    def __init__(self, name: str, start: Callable[[], TrackerRun]):
        """`start()` opens the run."""
        self.name, self.start = name, start
        self.inbox: queue.SimpleQueue[list[Row] | Row | int | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._guarded, daemon=True)
        self.thread.start()

    def backfill(self, rows: Iterable[Row]) -> None:
        self.inbox.put(list(rows))

    def log(self, step: int, numbers: dict[str, float], images: dict[str, Path]) -> None:
        self.inbox.put((step, numbers, images))

    def flush_until(self, step: int) -> None:
        self.inbox.put(step)

    def close(self) -> None:
        self.inbox.put(None)
        self.thread.join(CLOSE_SECONDS)
        if self.thread.is_alive():
            log.warning("%s does not respond; the next start sends what is missing", self.name)

    def _guarded(self) -> None:
        try:
            self._hand_over()
        except Exception as error:
            consequence = "training continues, and the next start sends what is missing"
            log.warning("%s failed, %s: %s", self.name, consequence, "\n".join(error_lines(error)))

    def _hand_over(self) -> None:
        run, held = self.start(), list[Row]()
        while (item := self.inbox.get()) is not None:
            if isinstance(item, list):
                run.send(item)
            elif isinstance(item, tuple):
                held.append(item)
            else:
                run.send([row for row in held if row[0] <= item])
                held = [row for row in held if row[0] > item]
        run.close()
