"""The generated images of a conversion, as files."""

from concurrent.futures import Future, ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from threading import BoundedSemaphore

import numpy as np
import pandas as pd

from quac.data.images import write_png
from quac.data.result_names import output_path
from quac.data.store import Store
from quac.system.errors import QuacError

WRITERS = 4
WAITING = 256


class BestImages:
    """Writes best tries below a folder, as `<source>/<target>/<path of the query inside its class folder>`.

    A context: leaving it waits for the writing threads, and passes on their errors.
    """

    def __init__(self, folder: str | Path, store: Store):
        """`store` has the queries. Raises QuacError if two of them would be written to the same file."""
        self.folder, self.store = Path(folder), store
        self.pool = ThreadPoolExecutor(WRITERS)
        self.jobs: list[Future] = []
        self.room = BoundedSemaphore(WAITING)  # a disk slower than the networks must not fill the memory
        classes = (store.classes[label] for label in store.labels)
        names = pd.Series(map(output_path, store.paths, classes, repeat("<target>")))
        if len(twice := names[names.duplicated()]):
            message = f"two queries would be written to the same file, {twice.iloc[0]}; rename one of them"
            raise QuacError(f"{store.source}: {message}")

    def __call__(self, style_kind: str, row: int, target: int, pixels: np.ndarray) -> None:
        """Write the image (C, H, W) of a query's best try, see `quac.conversion.engine.convert`."""
        classes = self.store.classes
        path = self.folder / output_path(self.store.paths[row], classes[self.store.labels[row]], classes[target])
        self.room.acquire()
        job = self.pool.submit(write_png, path, pixels.transpose(1, 2, 0))
        job.add_done_callback(lambda _: self.room.release())
        self.jobs.append(job)

    def __enter__(self) -> "BestImages":
        self.folder.mkdir(parents=True, exist_ok=True)  # also if there is nothing to write
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.shutdown(cancel_futures=any(error))
        if not any(error):
            for job in self.jobs:
                job.result()


def typical_path(style_kind: str) -> str:
    """Folder of random tries, next to the grids of styles; in it, they are named as by `output_path`."""
    return f"typical/{style_kind}"


def grid_path(style_kind: str, target: str, query: int, style: int) -> str:
    """Path of an image of a grid of styles; query and style by their numbers, from 0."""
    return f"{style_kind}/{target}/query{query}_style{style}.png"
