"""The interface of a trained conversion network of any kind."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from quac.data.store import Store
from quac.models.starganv2.checkpoint_info import CheckpointInfo


class Styles(Protocol):
    """The styles of one kind: where the style of a try comes from. If a network needs no style, they are (B, 0)."""

    def draw(self, digests: Sequence[str], target: int, number: int) -> tuple[torch.Tensor, list[str]]:
        """Styles (B, style_dim) of try `number` of each query, and their names.

        They are a function of the query's digest, the target class and the number: not of the order of the work.
        """
        ...

    def shared(self, target: int, count: int) -> tuple[torch.Tensor, list[str]]:
        """At most `count` styles (count, style_dim) of a class that are the same for every query, and their names."""
        ...


class Converter(Protocol):
    """A trained conversion network. Images are (B, C, H, W), float32, in the networks' range.

    Attributes:
        info: the checkpoint's description of itself: `classes`, `scale`, `shift`, `img_size` and more.
        classes: names, in the order of the labels.
        style_kinds: where a style may come from, such as `latent` or `reference`.
        device: of the networks.
    """

    info: CheckpointInfo
    classes: list[str]
    style_kinds: tuple[str, ...]
    device: torch.device

    def __init__(self, info: CheckpointInfo, networks: nn.ModuleDict, device: torch.device):
        """`networks`: the averaged ones of a training, on the device."""

    @classmethod
    def open(cls, path: Path | str, device: torch.device) -> "Converter":
        """The networks of a checkpoint. Raises QuacError if it cannot be used."""
        ...

    def prepare(self, x: torch.Tensor) -> torch.Tensor:
        """Queries -> what `render` takes, (B, ...): computed once per query, for any number of tries."""
        ...

    def styles(self, style_kind: str, references: Store | None, *, seed: int, batch_size: int) -> Styles:
        """The styles of a kind, drawn by a seed; reference images are encoded `batch_size` at a time."""
        ...

    def render(self, prepared: torch.Tensor, style: torch.Tensor, target: int) -> torch.Tensor:
        """Prepared queries, and a style for each, (B, style_dim) -> images of the class `target`."""
        ...

    def own_style(self, x: torch.Tensor, label: int) -> torch.Tensor:
        """Styles (B, style_dim) of images of the class `label`: with its own style an image should stay as it is."""
        ...
