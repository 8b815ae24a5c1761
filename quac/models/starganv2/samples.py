"""Image grids, as PNG files have them: uint8 (C, height, width)."""

import numpy as np
import torch

from quac.data.batches import load, to_pixels

MOST_QUERIES = 8
MOST_TARGETS = 10
GRIDS = ("samples", "x_real", "x_ref", "fake_x_latent", "fake_x_ref", "ema_fake_x_latent", "ema_fake_x_ref")


@torch.no_grad()
def sample_grid(averages, store, settings, device):
    """How the averages convert the same few images, now and at every later look.

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
    return _grid(torch.stack(columns, 1).flatten(0, 1), data, len(columns))


@torch.no_grad()
def step_grids(networks, averages, batch, data):
    """What the networks, as they are now, make of the first images of a TrainingBatch.

    Returns:
        {name: grid}, in each a row of the same images: `x_real`, the queries; `x_ref`, the references; the queries
        converted by the latents (`fake_x_latent`) and by the references (`fake_x_ref`) of the step; the same by the
        averages: `ema_fake_x_latent`, `ema_fake_x_ref`.
    """
    x_real, x_ref, y, z = (part[:MOST_QUERIES] for part in (batch.x_real, batch.x_ref, batch.y_trg, batch.z_trg))
    images = {"x_real": x_real, "x_ref": x_ref}
    for prefix, nets in (("", networks), ("ema_", averages)):
        styles = {"latent": nets["mapping_network"](z, y), "ref": nets["style_encoder"](x_ref, y)}
        images |= {f"{prefix}fake_x_{kind}": nets["generator"](x_real, style) for kind, style in styles.items()}
    return {name: _grid(x, data, len(x)) for name, x in images.items()}


def _grid(images, data, columns):
    from torchvision.utils import make_grid  # takes seconds, and few who import this file make grids

    return make_grid(to_pixels(images, data.scale, data.shift), nrow=columns, padding=1).cpu().numpy()


def _queries(store):
    """Rows of the first image of each class, then of the second, while every class has one more."""
    members = [store.rows_of(label) for label in range(len(store.classes))]
    in_turn = [row for rows in zip(*members, strict=False) for row in rows]
    return np.array(in_turn[:MOST_QUERIES])
