"""The training history: a CSV file with one row per logged step."""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from quac.system.files import whole, write_text


class History:
    """Rows of numbers by column name, ascending by `step`, the first column.

    A step that is logged again (training continued from a state before it) replaces its row. A row that was torn by a
    kill is dropped. Raises QuacError if the file is damaged in another way.
    """

    def __init__(self, path: Path):
        self.path = path
        self.header: str | None = None
        self.rows: dict[int, str] = {}  # by step
        if path.is_file():
            with whole(path):
                header, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True) or [""]
                if header.endswith("\n"):
                    self.header = header
                kept = [row for row in rows if row.endswith("\n") and row.count(",") == header.count(",")]
                self.rows = {int(row.split(",")[0]): row for row in kept}
                list(self.numbers(max(self.rows, default=0)))  # each is one
            if len(kept) < len(rows):
                self._write()

    def append(self, row: Mapping[str, float]) -> None:
        """Add or replace a row; it is on disk when this returns. Columns without a value are empty."""
        columns = self.header.strip().split(",") if self.header else []
        if new := [name for name in row if name not in columns]:
            self.header = _line([*columns, *new])
            self.rows = {step: line.rstrip("\n") + "," * len(new) + "\n" for step, line in self.rows.items()}
            columns += new
        step = int(row["step"])
        line = _line(row.get(column, "") for column in columns)
        can_append = not new and step > max(self.rows, default=0)  # and was not tried before, on a full disk
        self.rows[step] = line
        if can_append:
            with open(self.path, "a") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        else:
            self._write()

    def text(self, end: int) -> str:
        """The rows up to step `end` as the text of a CSV file; empty if there are none."""
        rows = [self.rows[step] for step in sorted(self.rows) if step <= end]
        return (self.header or "") + "".join(rows) if rows else ""

    def numbers(self, end: int) -> Iterator[tuple[int, dict[str, float]]]:
        """(step, {name: number}) of the rows up to step `end`, ascending."""
        for row in csv.DictReader(io.StringIO(self.text(end))):
            yield int(row["step"]), {name: float(value) for name, value in row.items() if value and name != "step"}

    def _write(self) -> None:
        write_text(self.path, (self.header or "") + "".join(self.rows[step] for step in sorted(self.rows)))


def _line(values: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()
