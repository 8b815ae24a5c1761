"""The store of a split: its images decoded once, as one memory-mapped array."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from quac.console import progress
from quac.data.images import ImageError, read_image, to_pixels
from quac.errors import QuacError
from quac.files import whole
from quac.tables import read_table

AT_A_TIME = 256


def build_store(path, index, size, channels, threads=1):
    """Decode and resize every image of an index into a NumPy file of uint8, (images, channels, size, size)."""
    source, names = index.attrs["source"], index["path"].tolist()

    def pixels(name):
        try:
            return to_pixels(read_image(os.path.join(source, name)), size, channels)
        except ImageError as error:
            raise QuacError(f"{os.path.join(source, name)}: {error}") from None

    header = {"descr": "|u1", "fortran_order": False, "shape": (len(names), channels, size, size)}
    bar = progress(total=len(names), what="decoding")
    with whole(path) as temporary, open(temporary, "wb") as file, ThreadPoolExecutor(threads) as pool:
        np.lib.format.write_array_header_2_0(file, header)
        for start in range(0, len(names), AT_A_TIME):  # decoded, but not written: no more than this
            for image in pool.map(pixels, names[start : start + AT_A_TIME]):
                file.write(image.tobytes())
                bar.update()
    bar.close()


@dataclass(frozen=True)
class Store:
    """A split in memory: row i of every field is image i of the index."""

    pixels: np.ndarray  # uint8, (images, channels, size, size), memory-mapped
    labels: np.ndarray  # int64, positions in `classes`
    paths: np.ndarray  # relative to `source`
    digests: np.ndarray  # SHA-256 of each file, hex
    classes: list[str]
    source: str

    @classmethod
    def open(cls, path, index_path):
        """Open a store beside its index. Raises QuacError where they do not belong together."""
        index = read_table(index_path)
        try:
            pixels = np.load(path, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise QuacError(f"{path}: cannot be read ({error}); delete it and run the same command again") from None
        if len(pixels) != len(index):
            raise QuacError(
                f"{path}: holds {len(pixels)} images, but {index_path} lists {len(index)}; "
                "delete both and run the same command again"
            )
        return cls(
            pixels=pixels,
            labels=index["label"].to_numpy(np.int64),
            paths=index["path"].to_numpy(),
            digests=index["sha256"].to_numpy(),
            classes=index.attrs["classes"],
            source=index.attrs["source"],
        )

    def require(self, model, classes):
        """Stop where the images are not what the networks take, or the classes are not `classes`, in this order."""
        shape = (model.input_dim, model.img_size, model.img_size)
        if self.pixels.shape[1:] != shape or self.classes != list(classes):
            raise QuacError(
                f"{self.source}: is stored as {self.pixels.shape[1:]} with the classes {', '.join(self.classes)}, but "
                f"{shape} with {', '.join(classes)} is needed; run the same command again"
            )

    def __len__(self):
        return len(self.pixels)

    def rows_of(self, label):
        """Rows of the images of a class, ascending."""
        return np.flatnonzero(self.labels == label)
