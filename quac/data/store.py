"""The store of a split: its images decoded once, in one memory-mapped file.

The file is three NumPy arrays, one after the other, as `numpy.save` writes them:
the shapes, int64 (images, 3) as channels, height, width; the side of the
squares that are cut out of the images, int64, 0 where they are shown whole;
and the pixels of all images, one after the other, uint8 or uint16.
"""

import math
import os
from dataclasses import dataclass
from functools import partial

import numpy as np

from quac.data.decode import ImageError
from quac.data.images import read_image, resize, to_channels, to_depth
from quac.data.parallel import ordered
from quac.data.preprocess import crop_of, middle, scaled_size, stored_size, too_small
from quac.system.console import progress
from quac.system.errors import QuacError, listing
from quac.system.files import whole
from quac.system.tables import read_table

AT_A_TIME = 64  # images that a process takes


def build_store(path, index, settings, workers=1):
    """Decode and resize every image of an index.

    Args:
        index: see `quac.data.index.build_index`.
        settings: `img_size`, `channels`, `preprocess` and `load_size` (see `quac.data.preprocess`), `reading` (see
            `quac.data.images.read_image`).
        workers: processes.

    Raises QuacError that names the files that cannot be read, or are smaller than the crop.
    """
    for name, error in zip(index["path"], index["error"], strict=True):
        if error:
            raise QuacError(f"{os.path.join(index.attrs['base'], name)}: {error}")
    depth = np.uint16 if settings.reading.range is not None or (index["bits"] > 8).any() else np.uint8
    sizes = list(zip(index["width"].tolist(), index["height"].tolist(), strict=True))
    _require_fit(index, sizes, settings)
    shapes = [(settings.channels, *reversed(stored_size(*size, settings))) for size in sizes]
    shapes = np.array(shapes, np.int64).reshape(-1, 3)
    files = [os.path.join(index.attrs["base"], name) for name in index["path"]]
    bar = progress(total=len(files), what="decoding")
    with whole(path) as temporary:
        with open(temporary, "wb") as file:
            np.save(file, shapes)
            np.save(file, np.int64(settings.img_size if crop_of(settings.preprocess) == "crop" else 0))
            header = {"descr": np.dtype(depth).str, "fortran_order": False, "shape": (int(shapes.prod(1).sum()),)}
            np.lib.format.write_array_header_1_0(file, header)
            begin = file.tell()
        lengths = shapes.prod(1) * np.dtype(depth).itemsize
        places = begin + np.cumsum(lengths) - lengths
        parts = [slice(start, start + AT_A_TIME) for start in range(0, len(files), AT_A_TIME)]
        jobs = [(files[part], sizes[part], int(places[part.start])) for part in parts]
        for written in ordered(partial(_write, temporary, depth, settings), jobs, workers):
            bar.update(written)
    bar.close()


def _require_fit(index, sizes, settings):
    most, small, large = settings.reading.max_pixels, [], []
    for path, (width, height) in zip(index["path"], sizes, strict=True):
        if too_small(width, height, settings):
            small.append(f"{path}: {width}x{height}")
        if math.prod(scaled := scaled_size(width, height, settings)) > most:
            large.append(f"{path}: {width}x{height} is scaled to {scaled[0]}x{scaled[1]}")
    if large:
        raise QuacError(
            f"{index.attrs['source']}: {len(large)} image(s) are scaled to more than {most} pixels (data.max_pixels); "
            f"lower load_size, choose another preprocess, or remove them\n{listing(large)}"
        )
    if small:
        raise QuacError(
            f"{index.attrs['source']}: {len(small)} image(s) are smaller than the crop of {settings.img_size} pixels; "
            f"remove them, or scale by preprocess and load_size\n{listing(small)}"
        )


def _write(path, depth, settings, job):
    """Decode some images and write them to their place; processes share the file, they do not send pixels."""
    files, sizes, place = job
    with open(path, "rb+") as file:
        file.seek(place)
        for name, size in zip(files, sizes, strict=True):
            try:
                pixels, _ = read_image(name, settings.reading)
            except ImageError as error:
                raise QuacError(f"{name}: {error}") from None
            if pixels.shape[1::-1] != size:
                raise QuacError(f"{name}: has changed since it was indexed; run the same command again")
            pixels = resize(to_channels(pixels, settings.channels), *scaled_size(*size, settings))
            if crop_of(settings.preprocess) == "center_crop":
                pixels = middle(pixels, settings.img_size)
            file.write(to_depth(pixels, depth).transpose(2, 0, 1).tobytes())
    return len(files)


