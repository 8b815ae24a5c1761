"""The generated images of a conversion, as files."""

from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path, PurePosixPath
from threading import BoundedSemaphore

import pandas as pd

from quac.data.images import write_png
from quac.system.errors import QuacError

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
        classes = (store.classes[label] for label in store.labels)
        names = pd.Series(map(output_path, store.paths, classes, repeat("<target>")))
        if len(twice := names[names.duplicated()]):
            raise QuacError(
                f"{store.source}: two queries would be written to the same file, {twice.iloc[0]}; rename one of them"
            )

    def __call__(self, kind, row, target, pixels):
        classes = self.store.classes
        path = self.folder / output_path(self.store.paths[row], classes[self.store.labels[row]], classes[target])
        self.room.acquire()
        job = self.pool.submit(write_png, path, pixels)
        job.add_done_callback(lambda _: self.room.release())
        self.jobs.append(job)

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)  # also where there is nothing to write
        return self

    def __exit__(self, *error):
        self.pool.shutdown(cancel_futures=any(error))
        if not any(error):
            for job in self.jobs:
                job.result()


def output_path(query, source, target):
    """Path of a query -> `<source>/<target>/<path in its class folder>` of its image: a PNG, whatever the query is.

    The path in a list of images need not begin with its class; then all of it is kept, but for steps upwards.
    """
    parts = [part for part in PurePosixPath(query).parts if part not in ("/", "..")]
    inside = "/".join(parts[1:] if parts[0] == source and len(parts) > 1 else parts)
    return f"{source}/{target}/{inside}" + ("" if inside.lower().endswith(".png") else ".png")


def grid_path(kind, target, query, style):
    """Path of an image of a grid of styles; query and style by their numbers, from 0."""
    return f"{kind}/{target}/query{query}_style{style}.png"
