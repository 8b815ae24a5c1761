"""Image grids of a training: uint8 (height, width, 3), as they are written to PNG files."""

from typing import Any

import numpy as np
import torch
from torch import nn

from quac.config import Config
from quac.config.choices import STYLE_KINDS
from quac.config.data import Data
from quac.data.batches import TrainingBatch, load, to_pixels
from quac.data.store import Store

MAX_QUERIES = 8
MAX_TARGETS = 10
CONVERTED = tuple(f"{prefix}fake_x_{style_kind}" for prefix in ("", "ema_") for style_kind in STYLE_KINDS)
GRIDS = ("samples", "x_real", "x_reference", *CONVERTED)


@torch.no_grad()
def sample_grid(averages: nn.ModuleDict, store: Store, config: Config, device: torch.device) -> np.ndarray:
    """A grid of the same few images at every step, converted by the averaged networks.

    Each row is a query image of the training split, followed by two images per target class: one with the style of a
    latent, one with that of a reference image.
    """
    data, classes = config.data, range(min(len(store.classes), MAX_TARGETS))
    rows = _queries(store)
    x = load(store, rows, device, data.scale, data.shift)
    generator: Any = averages["generator"]
    features = generator.features(x)
    rng = np.random.Generator(np.random.Philox(key=[config.run.seed, 0]))
    z = torch.from_numpy(rng.standard_normal((1, config.model.latent_dim), dtype=np.float32)).to(device)
    columns = [x]
    for label in classes:
        y = torch.tensor([label], device=device)
        reference = load(store, store.rows_of(label)[-1:], device, data.scale, data.shift)
        for style in (averages["mapping_network"](z, y), averages["style_encoder"](reference, y)):
            columns.append(generator.render(features, style.expand(len(x), -1)))
    return _grid(torch.stack(columns, 1).flatten(0, 1), data, len(columns))


@torch.no_grad()
def step_grids(
    networks: nn.ModuleDict, averages: nn.ModuleDict, batch: TrainingBatch, data: Data
) -> dict[str, np.ndarray]:
    """{name: grid} of the first images of a batch, each a row: `x_real`, the queries; `x_reference`, the references;
    the queries converted with the latents (`fake_x_latent`) and the references (`fake_x_reference`) of the step, and
    the same by the averaged networks (`ema_...`)."""
    x_real, x_ref, y, z = (part[:MAX_QUERIES] for part in (batch.x_real, batch.x_ref, batch.y_trg, batch.z_trg))
    images = {"x_real": x_real, "x_reference": x_ref}
    for prefix, nets in (("", networks), ("ema_", averages)):
        styles = {"latent": nets["mapping_network"](z, y), "reference": nets["style_encoder"](x_ref, y)}
        images |= {f"{prefix}fake_x_{kind}": nets["generator"](x_real, style) for kind, style in styles.items()}
    return {name: _grid(x, data, len(x)) for name, x in images.items()}


def _grid(images: torch.Tensor, data: Data, columns: int) -> np.ndarray:
    from torchvision.utils import make_grid  # takes seconds to import

    grid = make_grid(to_pixels(images, data.scale, data.shift), nrow=columns, padding=1)
    return grid.permute(1, 2, 0).cpu().numpy()


def _queries(store: Store) -> np.ndarray:
    """Rows of the first image of each class, then of the second, while every class has one more."""
    members = [store.rows_of(label) for label in range(len(store.classes))]
    in_turn = [row for rows in zip(*members, strict=False) for row in rows]
    return np.array(in_turn[:MAX_QUERIES])
