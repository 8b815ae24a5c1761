"""Event files of tensorboard for a training, and for its results."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from quac.config import Config
from quac.system.files import read_json, remove_own, write_json, yaml_text
from quac.training.tracking.base import Results, Row

RESULTS = "scores"  # folder of their event file
EVENTS = "events.out.tfevents."  # how tensorboard's files begin


class TensorboardRun:
    """A folder, to which each start adds an event file.

    `sent.json` holds the last step that was written and flushed. Anything later, left by a kill, is purged by the next
    start, which writes it again.
    """

    def __init__(self, config: Config, folder: Path):
        """See `quac.training.tracking.base.open_tracker`."""
        self.config, self.record = config, folder / "sent.json"
        self.writer: SummaryWriter | None = None
        self.logs = Path(f"{config.log.log_dir or folder / 'tensorboard'}{config.log.comment}")
        self.last = read_json(self.record, ["step"])["step"] if self.record.is_file() else 0

    def send(self, rows: list[Row]) -> None:
        """Log rows, ascending; skips those that were written."""
        for step, numbers, images in [row for row in rows if row[0] > self.last]:
            writer = self.writer = self.writer or self._start()
            for name, value in numbers.items():
                writer.add_scalar(name, value, step)
            for name, path in images.items():
                pixels = np.asarray(Image.open(path).convert("RGB"))
                writer.add_image(name, pixels, step, dataformats="HWC")
            self.last = step
        if self.writer:
            self.writer.flush()
            write_json(self.record, {"step": self.last})

    def close(self) -> None:
        if self.writer:
            self.writer.close()

    def add_results(self, results: Results) -> None:
        """Add results: rates at the steps of their checkpoints, matrices as text.

        They replace earlier ones. Tensorboard draws them as a second line next to the evaluations of the same names.
        """
        before = list((self.logs / RESULTS).glob(f"{EVENTS}*"))
        with SummaryWriter(str(self.logs / RESULTS)) as writer:
            for step, rates in results.rates.items():
                for name, value in rates.items():
                    writer.add_scalar(name, value, step)
            for name, table in results.tables.items():
                writer.add_text(name, _markdown(table), results.step)
            writer.add_text("report", "\n\n".join(str(path.absolute()) for path in results.files), results.step)
        for path in before:
            remove_own(path, self.logs, rf"{RESULTS}/{re.escape(EVENTS)}.*")

    def _start(self) -> SummaryWriter:
        """Start an event file after the last step, with name, notes, tags and config of the run."""
        writer = SummaryWriter(str(self.logs), purge_step=self.last + 1)
        settings = self.config.log
        texts = {"name": settings.name, "notes": settings.notes, "tags": ", ".join(settings.tags)}
        texts["config"] = yaml_text(self.config.model_dump())
        for name, text in texts.items():
            writer.add_text(name, "\n".join(f"    {line}" for line in text.splitlines()), self.last)
        return writer


def _markdown(table: pd.DataFrame) -> str:
    rows = [[str(table.index.name or ""), *map(str, table.columns)], ["---"] * (1 + len(table.columns))]
    rows += [[str(label), *(f"{v:.4g}" for v in row)] for label, row in zip(table.index, table.to_numpy(), strict=True)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
