"""Sample grids: how the networks convert the same few images, now and at every later look."""

import numpy as np
import torch
from torchvision.utils import make_grid

from quac.data.batches import load, to_pixels

MOST_QUERIES = 8
MOST_TARGETS = 10


@torch.no_grad()
def sample_grid(averages, store, settings, device):
    """A grid of generated images, uint8 (C, height, width).

    A row is a query image of the training split, followed by two images per
    target class: one from a fixed latent, one from a fixed reference.
    """
    data, classes = settings.data, range(min(len(store.classes), MOST_TARGETS))
    rows = _queries(store)
    x = load(store, rows, device, data.scale, data.shift)
    features = averages["generator"].features(x)
    z = np.random.Generator(np.random.Philox(key=[settings.seed, 0])).standard_normal(
        (1, settings.model.latent_dim), dtype=np.float32
    )
    z = torch.from_numpy(z).to(device)
    columns = [x]
    for label in classes:
        y = torch.tensor([label], device=device)
        reference = load(store, store.rows_of(label)[-1:], device, data.scale, data.shift)
        for style in (averages["mapping_network"](z, y), averages["style_encoder"](reference, y)):
            columns.append(averages["generator"].render(features, style.expand(len(x), -1)))
    images = torch.stack(columns, 1).flatten(0, 1)
    return make_grid(to_pixels(images, data.scale, data.shift), nrow=len(columns), padding=1).cpu().numpy()


def _queries(store):
    """Rows of the first image of each class, then of the second, while every class has one more."""
    members = [store.rows_of(label) for label in range(len(store.classes))]
    in_turn = [row for rows in zip(*members, strict=False) for row in rows]
    return np.array(in_turn[:MOST_QUERIES])