def spread(rows, most):
    """At most so many of the rows, evenly: the first and the last among them."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))]


@dataclass(frozen=True)
class Store:
    """A split in memory: row i of every field is image i of the index."""

    flat: np.ndarray  # uint8 or uint16, all pixels, memory-mapped
    shapes: np.ndarray  # (images, 3): channels, height, width
    side: int | None  # of the squares that are cut out of the images; None: they are shown whole
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
                shapes, side = np.load(file), int(np.load(file))
                np.lib.format.read_magic(file)
                length, _, depth = np.lib.format.read_array_header_1_0(file)
                flat = np.memmap(file, depth, "r", file.tell(), length) if length[0] else np.empty(0, depth)
        except (OSError, ValueError, TypeError) as error:
            raise QuacError(f"{path}: cannot be read ({error}); delete it and run the same command again") from None
        if len(shapes) != len(index):
            raise QuacError(
                f"{path}: holds {len(shapes)} images, but {index_path} lists {len(index)}; "
                "delete both and run the same command again"
            )
        return cls(
            flat=flat,
            shapes=shapes,
            side=side or None,
            ends=np.cumsum(shapes.prod(1)),
            labels=index["label"].to_numpy(np.int64),
            weights=index["weight"].to_numpy(np.float64),
            paths=index["path"].to_numpy(),
            digests=index["sha256"].to_numpy(),
            classes=index.attrs["classes"],
            source=index.attrs["source"],
        )

    def require(self, model, classes, squares=False):
        """Stop where the networks do not take the images, or the classes are not `classes`, in this order.

        `squares`: only squares of `img_size` will do, for training.
        """
        unit, sides = model.img_size // 16, self.shapes[:, 1:]
        if self.side:
            fit = self.side == model.img_size <= sides.min()
        else:
            fit = (sides == model.img_size).all() if squares else (sides % unit == 0).all()
        if not fit or (self.shapes[:, 0] != model.input_dim).any() or self.classes != list(classes):
            found = sorted({tuple(map(int, shape)) for shape in np.unique(self.shapes, axis=0)})
            wanted = f"sides of {model.img_size}" if squares else f"multiples of {unit} as sides"
            raise QuacError(
                f"{self.source}: is stored as {', '.join(map(str, found[:5]))}{' ...' * (len(found) > 5)} with the "
                f"classes {', '.join(self.classes)}, but {model.input_dim} channel(s) and {wanted}, with the classes "
                f"{', '.join(classes)}, are needed; run the same command again"
            )

    def __len__(self):
        return len(self.shapes)

    def __getitem__(self, row):
        """The pixels of one image as it is stored, (channels, height, width), uint8 or uint16."""
        shape = self.shapes[row]
        return self.flat[self.ends[row] - shape.prod() : self.ends[row]].reshape(shape)

    def images(self, rows):
        """The pixels of images that are shown in one size, (rows, channels, height, width); crops are the middle."""
        if self.side:
            return self.squares(rows, self.corners(rows, self.side), self.side)
        return np.stack([self[row] for row in rows])

    def squares(self, rows, corners, side):
        """Squares cut out of images, (rows, channels, side, side); `corners` as `corners` gives them."""
        places = zip(rows, *corners, strict=True)
        return np.stack([self[row][:, top : top + side, left : left + side] for row, top, left in places])

    def corners(self, rows, side, draws=None):
        """Top and left, (2, rows) int64, of squares: by draws (2, rows) uniform in [0, 1), or in the middle."""
        room = self.shapes[rows, 1:].T - side
        return room // 2 if draws is None else np.floor(draws * (room + 1)).astype(np.int64)

    def by_size(self, rows):
        """`rows`, parted into arrays of images that are shown in one size."""
        rows = np.asarray(rows)
        if self.side or not len(rows):
            return [rows] if len(rows) else []
        _, kind = np.unique(self.shapes[rows], axis=0, return_inverse=True)
        return [rows[kind == number] for number in range(kind.max() + 1)]

    def batch_size(self, row, most):
        """Images in a batch of the size of an image: `most`, but fewer where fewer images have it.

        A function of the store alone, so that numbers do not depend on how the work is cut.
        """
        if self.side or (self.shapes == self.shapes[0]).all():
            return most
        count = int((self.shapes == self.shapes[row]).all(1).sum())
        return min(most, 1 << (count.bit_length() - 1))

    def rows_of(self, label):
        """Rows of the images of a class, ascending."""
        return np.flatnonzero(self.labels == label)
