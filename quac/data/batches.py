"""Batches: uint8 rows of a store -> float tensors on the device, and what is drawn for a training step.

Every draw is a function of (seed, step), by a counter-based generator: a
training that goes on draws what an undisturbed one would have drawn.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from quac.data.augment import DRAWS, augment
from quac.data.cache import DeviceCache, is_cached
from quac.data.draws import ImageDraws


def to_range(pixels, scale, shift):
    """uint8 or uint16, spanning [0, 1] -> float32 `scale * [0, 1] + shift`, the networks' range."""
    return pixels.float().div_(torch.iinfo(pixels.dtype).max).mul_(scale).add_(shift)


def to_pixels(images, scale, shift, depth=torch.uint8):
    """Inverse of `to_range`, to uint8 or uint16; values outside the range are clamped, then rounded."""
    return images.sub(shift).div_(scale).clamp_(0, 1).mul_(torch.iinfo(depth).max).round_().to(depth)


def to_square(images, side):
    """(B, C, H, W) resized to (B, C, side, side), where they are not: bilinear, antialiased."""
    if images.shape[-2:] == (side, side):
        return images
    return F.interpolate(images, size=(side, side), mode="bilinear", antialias=True, align_corners=False)


def load(store, rows, device, scale, shift, corners=None):
    """Rows of a store -> float32 (rows, channels, height, width) on the device, in the networks' range.

    The images are shown in one size; `corners` says where they are cropped, see `Store.corners`; None: in the middle.
    """
    pixels = store.images(rows) if corners is None else store.squares(rows, corners, store.side)
    return to_range(_to_device(_pinned(pixels, device), device), scale, shift)


def batches_of(store, rows, most):
    """`rows` in parts of at most `most` images, those of a part shown in one size."""
    for alike in store.by_size(rows):
        size = store.batch_size(alike[0], most)
        yield from np.split(alike, range(size, len(alike), size))


def _pinned(array, device):
    """A tensor of an array, in memory from which a GPU copies while the CPU goes on."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory() if device.type == "cuda" else tensor


def _to_device(tensor, device):
    return tensor.to(device, non_blocking=True)


@dataclass(frozen=True)
class TrainingBatch:
    """What one training step sees. Images: (B, C, H, W) in the networks' range; labels: (B,) int64."""

    x_real: torch.Tensor
    y_org: torch.Tensor
    x_ref: torch.Tensor
    x_ref2: torch.Tensor | None  # another image of the same class; only for the diversity loss
    y_trg: torch.Tensor
    z_trg: torch.Tensor  # (B, latent_dim), standard normal
    z_trg2: torch.Tensor | None

    def parts(self, count):
        """The batch in `count` parts, each with its share of the images: [(TrainingBatch, share)]."""
        if count == 1:
            return [(self, 1.0)]
        pieces = [[None] * count if value is None else value.tensor_split(count) for value in vars(self).values()]
        whole = [TrainingBatch(*values) for values in zip(*pieces, strict=True)]
        return [(part, len(part.y_org) / len(self.y_org)) for part in whole if len(part.y_org)]


class TrainingBatches:
    """`batches[step]` is the batch of a step.

    First a class is drawn, by `data.sampling`; then an image of the class,
    with replacement, by the weights of its source. The target class is that of
    a reference image drawn likewise; it may be the image's own.

    Images larger than `data.img_size` are cropped at a place that is drawn.
    The pixels are gathered on the device, where `data.device_cache` says so;
    otherwise from the memory map, and for a GPU one step ahead, in a thread.
    """

    def __init__(self, store, data, latent_dim, seed, device, pairs=False, layout=torch.contiguous_format):
        """`data` is a config's `data` section; `pairs` asks for the second references and latents."""
        self.layout = layout
        self.store, self.data, self.latent_dim, self.device, self.pairs = store, data, latent_dim, device, pairs
        self.seed = seed
        self.draw = ImageDraws(store, data.sampling)
        self.cache = DeviceCache(store, device) if is_cached(store, data.device_cache, device) else None
        self.ahead = ThreadPoolExecutor(1) if device.type == "cuda" and not self.cache else None
        self.next = None  # (step, what is being gathered for it)

    def __getitem__(self, step):
        if self.ahead is None:
            drawn = self._gather(step)
        else:
            waiting = self.next[1] if self.next and self.next[0] == step else self.ahead.submit(self._gather, step)
            drawn = waiting.result()
            self.next = (step + 1, self.ahead.submit(self._gather, step + 1))
        to_device = {name: value and [_to_device(part, self.device) for part in value] for name, value in drawn.items()}
        return TrainingBatch(
            x_real=self._images(*to_device["x_real"]),
            y_org=to_device["y"][0],
            x_ref=self._images(*to_device["x_ref"]),
            x_ref2=self._images(*to_device["x_ref2"]) if self.pairs else None,
            y_trg=to_device["y"][1],
            z_trg=to_device["z"][0],
            z_trg2=to_device["z"][1] if self.pairs else None,
        )

    def _gather(self, step):
        """What is drawn for a step, in the host's memory."""
        rng, size = self._rng(step), self.data.batch_size
        source, _, y_org = self.draw(rng, size)
        first, second, y_trg = self.draw(rng, size)
        z = rng.standard_normal((2, size, self.latent_dim), dtype=np.float32)
        return {
            "x_real": self._gather_images(rng, source),
            "x_ref": self._gather_images(rng, first),
            "x_ref2": self._gather_images(rng, second) if self.pairs else None,
            "y": [_pinned(labels, self.device) for labels in (y_org, y_trg)],
            "z": [_pinned(latents, self.device) for latents in z],
        }

    def _gather_images(self, rng, rows):
        draws, side = rng.random((DRAWS, len(rows)), dtype=np.float32), self.data.img_size
        # Drawn only where there is a choice, so that the others are what they are without crops.
        corners = self.store.corners(rows, side, rng.random((2, len(rows))) if self.store.side else None)
        found = self.cache.places(rows, corners) if self.cache else self.store.squares(rows, corners, side)
        return [_pinned(part, self.device) for part in (found, draws)]

    def _images(self, found, draws):
        pixels = self.cache.squares(found, self.data.img_size) if self.cache else found
        images = augment(to_range(pixels, self.data.scale, self.data.shift), self.data.augment, draws)
        return images.contiguous(memory_format=self.layout)

    def paths(self, step):
        """Paths of the images of a step: those that are converted, and the references."""
        rng, size = self._rng(step), self.data.batch_size
        (source, _, _), (first, second, _) = self.draw(rng, size), self.draw(rng, size)
        rows = [*source, *first, *(second if self.pairs else [])]
        return list(dict.fromkeys(self.store.paths[row] for row in rows))

    def _rng(self, step):
        return np.random.Generator(np.random.Philox(key=[self.seed, step]))
