"""Rank-1 identification: whether a generated image still shows which query it was made from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from quac.conversion.chosen import chosen_queries
from quac.conversion.engine import TryBatch
from quac.data.batches import batches_of, load
from quac.data.store import Store
from quac.evaluation.metrics import IDENTIFICATION_QUERIES
from quac.models.base import Converter

OTHERS = IDENTIFICATION_QUERIES - 1  # queries of the source class that a query is compared with, at most
SIDE = 32  # pixels, at most
POOLED_AT_A_TIME = 16  # images, to make the small ones


@dataclass(frozen=True)
class Pool:
    """The queries of a class that the others are compared with, the same for all."""

    small: Tensor  # (P, pixels), see `Identification.small`
    digests: np.ndarray  # (P,)
    is_spare: np.ndarray  # (P,) bool: only compared with where the query itself is one of the pool


class Identification:
    """Tells for generated images whether the nearest query of their source class is their own.

    The candidates are the query and OTHERS more of its class, which are drawn by the seed and their digests, or all
    where there are fewer. Distances are L1, of images that are averaged down to SIDE pixels per side at most, all to
    the same square. A tie is no identification; copies of the query's file are the query.
    """

    def __init__(self, store: Store, converter: Converter, seed: int = 0):
        """
        Args:
            store: all queries of the split.
            converter: the range of its images, and its device, are used.
        """
        self.store, self.converter, self.seed = store, converter, seed
        self.side = min(SIDE, store.crop_size or int(store.shapes[:, 1:].min()))
        self.pools: dict[int, Pool] = {}  # by label

    def __call__(self, tries: TryBatch) -> list[dict[str, Tensor]]:
        """{`identified`: (B,)} of each try, see `of`."""
        queries = tries.queries
        found = self.of(torch.stack(tries.images), queries.x, queries.digests, queries.label)
        return [{"identified": values} for values in found]

    def of(self, images: Tensor, x: Tensor, digests: Sequence[str], label: int) -> Tensor:
        """Whether images are nearest to their own query.

        Args:
            images: (T, B, C, H, W), T of each query, in the networks' range.
            x: the queries (B, C, H, W), of the class `label`.
            digests: of each query.

        Returns:
            (T, B) float32, 1 or 0.
        """
        pool, (tries, count) = self._pool(label), images.shape[:2]
        # Query and others in one call: equal images have to get equal distances, to the last bit.
        candidates = torch.cat([pool.small, self.small(x)])
        distances = torch.cdist(self.small(images.flatten(0, 1)), candidates, p=1).view(tries, count, -1)
        others, own = distances.split([len(pool.small), count], dim=2)
        is_own = np.asarray(digests)[:, None] == pool.digests
        left_out = is_own | (pool.is_spare & ~is_own.any(1, keepdims=True))
        others = others.masked_fill(torch.from_numpy(left_out).to(x.device), torch.inf)
        return (own.diagonal(dim1=1, dim2=2) < others.amin(2)).float()

    def small(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) -> (B, C * side * side), averaged down."""
        size = self.side, self.side
        return (images if images.shape[-2:] == size else F.interpolate(images, size=size, mode="area")).flatten(1)

    def _pool(self, label: int) -> Pool:
        if label not in self.pools:
            rows = chosen_queries(self.store, label, self.seed, OTHERS + 1)
            info, parts = self.converter.info, list(batches_of(self.store, rows, POOLED_AT_A_TIME))
            images = (load(self.store, part, self.converter.device, info.scale, info.shift) for part in parts)
            small, rows = torch.cat([self.small(each) for each in images]), np.concatenate(parts)
            is_spare = ~np.isin(rows, chosen_queries(self.store, label, self.seed, OTHERS))
            self.pools[label] = Pool(small, self.store.digests[rows], is_spare)
        return self.pools[label]
