"""A run of wandb for a training, and for its results."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import wandb

from quac.config import Config
from quac.system.console import log
from quac.system.errors import error_lines
from quac.system.files import read_json, remove_own, write_json
from quac.training.tracking.base import Results, Row

# Seconds after which a server counts as unreachable: when a run begins, and when its last rows are uploaded.
BEGIN_SECONDS, FINISH_SECONDS = 15, 30


class WandbRun:
    """One run, by its id, however often the training is started. wandb manages the credentials.

    Online, rows are uploaded at once, and the server knows which it has. Without credentials, or if the server does not
    respond, the run is tracked offline until the next start.

    Offline, wandb's files are complete only once they are finished: a kill loses what has not been written yet. So rows
    are written when the run is closed, to a separate folder; `wandb sync` joins the folders of one id.

    `sent.json` holds the last step that was handed over, and a folder that a kill has left unfinished.
    """

    def __init__(self, config: Config, folder: Path, run_id: str):
        """See `quac.training.tracking.base.open_tracker`."""
        self.config, self.folder, self.run_id, self.record = config, folder, run_id, folder / "sent.json"
        folder.mkdir(parents=True, exist_ok=True)
        self.online, self.waiting = config.log.mode == "online", list[Row]()
        self.run: wandb.Run | None = None
        initial: dict[str, Any] = {"step": 0, "unfinished": None}
        self.sent = read_json(self.record, initial) if self.record.is_file() else initial
        self.last = self.sent["step"]

    def send(self, rows: list[Row]) -> None:
        """Log rows, ascending; skips those that the run has."""
        if new := [row for row in rows if row[0] > self.last]:
            self.last = new[-1][0]
            self.waiting += new
            if run := self._online_run():
                self._log_waiting(run)

    def close(self) -> None:
        if self.waiting:
            self._begin_offline()
        if self.run:
            self.run.finish()
            wandb.teardown()  # only then are its files whole
            self._save(self.last)

    def add_results(self, results: Results) -> None:
        """Add results: rates to the summary of the run, matrices as tables, the report as an artifact.

        They are not a row of the history, so that a longer training can continue logging where it was.
        """
        run = self._online_run() or self._begin_offline()
        run.summary.update(results.rates[results.step])
        for name, table in results.tables.items():
            columns: list[str | int] = [str(table.index.name or "row"), *map(str, table.columns)]
            numbers = [[None if value != value else value for value in row] for row in table.to_numpy().tolist()]
            rows: list[Iterable[Any]] = [[str(label), *row] for label, row in zip(table.index, numbers, strict=True)]
            run.summary[name] = wandb.Table(columns=columns, data=rows)
        report = wandb.Artifact(f"report-{self.run_id}", type="report")
        for path in results.files:
            report.add_file(str(path), name=path.name)
        run.log_artifact(report)

    def _log_waiting(self, run: wandb.Run) -> None:
        for step, numbers, images in self.waiting:
            if step >= run.step:  # the server has the steps before
                pictures = {name: wandb.Image(str(path)) for name, path in images.items()}
                run.log({**numbers, **pictures}, step=step, commit=True)
        self.waiting = []

    def _online_run(self) -> wandb.Run | None:
        """The run if it is online; the first call starts it, and logs a warning if it cannot be online."""
        if self.online and self.run is None:
            try:
                wandb.setup(wandb.Settings(silent=True))
                if not wandb.login(prompt=False, verify=False):  # init alone would prompt
                    raise ValueError("not logged in: `wandb login`")
                self.run = self._begin("online")
            except Exception as error:
                consequence = "tracking offline, for `wandb sync`, until the next start"
                log.warning("wandb cannot be reached, %s: %s", consequence, error_lines(error)[0])
                wandb.teardown()  # else it considers the id used
                self.online = False
        return self.run if self.online else None

    def _begin_offline(self) -> wandb.Run:
        if self.sent["unfinished"]:  # only its name is believed: the folder may have been moved, or be from elsewhere
            name = Path(str(self.sent["unfinished"])).name
            form = rf"wandb/offline-run-\d+_\d+-{re.escape(self.run_id)}(-\d+)?"  # numbered within a second
            remove_own(self.folder / "wandb" / name, self.folder, form)
        self.run = self._begin("offline")
        self._save(self.sent["step"], unfinished=self.run.settings.sync_dir)
        self._log_waiting(self.run)
        return self.run

    def _begin(self, mode: Literal["online", "offline"]) -> wandb.Run:
        # Files that are uploaded later lie next to the run, not in the user's home.
        os.environ.setdefault("WANDB_DATA_DIR", str(self.folder.absolute()))
        limits = {"init_timeout": BEGIN_SECONDS, "finish_timeout": FINISH_SECONDS, "finish_timeout_raises": True}
        # Without git, because the address of a remote may hold a password.
        quiet = {"silent": True, "console": "off", "x_disable_stats": True, "disable_git": True, "disable_code": True}
        names = self.config.log.model_dump(include={"project", "name", "notes", "tags"})
        place: dict[str, Any] = {"dir": self.folder, "id": self.run_id, "resume": "allow", "mode": mode}
        settings = wandb.Settings(**limits, **quiet)
        return wandb.init(**names, **place, config=self.config.model_dump(), settings=settings)

    def _save(self, step: int, unfinished: str | None = None) -> None:
        self.sent = {"step": step, "unfinished": unfinished}
        write_json(self.record, self.sent)
