"""Where the style of a try comes from: a latent, or a reference image.

Every draw is a function of (seed, digest of the query, target class, number of the try): it does not depend on the
order of the work or on how it is split. The references of a query's tries are different ones, as long as there are
enough.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

from quac.data.batches import batches_of, load, pad_rows
from quac.data.store import Store, evenly_spaced
from quac.models.base import Converter
from quac.system.keyed_random import generator_of


def drawn_at(rng: np.random.Generator, size: int, number: int) -> int:
    """Entry `number` of a random permutation of `range(size)`: Fisher-Yates shuffling, no further than it takes."""
    moved: dict[int, int] = {}
    chosen = 0
    for place, draw in enumerate(rng.random(number + 1).tolist()):
        other = place + int(draw * (size - place))
        chosen, moved[other] = moved.get(other, other), moved.get(place, place)
    return chosen


class LatentStyles:
    """Styles that the mapping network computes from standard normal latents."""

    def __init__(self, mapping_network: torch.nn.Module, converter: Converter, seed: int):
        self.mapping_network, self.converter, self.seed = mapping_network, converter, seed

    def draw(self, digests: Sequence[str], target: int, number: int) -> tuple[torch.Tensor, list[str]]:
        """Styles (B, style_dim) of try `number` of each query to the class `target`, and a name for each latent."""
        name, latent_dim = self.converter.classes[target], self.converter.info.model.latent_dim
        generators = [generator_of(self.seed, digest, name, number) for digest in digests]
        latents = [rng.standard_normal(latent_dim, dtype=np.float32) for rng in generators]
        z = torch.from_numpy(np.stack(latents)).to(self.converter.device)
        names = [hashlib.sha256(latent.tobytes()).hexdigest()[:12] for latent in latents]
        return self.mapping_network(z, torch.full((len(z),), target, device=z.device)), names

    def shared(self, target: int, count: int) -> tuple[torch.Tensor, list[str]]:
        """Styles (count, style_dim) of the class `target` that are the same for every query, and their names."""
        drawn = [self.draw([""], target, number) for number in range(count)]
        return torch.cat([style for style, _ in drawn]), [name for _, (name,) in drawn]


class ReferenceStyles:
    """Styles that the style encoder computes from reference images of the target class; each is encoded once."""

    def __init__(self, converter: Converter, store: Store, seed: int, batch_size: int):
        """`store`: the reference images; those of other sizes are resized to squares."""
        self.converter, self.store, self.seed, self.batch_size = converter, store, seed, batch_size
        self.members = [store.rows_of(label) for label in range(len(store.classes))]
        self.encoded: dict[int, torch.Tensor] = {}  # row of the store -> style
        self.unused = [iter(rows.tolist()) for rows in self.members]  # to fill batches up with

    def draw(self, digests: Sequence[str], target: int, number: int) -> tuple[torch.Tensor, list[str]]:
        """Styles (B, style_dim) of try `number` of each query to the class `target`, and the references' paths.

        The tries of a query take all references in a random order, and begin again if there are more tries.
        """
        name, members = self.store.classes[target], self.members[target]
        generators = [generator_of(self.seed, digest, name) for digest in digests]
        places = [drawn_at(rng, len(members), number % len(members)) for rng in generators]
        return self._styles_of(members[places].tolist(), target)

    def shared(self, target: int, count: int) -> tuple[torch.Tensor, list[str]]:
        """See `LatentStyles.shared`: of references spread evenly over the class, fewer if it has fewer."""
        return self._styles_of(evenly_spaced(self.members[target], count).tolist(), target)

    def _styles_of(self, rows: list[int], label: int) -> tuple[torch.Tensor, list[str]]:
        self._encode(sorted({*rows} - self.encoded.keys()), label)
        return torch.stack([self.encoded[row] for row in rows]), [self.store.paths[row] for row in rows]

    def _encode(self, rows: list[int], label: int) -> None:
        info = self.converter.info
        for part in batches_of(self.store, rows, self.batch_size):
            size = self.store.batch_size(part[0], self.batch_size)
            part = np.array([*part, *self._others_like(part[0], label, size - len(part), {*rows})])
            images = load(self.store, pad_rows(part, size), self.converter.device, info.scale, info.shift)
            self.encoded.update(zip(part.tolist(), self.converter.own_style(images, label), strict=False))

    def _others_like(self, row: int, label: int, count: int, taken: set[int]) -> list[int]:
        """References of a class that may be drawn later: in a batch that is padded anyway, they cost nothing."""
        others: list[int] = []
        while len(others) < count and (other := next(self.unused[label], None)) is not None:
            has_the_size = (self.store.shapes[other] == self.store.shapes[row]).all()
            if has_the_size and other not in self.encoded and other not in taken:
                others.append(other)
        return others
