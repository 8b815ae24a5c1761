"""The generated images of a conversion, as files."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import BoundedSemaphore

import pandas as pd

from quac.data.images import write_png
from quac.errors import QuacError

WRITERS = 4
WAITING = 256


class BestImages:
    """Writes best tries below a folder, `<source>/<target>/<path of the query inside its class folder>`.

    A context: leaving it waits for the writing threads, and passes on their errors.
    """

    def __init__(self, folder, store):
        self.folder, self.store = Path(folder), store
        self.pool, self.jobs = ThreadPoolExecutor(WRITERS), []
        self.room = BoundedSemaphore(WAITING)  # a disk slower than the networks must not fill the memory
        names = pd.Series(output_path(path, "<target>") for path in store.paths)
        if len(twice := names[names.duplicated()]):
            raise QuacError(
                f"{store.source}: two queries would be written to the same file, {twice.iloc[0]}; rename one of them"
            )

    def __call__(self, kind, row, target, pixels):
        path = self.folder / output_path(self.store.paths[row], self.store.classes[target])
        self.room.acquire()
        job = self.pool.submit(write_png, path, pixels)
        job.add_done_callback(lambda _: self.room.release())
        self.jobs.append(job)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.pool.shutdown(cancel_futures=any(error))
        if not any(error):
            for job in self.jobs:
                job.result()


def output_path(query, target):
    """`<source>/<name>` of a query -> `<source>/<target>/<name>` of its image: a PNG, whatever the query is."""
    source, inside = query.split("/", 1)
    return f"{source}/{target}/{inside}" + ("" if inside.lower().endswith(".png") else ".png")
