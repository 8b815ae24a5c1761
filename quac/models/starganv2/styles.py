"""Where the style of a try comes from: a latent, or a reference image.

Every draw is a function of (seed, digest of the query, target class, number
of the try): it does not depend on the order of the work or on how it is split.
"""

import hashlib

import numpy as np
import torch

from quac.data.batches import batches_of, load, to_square
from quac.data.store import spread
from quac.system.errors import QuacError


def generator_of_try(seed, digest, target, number):
    """The random generator of one try; `target` is a class name."""
    key = hashlib.sha256(f"{seed}\0{digest}\0{target}\0{number}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(key[:16], np.uint64)))


class LatentStyles:
    """Styles of standard normal latents, by the mapping network."""

    def __init__(self, mapping_network, classes, latent_dim, seed, device):
        self.mapping_network, self.classes = mapping_network, classes
        self.latent_dim, self.seed, self.device = latent_dim, seed, device

    def draw(self, digests, label, number):
        """Styles (B, style_dim) of try `number` of each query to the class `label`, and each style's name."""
        latents = [
            generator_of_try(self.seed, digest, self.classes[label], number).standard_normal(
                self.latent_dim, dtype=np.float32
            )
            for digest in digests
        ]
        z = torch.from_numpy(np.stack(latents)).to(self.device)
        y = torch.full((len(digests),), label, device=self.device)
        names = [hashlib.sha256(latent.tobytes()).hexdigest()[:12] for latent in latents]
        return self.mapping_network(z, y), names

    def fixed(self, label, count):
        """Styles (count, style_dim) of the class `label` that are the same for every query, and their names."""
        drawn = [self.draw([""], label, number) for number in range(count)]
        return torch.cat([style for style, _ in drawn]), [name for _, (name,) in drawn]


class ReferenceStyles:
    """Styles of reference images of the target class, by the style encoder; each image is encoded once."""

    def __init__(self, style_encoder, store, data, img_size, batch_size, seed, device):
        """`store` holds the reference images; `data` gives their range (scale, shift).

        The encoder takes squares of `img_size`: images of other sizes are resized for it.
        """
        self.style_encoder, self.store, self.data, self.img_size = style_encoder, store, data, img_size
        self.batch_size, self.seed, self.device = batch_size, seed, device
        self.members = [store.rows_of(label) for label in range(len(store.classes))]
        self.encoded = {}  # row of the store -> style
        self.others = [iter(rows.tolist()) for rows in self.members]  # to fill batches up with

    def draw(self, digests, label, number):
        """Styles (B, style_dim) of try `number` of each query to the class `label`, and the references' paths."""
        target = self.store.classes[label]
        rows = [
            int(generator_of_try(self.seed, digest, target, number).choice(self.members[label])) for digest in digests
        ]
        return self._of(rows, label)

    def fixed(self, label, count):
        """As of LatentStyles: of references spread evenly over the class, fewer where it has fewer."""
        return self._of(spread(self.members[label], count).tolist(), label)

    def _of(self, rows, label):
        self._encode(sorted({*rows} - self.encoded.keys()), label)
        return torch.stack([self.encoded[row] for row in rows]), [self.store.paths[row] for row in rows]

    def _encode(self, rows, label):
        for part in batches_of(self.store, rows, self.batch_size):
            size = self.store.batch_size(part[0], self.batch_size)
            part = np.array([*part, *self._others_like(part[0], label, size - len(part), {*rows})])
            rows_of_batch = padded(part, size)
            images = load(self.store, rows_of_batch, self.device, self.data.scale, self.data.shift)
            images = to_square(images, self.img_size)
            styles = self.style_encoder(images, torch.full((len(images),), label, device=self.device))
            self.encoded.update(zip(part.tolist(), styles, strict=False))

    def _others_like(self, row, label, count, taken):
        """References of a class that may be drawn later: in a batch that is padded anyway, they cost nothing."""
        found = []
        while len(found) < count and (other := next(self.others[label], None)) is not None:
            if (
                other not in self.encoded
                and other not in taken
                and (self.store.shapes[other] == self.store.shapes[row]).all()
            ):
                found.append(other)
        return found


def open_styles(kinds, networks, references, settings, device):
    """{kind: its styles}, see LatentStyles and ReferenceStyles.

    Args:
        networks: `mapping_network` and `style_encoder`.
        references: store of the reference images.
        settings: `seed`, `batch_size`, `model` (latent_dim, img_size) and `data` (scale, shift).
    """
    unknown = set(kinds) - {"latent", "reference"}
    if unknown:
        raise QuacError(f"kind {unknown.pop()}: is unknown; there are latent and reference")
    styles = {}
    if "latent" in kinds:
        styles["latent"] = LatentStyles(
            networks["mapping_network"], references.classes, settings.model.latent_dim, settings.seed, device
        )
    if "reference" in kinds:
        styles["reference"] = ReferenceStyles(
            networks["style_encoder"],
            references,
            settings.data,
            settings.model.img_size,
            settings.batch_size,
            settings.seed,
            device,
        )
    return styles


def padded(rows, size):
    """`rows` filled up to `size` with copies of the last: batches of one shape give the same numbers however cut."""
    return np.concatenate([rows, np.repeat(rows[-1:], size - len(rows))]).astype(np.int64)
