"""A training as event files of tensorboard, and its results."""

from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from quac.system.files import read_json, write_json

RESULTS = "scores"  # folder of the event file that holds them


class TensorboardRun:
    """One folder, to which each start adds an event file.

    `sent.json` knows the last step that was written and flushed. What a kill
    has left beyond it is purged by the next start, which writes it again.
    """

    def __init__(self, settings, folder, config):
        """See `quac.training.tracking.base.open_tracker`."""
        self.settings, self.config, self.writer = settings, config, None
        self.logs = Path(f"{settings.log_dir or Path(folder) / 'tensorboard'}{settings.comment}")
        self.record = Path(folder) / "sent.json"
        self.last = read_json(self.record)["step"] if self.record.is_file() else 0

    def send(self, rows):
        """Rows (step, numbers, {name: path of a PNG file}), ascending; those that were written are passed over."""
        for step, numbers, images in [row for row in rows if row[0] > self.last]:
            if self.writer is None:
                self.writer = SummaryWriter(str(self.logs), purge_step=self.last + 1)
                self._describe(self.last)
            for name, value in numbers.items():
                self.writer.add_scalar(name, value, step)
            for name, path in images.items():
                pixels = np.asarray(Image.open(path).convert("RGB"))
                self.writer.add_image(name, pixels, step, dataformats="HWC")
            self.last = step
        if self.writer:
            self.writer.flush()
            write_json(self.record, {"step": self.last})

    def close(self):
        if self.writer:
            self.writer.close()

    def add_results(self, results):
        """Results, see `quac.report.tracker_results`: the rates at the steps of their checkpoints, matrices as text.
        They replace those before. Tensorboard draws them as a second line beside the looks of the same names."""
        before = list((self.logs / RESULTS).glob("events.out.tfevents.*"))
        with SummaryWriter(str(self.logs / RESULTS)) as writer:
            for step, rates in results.rates.items():
                for name, value in rates.items():
                    writer.add_scalar(name, value, step)
            for name, table in results.tables.items():
                writer.add_text(name, _markdown(table), results.step)
            writer.add_text("report", "\n\n".join(str(path.absolute()) for path in results.files), results.step)
        for path in before:
            path.unlink()

    def _describe(self, step):
        """What the session that goes on from a step is."""
        settings = self.settings
        described = {"name": settings.name, "notes": settings.notes, "tags": ", ".join(settings.tags)}
        described["config"] = yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True)
        for name, text in described.items():
            self.writer.add_text(name, "\n".join(f"    {line}" for line in text.splitlines()), step)


def _markdown(table):
    rows = [[table.index.name or "", *map(str, table.columns)], ["---"] * (1 + len(table.columns))]
    rows += [[str(label), *(f"{v:.4g}" for v in row)] for label, row in zip(table.index, table.to_numpy(), strict=True)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
