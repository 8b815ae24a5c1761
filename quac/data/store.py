"""The store of a split: its images decoded once, in one memory-mapped file.

The file is two NumPy arrays, one after the other, as `numpy.save` writes them:
the shapes, int64 (images, 3) as channels, height, width; and the pixels of all
images, one after the other, uint8 or uint16.
"""

import os
from dataclasses import dataclass
from functools import partial

import numpy as np

from quac.console import progress
from quac.data.decode import ImageError
from quac.data.images import read_image, resize, to_channels, to_depth
from quac.data.parallel import ordered
from quac.errors import QuacError
from quac.files import whole
from quac.tables import read_table

AT_A_TIME = 64  # images that a process takes


def build_store(path, index, settings, workers=1):
    """Decode and resize every image of an index.

    Args:
        index: see `quac.data.index.build_index`.
        settings: `img_size`, `channels`, `reading` (see `quac.data.images.read_image`).
        workers: processes.
    """
    depth = np.uint16 if settings.reading.range is not None or (index["bits"] > 8).any() else np.uint8
    shapes = np.full((len(index), 3), (settings.channels, settings.img_size, settings.img_size), np.int64)
    files = [os.path.join(index.attrs["base"], name) for name in index["path"]]
    bar = progress(total=len(files), what="decoding")
    with whole(path) as temporary:
        with open(temporary, "wb") as file:
            np.save(file, shapes)
            header = {"descr": np.dtype(depth).str, "fortran_order": False, "shape": (int(shapes.prod(1).sum()),)}
            np.lib.format.write_array_header_1_0(file, header)
            begin = file.tell()
        sizes = shapes.prod(1) * np.dtype(depth).itemsize
        places = begin + np.cumsum(sizes) - sizes
        parts = [slice(start, start + AT_A_TIME) for start in range(0, len(files), AT_A_TIME)]
        jobs = [(files[part], shapes[part].tolist(), int(places[part.start])) for part in parts]
        for written in ordered(partial(_write, temporary, depth, settings.reading), jobs, workers):
            bar.update(written)
    bar.close()


def _write(path, depth, reading, job):
    """Decode some images and write them to their place; processes share the file, they do not send pixels."""
    files, shapes, place = job
    with open(path, "rb+") as file:
        file.seek(place)
        for name, (channels, height, width) in zip(files, shapes, strict=True):
            try:
                pixels, _ = read_image(name, reading)
            except ImageError as error:
                raise QuacError(f"{name}: {error}") from None
            pixels = to_depth(resize(to_channels(pixels, channels), width, height), depth)
            file.write(pixels.transpose(2, 0, 1).tobytes())
    return len(files)


@dataclass(frozen=True)
class Store:
    """A split in memory: row i of every field is image i of the index."""

    flat: np.ndarray  # uint8 or uint16, all pixels, memory-mapped
    shapes: np.ndarray  # (images, 3): channels, height, width
    ends: np.ndarray  # where each image ends in `flat`
    labels: np.ndarray  # int64, positions in `classes`
    weights: np.ndarray  # float64, how often an image is drawn beside others of its class
    paths: np.ndarray  # relative to `source`
    digests: np.ndarray  # SHA-256 of each file, hex
    classes: list[str]
    source: str

    @classmethod
    def open(cls, path, index_path):
        """Open a store beside its index. Raises QuacError where they do not belong together."""
        index = read_table(index_path)
        try:
            with open(path, "rb") as file:
                shapes = np.load(file)
                np.lib.format.read_magic(file)
                length, _, depth = np.lib.format.read_array_header_1_0(file)
                flat = np.memmap(file, depth, "r", file.tell(), length) if length[0] else np.empty(0, depth)
        except (OSError, ValueError) as error:
            raise QuacError(f"{path}: cannot be read ({error}); delete it and run the same command again") from None
        if len(shapes) != len(index):
            raise QuacError(
                f"{path}: holds {len(shapes)} images, but {index_path} lists {len(index)}; "
                "delete both and run the same command again"
            )
        return cls(
            flat=flat,
            shapes=shapes,
            ends=np.cumsum(shapes.prod(1)),
            labels=index["label"].to_numpy(np.int64),
            weights=index["weight"].to_numpy(np.float64),
            paths=index["path"].to_numpy(),
            digests=index["sha256"].to_numpy(),
            classes=index.attrs["classes"],
            source=index.attrs["source"],
        )

    def require(self, model, classes):
        """Stop where the images are not what the networks take, or the classes are not `classes`, in this order."""
        shape = (model.input_dim, model.img_size, model.img_size)
        found = {tuple(map(int, shape)) for shape in np.unique(self.shapes, axis=0)}
        if found != {shape} or self.classes != list(classes):
            raise QuacError(
                f"{self.source}: is stored as {', '.join(map(str, sorted(found)))} with the classes "
                f"{', '.join(self.classes)}, but {shape} with {', '.join(classes)} is needed; "
                "run the same command again"
            )

    def __len__(self):
        return len(self.shapes)

    def __getitem__(self, row):
        """The pixels of one image, (channels, height, width), uint8 or uint16."""
        shape = self.shapes[row]
        return self.flat[self.ends[row] - shape.prod() : self.ends[row]].reshape(shape)

    def images(self, rows):
        """The pixels of images of one size, (rows, channels, height, width)."""
        return np.stack([self[row] for row in rows])

    def rows_of(self, label):
        """Rows of the images of a class, ascending."""
        return np.flatnonzero(self.labels == label)
