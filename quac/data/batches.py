"""Batches: uint8 rows of a store -> float tensors on the device, and what is drawn for a training step.

Every draw is a function of (seed, step), by a counter-based generator: a
training that goes on draws what an undisturbed one would have drawn.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F


def to_range(pixels, scale, shift):
    """uint8 [0, 255] -> float32 `scale * [0, 1] + shift`, the networks' range."""
    return pixels.float().div_(255).mul_(scale).add_(shift)


def to_uint8(images, scale, shift):
    """Inverse of `to_range`; values outside the range are clamped, then rounded."""
    return images.sub(shift).div_(scale).clamp_(0, 1).mul_(255).round_().to(torch.uint8)


def load(store, rows, device, scale, shift):
    """Rows of a store -> float32 tensor (rows, channels, size, size) on the device, in the networks' range."""
    pixels = torch.from_numpy(store.pixels[rows])
    if device.type == "cuda":
        pixels = pixels.pin_memory()
    return to_range(pixels.to(device, non_blocking=True), scale, shift)


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


class TrainingBatches:
    """`batches[step]` is the batch of a step.

    Classes are drawn uniformly, so that a small class counts as much as a
    large one; then an image of the class, with replacement. The target class
    is that of a reference image drawn likewise; it may be the image's own.
    """

    def __init__(self, store, data, latent_dim, seed, device, pairs=False):
        """`data` is a config's `data` section; `pairs` asks for the second references and latents."""
        self.store, self.data, self.latent_dim, self.device, self.pairs = store, data, latent_dim, device, pairs
        self.seed = seed
        members = [store.rows_of(label) for label in range(len(store.classes))]
        self.rows, self.counts = np.concatenate(members), np.array([len(rows) for rows in members])
        self.first = np.cumsum(self.counts) - self.counts  # where each class begins in `rows`

    def __getitem__(self, step):
        rng = np.random.Generator(np.random.Philox(key=[self.seed, step]))
        size = self.data.batch_size
        source, _, y_org = self._draw(rng, size)
        first, second, y_trg = self._draw(rng, size)
        z_trg, z_trg2 = rng.standard_normal((2, size, self.latent_dim), dtype=np.float32)
        return TrainingBatch(
            x_real=self._images(rng, source),
            y_org=self._to_device(y_org),
            x_ref=self._images(rng, first),
            x_ref2=self._images(rng, second) if self.pairs else None,
            y_trg=self._to_device(y_trg),
            z_trg=self._to_device(z_trg),
            z_trg2=self._to_device(z_trg2) if self.pairs else None,
        )

    def _draw(self, rng, size):
        """Rows of two different images of each of `size` classes, and the classes."""
        labels = rng.integers(len(self.counts), size=size)
        one, other = rng.integers(self.counts[labels]), rng.integers(self.counts[labels] - 1)
        other += other >= one
        return self.rows[self.first[labels] + one], self.rows[self.first[labels] + other], labels

    def _images(self, rng, rows):
        images = load(self.store, rows, self.device, self.data.scale, self.data.shift)
        draws = torch.from_numpy(rng.random((7, len(rows)), dtype=np.float32))
        return augment(images, self.data, draws.to(self.device))

    def _to_device(self, array):
        return torch.from_numpy(array).to(self.device)


def augment(images, data, draws):
    """Flip and crop each image by its own chance.

    Args:
        images: (B, C, H, W).
        data: a config's `data` section: `augment.hflip`, `augment.vflip`, `rand_crop_prob`.
        draws: (7, B) uniform in [0, 1): flips (2), whether to crop, and the crop's area, ratio and place (2).
    """
    if data.augment.hflip:
        images = torch.where(_each(draws[0] < data.augment.hflip), images.flip(-1), images)
    if data.augment.vflip:
        images = torch.where(_each(draws[1] < data.augment.vflip), images.flip(-2), images)
    if data.rand_crop_prob:
        images = torch.where(_each(draws[2] < data.rand_crop_prob), _crop(images, *draws[3:]), images)
    return images


def _each(condition):
    return condition[:, None, None, None]


def _crop(images, area, ratio, x, y):
    """Crops of 80 to 100 % of the area and 9:10 to 11:10 in shape, resized to the full size (StarGAN v2's)."""
    area, ratio = 0.8 + 0.2 * area, 0.9 * (1.1 / 0.9) ** ratio
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    zero = torch.zeros_like(width)
    left_right = torch.stack([width, zero, (1 - width) * (2 * x - 1)], 1)
    top_bottom = torch.stack([zero, height, (1 - height) * (2 * y - 1)], 1)
    grid = F.affine_grid(torch.stack([left_right, top_bottom], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
