"""A training as a run of wandb, and its results."""

import os
import shutil
from pathlib import Path

import wandb

from quac.system.console import log
from quac.system.errors import lines_of
from quac.system.files import read_json, write_json

# Seconds after which a server counts as unreachable: when a run begins, and when its last rows are uploaded.
BEGIN_SECONDS, FINISH_SECONDS = 15, 30


class WandbRun:
    """One run, by its id, however often the training is started. Credentials are wandb's own affair.

    Online, what is sent is uploaded at once, and the server knows what it has.
    Without credentials, or where the server does not answer, it is tracked
    offline until the next start.

    Offline, wandb's files are whole only once they are finished: a kill loses
    what it has not written yet. So what is sent is written when the run is
    closed, to a folder of its own; `wandb sync` puts those of one id together.

    `sent.json` knows the last step that was handed over, and a folder that a
    kill has left unfinished.
    """

    def __init__(self, settings, folder, run_id, config):
        """See `quac.training.tracking.base.open_tracker`."""
        self.settings, self.folder, self.run_id, self.config = settings, Path(folder), run_id, config
        self.folder.mkdir(parents=True, exist_ok=True)
        self.online, self.run, self.waiting = settings.mode == "online", None, []
        self.record = self.folder / "sent.json"
        self.sent = {"step": 0, "unfinished": None}
        if self.record.is_file():
            self.sent = read_json(self.record)
        self.last = self.sent["step"]

    def send(self, rows):
        """Rows (step, numbers, {name: path of a PNG file}), ascending; those that the run has are passed over."""
        if new := [row for row in rows if row[0] > self.last]:
            self.last = new[-1][0]
            self.waiting += new
            if self._is_online():
                self._log(self.waiting)
                self.waiting = []

    def close(self):
        if self.waiting:
            self._begin_offline()
        if self.run:
            self.run.finish()
            wandb.teardown()  # only then are its files whole
            self._save(self.last)

    def add_results(self, results):
        """Results, see `quac.report.tracker_results`: the rates as the run's summary, matrices as tables, the report
        as an artifact. No row of the history, so that a longer training can go on logging where it was."""
        if not self._is_online():
            self._begin_offline()
        self.run.summary.update(results.rates[results.step])
        for name, table in results.tables.items():
            columns = [table.index.name or "row", *map(str, table.columns)]
            numbers = [[None if value != value else value for value in row] for row in table.to_numpy().tolist()]
            rows = [[str(label), *row] for label, row in zip(table.index, numbers, strict=True)]
            self.run.summary[name] = wandb.Table(columns=columns, data=rows)
        report = wandb.Artifact(f"report-{self.run_id}", type="report")
        for path in results.files:
            report.add_file(str(path), name=path.name)
        self.run.log_artifact(report)

    def _log(self, rows):
        for step, numbers, images in rows:
            if step >= self.run.step:  # the server has the steps before
                pictures = {name: wandb.Image(str(path)) for name, path in images.items()}
                self.run.log({**numbers, **pictures}, step=step, commit=True)

    def _is_online(self):
        """Whether the run is online now; the first call begins it. One line says where it cannot be."""
        if self.online and self.run is None:
            try:
                wandb.setup(wandb.Settings(silent=True))
                if not wandb.login(prompt=False, verify=False):  # (init alone would ask whoever sits at the terminal)
                    raise ValueError("not logged in: `wandb login`")
                self._begin("online")
            except Exception as error:
                said = lines_of(error)[0]
                log.warning(
                    "wandb cannot be reached, tracking offline, for `wandb sync`, until the next start: %s", said
                )
                wandb.teardown()  # it takes the id for used
                self.online = False
        return self.online

    def _begin_offline(self):
        if self.sent["unfinished"]:
            shutil.rmtree(self.sent["unfinished"], ignore_errors=True)
        self._begin("offline")
        self._save(self.sent["step"], unfinished=self.run.settings.sync_dir)
        self._log(self.waiting)
        self.waiting = []

    def _begin(self, mode):
        # What is to be uploaded later is beside the run, not in the user's home.
        os.environ.setdefault("WANDB_DATA_DIR", str(self.folder.absolute()))
        self.run = wandb.init(
            project=self.settings.project,
            name=self.settings.name,
            notes=self.settings.notes,
            tags=self.settings.tags,
            mode=mode,
            dir=self.folder,
            id=self.run_id,
            resume="allow",
            config=self.config,
            settings=wandb.Settings(
                silent=True,
                console="off",
                x_disable_stats=True,
                disable_git=True,  # the address of a remote may hold a password
                disable_code=True,
                init_timeout=BEGIN_SECONDS,
                finish_timeout=FINISH_SECONDS,
                finish_timeout_raises=True,
            ),
        )

    def _save(self, step, unfinished=None):
        self.sent = {"step": step, "unfinished": unfinished}
        write_json(self.record, self.sent)
