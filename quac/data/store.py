"""The store of a split: its images decoded once, in one memory-mapped file.

The file is three NumPy arrays, one after the other, as `numpy.save` writes them: the shapes, int64 (images, 3) as
channels, height, width; the size of the squares that are cropped from the images, int64, 0 if they are not cropped; and
the pixels of all images, one after the other, uint8 or uint16.

If images are cropped at random in training (`data.augment.crop_probability`), the training split's store has two more
arrays, again shapes and pixels: the same images at the size of their files, at most DETAIL times the stored side
above. A crop is resized from these, so it is as sharp as an image that is not cropped.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, DTypeLike

from quac.config import Config
from quac.config.training import Model
from quac.data.decoded import ImageError
from quac.data.images import Decoding, read_image, resize, to_channels, to_depth
from quac.data.parallel import map_processes
from quac.data.preprocess import Sizing, center_crop, crop_of, scaled_size, sizing_of, too_small
from quac.system.console import progress
from quac.system.errors import QuacError, bullet_list, reason_of
from quac.system.files import DAMAGED, atomic_write
from quac.system.tables import read_table

CHUNK = 64  # images that a worker takes at a time
DETAIL = 4  # largest side of an image that crops are taken from, in sides of the stored one
_Size = tuple[int, int]  # width and height
# A file, its size, and of each array: where the image begins in the store, and its size there.
_Job = tuple[str, _Size, list[tuple[int, _Size]]]


def build_store(path: Path, index: pd.DataFrame, config: Config, split: str, workers: int = 0) -> None:
    """Decode and resize every image of an index, and write them as a store.

    Args:
        index: see `quac.data.index.build_index`.
        workers: processes that decode; 0: this one.

    Raises QuacError that names the files that cannot be read, or are smaller than the crop.
    """
    for name, error in zip(index["path"], index["error"], strict=True):
        if error:
            raise QuacError(f"{os.path.join(index.attrs['base'], name)}: {error}")
    sizing, channels = sizing_of(config, split), cast(int, config.model.input_dim)  # filled in when resolved
    depth = np.uint16 if config.data.range is not None or (index["bits"] > 8).any() else np.uint8
    sizes = list(zip(index["width"].tolist(), index["height"].tolist(), strict=True))
    _require_fit(index, sizes, sizing, config.data.max_pixels)
    if crop_of(sizing.preprocess) == "center_crop":
        stored = [(sizing.img_size, sizing.img_size)] * len(sizes)
    else:  # random crops are drawn later
        stored = [scaled_size(*size, sizing) for size in sizes]
    arrays = [stored]
    if split == "train" and config.data.augment.crop_probability:
        boxes = [_box(size, sizing) for size in sizes]
        arrays.append([_detail_size(box, size) for box, size in zip(boxes, stored, strict=True)])
    files = [os.path.join(index.attrs["base"], name) for name in index["path"]]
    with atomic_write(path) as temporary:
        offsets = []
        with open(temporary, "wb") as file:
            for number, array in enumerate(arrays):
                shapes = np.array([(channels, height, width) for width, height in array], np.int64).reshape(-1, 3)
                np.save(file, shapes)
                if not number:
                    np.save(file, np.int64(sizing.img_size if crop_of(sizing.preprocess) == "crop" else 0))
                header = {"descr": np.dtype(depth).str, "fortran_order": False, "shape": (int(shapes.prod(1).sum()),)}
                np.lib.format.write_array_header_1_0(file, header)
                lengths = shapes.prod(1) * np.dtype(depth).itemsize
                offsets.append((file.tell() + np.cumsum(lengths) - lengths).tolist())
                file.seek(int(lengths.sum()), os.SEEK_CUR)
        places = zip(
            *(zip(begin, array, strict=True) for begin, array in zip(offsets, arrays, strict=True)), strict=True
        )
        jobs = list(zip(files, sizes, map(list, places), strict=True))
        # Worker processes share the file, so that no pixels are sent between them.
        write = partial(_write_image, temporary, config.data, sizing, channels, depth)
        for _ in progress(map_processes(write, jobs, workers, CHUNK), "decoding", len(jobs)):
            pass


def _write_image(path: Path, decoding: Decoding, sizing: Sizing, channels: int, depth: DTypeLike, job: _Job) -> None:
    """Write the pixels of an image file into a store."""
    name, size, ((offset, _), *details) = job
    try:
        pixels, _ = read_image(name, decoding)
    except ImageError as error:
        raise QuacError(f"{name}: {error}") from None
    if pixels.shape[1::-1] != size:
        raise QuacError(f"{name}: has changed since it was indexed. Run the workflow again.")
    pixels = to_channels(pixels, channels)
    small = resize(pixels, *scaled_size(*size, sizing))
    if crop_of(sizing.preprocess) == "center_crop":
        small = center_crop(small, sizing.img_size)
    with open(path, "rb+") as store:
        images = {offset: small} | {begin: resize(pixels, *to, _box(size, sizing)) for begin, to in details}
        for begin, image in images.items():
            store.seek(begin)
            store.write(to_depth(image, depth).transpose(2, 0, 1).tobytes())


def _box(size: _Size, sizing: Sizing) -> tuple[int, int, int, int]:
    """The part of an image file that is stored: all, or the middle, to the pixel."""
    if crop_of(sizing.preprocess) != "center_crop":
        return 0, 0, *size
    shares = [sizing.img_size / scaled for scaled in scaled_size(*size, sizing)]
    left, top = (int(length * (1 - share) / 2) for length, share in zip(size, shares, strict=True))
    return left, top, size[0] - left, size[1] - top


def _detail_size(box: tuple[int, int, int, int], stored: _Size) -> _Size:
    """Width and height at which a part of an image file is kept for crops."""
    return min(box[2] - box[0], DETAIL * stored[0]), min(box[3] - box[1], DETAIL * stored[1])


def _require_fit(index: pd.DataFrame, sizes: list[tuple[int, int]], sizing: Sizing, max_pixels: int) -> None:
    small, large = [], []
    for path, (width, height) in zip(index["path"], sizes, strict=True):
        new_width, new_height = scaled_size(width, height, sizing)
        if too_small(width, height, sizing):
            small.append(f"{path}: {width}x{height}")
        if new_width * new_height > max_pixels:
            large.append(f"{path}: {width}x{height} is scaled to {new_width}x{new_height}")
    if large:
        raise QuacError(
            f"{index.attrs['source']}: {len(large)} image(s) are scaled to more than {max_pixels} pixels "
            f"(data.max_pixels); lower load_size, choose another preprocess, or remove them\n{bullet_list(large)}"
        )
    if small:
        raise QuacError(
            f"{index.attrs['source']}: {len(small)} image(s) are smaller than the crop of {sizing.img_size} pixels; "
            f"remove them, or scale them up by preprocess and load_size\n{bullet_list(small)}"
        )


def evenly_spaced(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the rows, evenly spaced, with the first and the last."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int))]


def open_stores(paths: Sequence[Path], index_paths: Sequence[Path]) -> dict[str, "Store"]:
    """{split: Store} of stores and their indexes, in the same order."""
    return {
        read_table(index_path, columns=["path"]).attrs["split"]: Store.open(path, index_path)
        for path, index_path in zip(paths, index_paths, strict=True)
    }


@dataclass(frozen=True)
class Details:
    """The images at a larger size, for crops; see the module."""

    flat: np.ndarray
    shapes: np.ndarray
    ends: np.ndarray


def _read_pixels(file: BinaryIO) -> np.ndarray:
    """The array of pixels at the place of a file, memory-mapped; the place is then after it."""
    np.lib.format.read_magic(file)
    length, _, depth = np.lib.format.read_array_header_1_0(file)
    begin = file.tell()
    flat = np.memmap(file, depth, "r", begin, length) if length[0] else np.empty(0, depth)
    file.seek(begin + flat.nbytes)
    return flat


@dataclass(frozen=True)
class Store:
    """A split in memory: row i of every field is image i of the index."""

    flat: np.ndarray  # uint8 or uint16, all pixels, memory-mapped
    shapes: np.ndarray  # (images, 3): channels, height, width
    crop_size: int | None  # of the squares that are cropped from the images; None: they are not cropped
    ends: np.ndarray  # where each image ends in `flat`
    labels: np.ndarray  # int64, positions in `classes`
    weights: np.ndarray  # float64, sampling weight of an image within its class
    paths: np.ndarray  # relative to `source`
    digests: np.ndarray  # SHA-256 of each file, hex
    classes: list[str]
    source: str
    details: Details | None = None

    @classmethod
    def open(cls, path: Path, index_path: Path) -> "Store":
        """A store and its index. Raises QuacError if they cannot be read, or do not belong together."""
        index = read_table(index_path)
        try:
            with open(path, "rb") as file:
                shapes, crop_size, flat = np.load(file), int(np.load(file)), _read_pixels(file)
                details = None
                if file.tell() < os.fstat(file.fileno()).st_size:
                    sizes = np.load(file)
                    details = Details(shapes=sizes, flat=_read_pixels(file), ends=np.cumsum(sizes.prod(1)))
        except (OSError, *DAMAGED) as error:
            raise QuacError(
                f"{path}: cannot be read ({reason_of(error)}). Delete it and run the workflow again."
            ) from None
        if len(shapes) != len(index):
            counts = f"holds {len(shapes)} images, but {index_path} lists {len(index)}"
            raise QuacError(f"{path}: {counts}. Delete both and run the workflow again.")
        return cls(
            flat=flat,
            shapes=shapes,
            crop_size=crop_size or None,
            ends=np.cumsum(shapes.prod(1)),
            labels=index["label"].to_numpy(np.int64),
            weights=index["weight"].to_numpy(np.float64),
            paths=index["path"].to_numpy(),
            digests=index["sha256"].to_numpy(),
            classes=index.attrs["classes"],
            source=index.attrs["source"],
            details=details,
        )

    def require(self, model: Model, classes: Sequence[str], squares: bool = False) -> None:
        """Raise QuacError if the networks do not take the images, or the classes are not `classes`, in this order.

        `squares`: require squares of `img_size`, for training.
        """
        size = cast(int, model.img_size)  # filled in when resolved
        unit, sides = size // 16, self.shapes[:, 1:]
        if self.crop_size:
            fit = self.crop_size == size <= sides.min()
        else:
            fit = (sides == size).all() if squares else (sides % unit == 0).all()
        if not fit or (self.shapes[:, 0] != model.input_dim).any() or self.classes != list(classes):
            shapes = sorted({tuple(map(int, shape)) for shape in np.unique(self.shapes, axis=0)})
            wanted = f"sides of {size}" if squares else f"multiples of {unit} as sides"
            raise QuacError(
                f"{self.source}: is stored as {', '.join(map(str, shapes[:5]))}{' ...' * (len(shapes) > 5)} with the "
                f"classes {', '.join(self.classes)}, but {model.input_dim} channel(s) and {wanted}, with the classes "
                f"{', '.join(classes)}, are needed. Run the workflow again."
            )

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, row: int) -> np.ndarray:
        """The pixels of an image as stored, (channels, height, width), uint8 or uint16."""
        shape = self.shapes[row]
        return self.flat[self.ends[row] - shape.prod() : self.ends[row]].reshape(shape)

    def images(self, rows: ArrayLike, offsets: np.ndarray | None = None) -> np.ndarray:
        """The pixels of images of one size, (rows, channels, height, width).

        `offsets`: where they are cropped, if they are, see `crop_offsets`; None: in the middle.
        """
        rows = np.asarray(rows)
        if self.crop_size:
            offsets = self.crop_offsets(rows, self.crop_size) if offsets is None else offsets
            return self.crops(rows, offsets, self.crop_size)
        return np.stack([self[row] for row in rows])

    def crops(self, rows: ArrayLike, offsets: np.ndarray, size: int) -> np.ndarray:
        """Squares of `size` pixels out of images, (rows, channels, size, size); `offsets`: see `crop_offsets`."""
        places = zip(np.asarray(rows), *offsets, strict=True)
        return np.stack([self[row][:, y : y + size, x : x + size] for row, y, x in places])

    def zooms(self, rows: ArrayLike, offsets: np.ndarray, boxes: np.ndarray, size: int) -> np.ndarray:
        """As `crops`, of a part of each square, resized to all of it: (rows, channels, size, size).

        `boxes`: (4, rows), see `quac.data.augment.crop_boxes`. Raises QuacError if the store was not made for it.
        """
        if self.details is None:
            raise QuacError(f"{self.source}: is stored without the larger images for crops. Run the workflow again.")
        zoomed = []
        for row, top, left, (x, y, width, height) in zip(np.asarray(rows), *offsets, boxes.T, strict=True):
            shape = self.details.shapes[row]
            image = self.details.flat[self.details.ends[row] - shape.prod() : self.details.ends[row]].reshape(shape)
            scale_y, scale_x = shape[1:] / self.shapes[row, 1:]
            begin = (left + x * size) * scale_x, (top + y * size) * scale_y
            end = min(begin[0] + width * size * scale_x, shape[2]), min(begin[1] + height * size * scale_y, shape[1])
            zoomed.append(resize(image.transpose(1, 2, 0), size, size, (*begin, *end)).transpose(2, 0, 1))
        return np.stack(zoomed)

    def crop_offsets(self, rows: ArrayLike, size: int, draws: np.ndarray | None = None) -> np.ndarray:
        """Top and left, (2, rows) int64, of squares: by draws (2, rows) uniform in [0, 1), or in the middle."""
        room = self.shapes[np.asarray(rows), 1:].T - size
        return room // 2 if draws is None else np.floor(draws * (room + 1)).astype(np.int64)

    def by_size(self, rows: ArrayLike) -> list[np.ndarray]:
        """`rows` divided into arrays of images of one size."""
        rows = np.asarray(rows)
        if self.crop_size or not len(rows):
            return [rows] if len(rows) else []
        _, shape_of = np.unique(self.shapes[rows], axis=0, return_inverse=True)
        return [rows[shape_of == number] for number in range(shape_of.max() + 1)]

    def batch_size(self, row: int, most: int) -> int:
        """Images in a batch of the size of an image: `most`, but fewer if fewer images have it.

        A function of the store alone, so that numbers do not depend on how the work is divided.
        """
        if self.crop_size or (self.shapes == self.shapes[0]).all():
            return most
        count = int((self.shapes == self.shapes[row]).all(1).sum())
        return min(most, 1 << (count.bit_length() - 1))

    def rows_of(self, label: int) -> np.ndarray:
        """Rows of the images of a class, ascending."""
        return np.flatnonzero(self.labels == label)
