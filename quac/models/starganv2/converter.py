"""StarGAN v2 as a converter: see `quac.models.base`."""

from pathlib import Path
from typing import cast

import torch
from torch import nn

from quac.config.choices import STYLE_KINDS
from quac.data.batches import to_square
from quac.data.store import Store
from quac.models.base import Styles
from quac.models.starganv2.checkpoint import open_checkpoint
from quac.models.starganv2.checkpoint_info import CheckpointInfo
from quac.models.starganv2.networks import Generator
from quac.models.starganv2.styles import LatentStyles, ReferenceStyles
from quac.system.errors import QuacError


class StarGANv2Converter:
    """The averaged generator, mapping network and style encoder."""

    style_kinds: tuple[str, ...] = STYLE_KINDS

    def __init__(self, info: CheckpointInfo, networks: nn.ModuleDict, device: torch.device):
        """`networks`: `generator`, `mapping_network` and `style_encoder`, on the device."""
        self.info, self.classes, self.device = info, info.classes, device
        self.generator = cast(Generator, networks["generator"])
        self.mapping_network = networks["mapping_network"]
        self.style_encoder = networks["style_encoder"]

    @classmethod
    def open(cls, path: Path | str, device: torch.device) -> "StarGANv2Converter":
        """The networks of a checkpoint that describes itself. Raises QuacError if it cannot be used."""
        return cls(*open_checkpoint(Path(path), device), device)

    def prepare(self, x: torch.Tensor) -> torch.Tensor:
        """Images (B, C, H, W) -> features (B, channels, height, width)."""
        return self.generator.features(x)

    def styles(self, style_kind: str, references: Store | None = None, *, seed: int, batch_size: int = 1) -> Styles:
        """Styles of latents, or of reference images; see `quac.models.base.Converter`."""
        if style_kind == "latent":
            return LatentStyles(self.mapping_network, self, seed)
        if style_kind == "reference" and references is not None:
            return ReferenceStyles(self, references, seed, batch_size)
        raise QuacError(f"style kind {style_kind}: unknown. Choose from {', '.join(self.style_kinds)}.")

    def render(self, prepared: torch.Tensor, style: torch.Tensor, target: int) -> torch.Tensor:
        """Features and styles (B, style_dim) -> images (B, C, H, W); the class is part of the style."""
        return self.generator.render(prepared, style)

    def own_style(self, x: torch.Tensor, label: int) -> torch.Tensor:
        """Styles (B, style_dim) of images of one class; they are resized to the squares that the encoder takes."""
        labels = torch.full((len(x),), label, device=x.device)
        return self.style_encoder(to_square(x, self.info.img_size), labels)
