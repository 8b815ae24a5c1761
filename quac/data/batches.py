"""Batches: uint8 rows of a store -> float tensors on the device, and the draws of a training step.

Every draw is a function of (seed, step), by a counter-based generator: a resumed training draws the same as an
uninterrupted one.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike

from quac.config.data import Augment, Data
from quac.data.augment import DRAWS, augment, crop_boxes
from quac.data.draws import ClassSampler
from quac.data.store import Store

CACHE_SHARE = 0.5  # of the free memory of a GPU that a store may take; the networks need the rest


def to_range(pixels: torch.Tensor, scale: float, shift: float) -> torch.Tensor:
    """uint8 or uint16, which stand for [0, 1] -> float32 `scale * [0, 1] + shift`, the range of the networks."""
    return pixels.float().div_(torch.iinfo(pixels.dtype).max).mul_(scale).add_(shift)


def to_pixels(images: torch.Tensor, scale: float, shift: float, depth: torch.dtype = torch.uint8) -> torch.Tensor:
    """Inverse of `to_range`, to uint8 or uint16; values are clamped to the range, then rounded."""
    return images.sub(shift).div_(scale).clamp_(0, 1).mul_(torch.iinfo(depth).max).round_().to(depth)


def as_written(images: torch.Tensor, scale: float, shift: float, depth: torch.dtype) -> torch.Tensor:
    """Images in the range of the networks as they are read back from a file of a depth: clamped and rounded, float32.

    What is not finite becomes NaN, which no file could hold.
    """
    written = to_range(to_pixels(images, scale, shift, depth), scale, shift)
    return written.masked_fill_(~images.isfinite(), torch.nan)


def depth_of(dtype: np.dtype) -> torch.dtype:
    """The type of pixels, uint8 or uint16, as torch has it."""
    return torch.uint8 if dtype == np.uint8 else torch.uint16


def resized(images: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """(B, C, H, W) -> (B, C, *size): bilinear, antialiased; unchanged if they have this size."""
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)


def to_square(images: torch.Tensor, size: int) -> torch.Tensor:
    """(B, C, H, W) -> (B, C, size, size), see `resized`."""
    return resized(images, (size, size))


def load(
    store: Store, rows: ArrayLike, device: torch.device, scale: float, shift: float, offsets: np.ndarray | None = None
) -> torch.Tensor:
    """Rows of a store -> float32 (rows, channels, height, width) on the device, in the range of the networks.

    The images must have one size. `offsets`: see `Store.images`.
    """
    return to_range(_pinned(store.images(rows, offsets), device).to(device, non_blocking=True), scale, shift)


def training_squares(
    store: Store, rows: np.ndarray, offsets: np.ndarray, size: int, chances: Augment, draws: np.ndarray
) -> np.ndarray:
    """The pixels of squares (rows, channels, size, size) for training, cropped by `data.augment.crop_probability`.

    `offsets`: see `Store.crop_offsets`; `draws`: see `quac.data.augment`.
    """
    pixels = store.crops(rows, offsets, size)
    cropped, boxes = crop_boxes(chances, draws)
    if len(cropped):
        pixels[cropped] = store.zooms(rows[cropped], offsets[:, cropped], boxes, size)
    return pixels


def batches_of(store: Store, rows: ArrayLike, most: int) -> Iterator[np.ndarray]:
    """Yield `rows` in batches of at most `most` images, those of a batch of one size."""
    for same_size in store.by_size(rows):
        size = store.batch_size(same_size[0], most)
        yield from np.split(same_size, range(size, len(same_size), size))


def _pinned(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """A tensor of an array, in memory from which a GPU copies without making the CPU wait."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory() if device.type == "cuda" else tensor


@dataclass(frozen=True)
class TrainingBatch:
    """What one training step sees. Images: (B, C, H, W) in the range of the networks; labels: (B,) int64."""

    x_real: torch.Tensor
    y_org: torch.Tensor
    x_ref: torch.Tensor
    x_ref2: torch.Tensor | None  # another image of the same class; only for the diversity loss
    y_trg: torch.Tensor
    z_trg: torch.Tensor  # (B, latent_dim), standard normal
    z_trg2: torch.Tensor | None

    def chunks(self, count: int) -> list[tuple["TrainingBatch", float]]:
        """The batch in `count` chunks (fewer if it has fewer images), each with its share of the images."""
        if count == 1:
            return [(self, 1.0)]
        pieces = [[None] * count if value is None else value.tensor_split(count) for value in vars(self).values()]
        chunks = [TrainingBatch(*values) for values in zip(*pieces, strict=True)]
        return [(chunk, len(chunk.y_org) / len(self.y_org)) for chunk in chunks if len(chunk.y_org)]


