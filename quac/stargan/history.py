"""The training history: a CSV file with one row per logged step."""

import csv

from quac.files import write_text


class History:
    """Rows of numbers by column name; the first column is `step`, the first row decides on the columns."""

    def __init__(self, path):
        self.path = path

    def cut(self, step):
        """Forget rows after `step` (training goes on from there, and they will come again), and torn ones."""
        if self.path.is_file():
            header, *rows = self.path.read_text().splitlines(keepends=True) or [""]
            whole_rows = [row for row in rows if row.endswith("\n") and row.count(",") == header.count(",")]
            kept = [row for row in whole_rows if int(row.split(",")[0]) <= step]
            write_text(self.path, "".join([header, *kept])) if kept else self.path.unlink()

    def text(self, end):
        """The rows up to step `end`, as the text of a CSV file."""
        if not self.path.is_file():
            return ""
        header, *rows = self.path.read_text().splitlines(keepends=True)
        return "".join([header, *(row for row in rows if int(row.split(",")[0]) <= end)])

    def append(self, row):
        """Add a row; it is in the file when this returns. A column that has no value any more stays empty."""
        columns = self._columns() or list(row)
        with open(self.path, "a", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)

    def _columns(self):
        if not self.path.is_file():
            return None
        with open(self.path, newline="") as file:
            return next(csv.reader(file), None)
