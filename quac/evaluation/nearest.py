"""The nearest real image: what a retrieval from the training images would give in place of a conversion."""

import numpy as np
import torch
from torch import Tensor

from quac.data.batches import batches_of, load, resized
from quac.data.store import Store

MAX_PIXELS = 2**24  # of the real images that are compared at a time


def nearest_images(
    x: Tensor, store: Store, rows: np.ndarray, scale: float, shift: float, mask: Tensor | None = None
) -> tuple[Tensor, np.ndarray]:
    """The image of a store that is nearest to each query by L1.

    Args:
        x: queries (B, C, H, W) of one size, in the range of the networks.
        rows: of the images that are searched; those of another size are resized to that of the queries first.
        scale, shift: the range of the networks.
        mask: (B, 1, H, W); outside of it, where it is 0, differences do not count. None: all count.

    Returns:
        `(images, found)`: the images (B, C, H, W), and their rows (B,).
    """
    size = x.shape[-2:]
    least, found, images = torch.full((len(x),), torch.inf, device=x.device), np.empty(len(x), int), x.clone()
    for part in batches_of(store, rows, max(1, MAX_PIXELS // x[0].numel())):
        candidates = resized(load(store, part, x.device, scale, shift), size)
        distance, nearest = l1_distances(x, candidates, mask).min(1)
        closer = distance < least
        least = torch.where(closer, distance, least)
        images[closer] = candidates[nearest[closer]]
        found[closer.cpu().numpy()] = part[nearest[closer].cpu().numpy()]
    return images, found


def mean_distances(x: Tensor, store: Store, rows: np.ndarray, scale: float, shift: float) -> Tensor:
    """(B,) mean over images of a store of their L1 distance to each query; arguments as for `nearest_images`."""
    parts = batches_of(store, rows, max(1, MAX_PIXELS // x[0].numel()))
    loaded = (resized(load(store, part, x.device, scale, shift), x.shape[-2:]) for part in parts)
    return torch.cat([l1_distances(x, images) for images in loaded], 1).mean(1)


def l1_distances(x: Tensor, images: Tensor, mask: Tensor | None = None) -> Tensor:
    """(B, N) mean absolute differences of queries (B, C, H, W) and images (N, C, H, W); `mask`: (B, 1, H, W)."""
    if mask is None:
        return torch.cdist(x.flatten(1), images.flatten(1), p=1) / x[0].numel()
    weighted = zip(x * mask, mask, strict=True)
    rows = [torch.cdist(query.flatten()[None], (images * weight).flatten(1), p=1) for query, weight in weighted]
    return torch.cat(rows) / x[0].numel()