class DeviceCache:
    """The pixels of a store on a device, images of any sizes one after the other."""

    def __init__(self, store: Store, device: torch.device):
        self.shapes, self.ends, self.channels = store.shapes, store.ends, int(store.shapes[0][0])
        deep = store.flat.dtype == np.uint16
        self.dtype, flat = torch.uint16 if deep else torch.uint8, store.flat.view(np.int16 if deep else np.uint8)
        self.flat = torch.from_numpy(flat.copy()).to(device)  # signed, because uint16 cannot be gathered

    def addresses(self, rows: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """(3, rows) int64 for `crops`: where squares begin, and the strides to the next row and to the next channel.

        `offsets`: see `Store.crop_offsets`.
        """
        _, heights, widths = self.shapes[rows].T
        begins = self.ends[rows] - self.channels * heights * widths
        top, left = offsets
        return np.stack([begins + top * widths + left, widths, heights * widths])

    def crops(self, addresses: torch.Tensor, size: int) -> torch.Tensor:
        """Pixels (rows, channels, size, size) as stored; `addresses` lie on the device."""
        begin, width, area = addresses[:, :, None, None, None]
        along = torch.arange(size, device=self.flat.device)
        channel = torch.arange(self.channels, device=self.flat.device)[:, None, None]
        index = begin + channel * area + along[:, None] * width + along
        return self.flat[index].view(self.dtype)


class TrainingBatches:
    """`batches[step]` is the TrainingBatch of a step.

    First a class is drawn, by `data.sampling`; then an image of the class, with replacement, by the weights of its
    source. The target class is that of a reference image drawn in the same way; it may be the class of the image
    itself.

    Images larger than `data.img_size` are cropped at a random place. The pixels are gathered on the device if the store
    is cached there; otherwise from the memory map, and for a GPU one step ahead, in a thread.
    """

    def __init__(
        self,
        store: Store,
        data: Data,
        latent_dim: int,
        seed: int,
        device: torch.device,
        pairs: bool = False,
        device_cache: str = "auto",
    ):
        """
        Args:
            data: `batch_size`, `sampling`, `img_size`, `scale`, `shift`, `augment` are used.
            pairs: draw second references and latents, too.
            device_cache: keep the store on the device: always, never, or auto: on a GPU, if it fits. With random crops,
                which the CPU makes of larger images, it is never kept there.
        """
        self.store, self.data, self.latent_dim, self.device, self.pairs = store, data, latent_dim, device, pairs
        self.seed = seed
        self.sample = ClassSampler(store, data.sampling)
        if device_cache == "auto":
            cached = device.type == "cuda" and store.flat.nbytes < CACHE_SHARE * torch.cuda.mem_get_info(device)[0]
        else:
            cached = device_cache == "always"
        cached = cached and not data.augment.crop_probability
        self.cache = DeviceCache(store, device) if cached else None
        self.ahead = ThreadPoolExecutor(1) if device.type == "cuda" and not self.cache else None
        self.next: tuple[int, Future[list[torch.Tensor]]] | None = None  # a step, and its gathered tensors

    def __getitem__(self, step: int) -> TrainingBatch:
        if self.ahead is None:
            drawn = self._gather(step)
        else:
            waiting = self.next[1] if self.next and self.next[0] == step else self.ahead.submit(self._gather, step)
            drawn = waiting.result()
            self.next = (step + 1, self.ahead.submit(self._gather, step + 1))
        y_org, y_trg, z, z2, *images = (tensor.to(self.device, non_blocking=True) for tensor in drawn)
        x = [self._images(pixels, draws) for pixels, draws in zip(images[::2], images[1::2], strict=True)]
        return TrainingBatch(x[0], y_org, x[1], x[2] if self.pairs else None, y_trg, z, z2 if self.pairs else None)

    def _gather(self, step: int) -> list[torch.Tensor]:
        """What is drawn for a step, on the host: classes (2), latents (2), then pixels and draws of each image."""
        rng, size = self._rng(step), self.data.batch_size
        queries, _, y_org = self.sample(rng, size)
        first, second, y_trg = self.sample(rng, size)
        z = rng.standard_normal((2, size, self.latent_dim), dtype=np.float32)
        arrays = [y_org, y_trg, *z]
        for rows in (queries, first, second) if self.pairs else (queries, first):
            arrays += self._gather_images(rng, rows)
        return [_pinned(array, self.device) for array in arrays]

    def _gather_images(self, rng: np.random.Generator, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of rows (or their addresses in the cache), and the draws of their augmentation."""
        draws, size = rng.random((DRAWS, len(rows)), dtype=np.float32), self.data.img_size
        # Drawn only if there is a choice, so that stores without crops draw the same images.
        offsets = self.store.crop_offsets(rows, size, rng.random((2, len(rows))) if self.store.crop_size else None)
        if self.cache:
            return self.cache.addresses(rows, offsets), draws
        return training_squares(self.store, rows, offsets, size, self.data.augment, draws), draws

    def _images(self, pixels: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        """Augmented images in the range of the networks, channels last; `pixels` or their addresses in the cache."""
        if self.cache:
            pixels = self.cache.crops(pixels, self.data.img_size)
        images = augment(to_range(pixels, self.data.scale, self.data.shift), self.data.augment, draws)
        return images.contiguous(memory_format=torch.channels_last)

    def paths(self, step: int) -> list[str]:
        """Paths of the images of a step: the queries and the references."""
        rng, size = self._rng(step), self.data.batch_size
        (queries, _, _), (first, second, _) = self.sample(rng, size), self.sample(rng, size)
        rows = [*queries, *first, *(second if self.pairs else [])]
        return list(dict.fromkeys(self.store.paths[row] for row in rows))

    def _rng(self, step: int) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=[self.seed, step]))


def pad_rows(rows: np.ndarray | list[int], size: int) -> np.ndarray:
    """`rows` padded to `size` with copies of the last: batches of one shape give the same numbers however split."""
    return np.concatenate([rows, np.repeat(rows[-1:], size - len(rows))]).astype(np.int64)
