"""The public Python API: a trained conversion network."""

from pathlib import Path

import numpy as np
import torch

from quac.conversion.engine import QueryBatch, convert_batch
from quac.data.batches import to_pixels
from quac.models import open_converter
from quac.models.base import Converter, Styles
from quac.system.device import deterministic, parse_device
from quac.system.errors import QuacError

AT_A_TIME = 16  # images, of the size of the training


class ConversionNetwork:
    """Converts images into another class.

        from quac import ConversionNetwork

        network = ConversionNetwork.load("results/mine/checkpoints/100000_nets_ema.ckpt")
        converted = network.convert(images, to="dog", tries=4)

    Attributes:
        classes: names, in the order of the labels.
        converter: see `quac.models.base.Converter`.
        generator, mapping_network, style_encoder: torch modules, in the networks' range, `scale * [0, 1] + shift`:
            (images, styles) -> images, (latents, labels) -> styles, (images, labels) -> styles. Latents are standard
            normal, (B, latent_dim).
        description: the checkpoint's description of itself: `model`, `scale`, `shift`, `channels`, `img_size` and more.
        device: of the networks.
    """

    def __init__(self, converter: Converter):
        self.converter, self.description = converter, converter.info
        self.classes, self.device = converter.classes, converter.device

    def __getattr__(self, name: str) -> torch.nn.Module:
        if name in ("generator", "mapping_network", "style_encoder"):
            return getattr(self.converter, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name}")

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "auto") -> "ConversionNetwork":
        """Load a checkpoint of a training, or one that `quac import` made from a published one.

        Args:
            device: `auto` (a GPU if there is one), `cpu`, `cuda`, or a torch.device.

        Raises QuacError if the file is not a checkpoint, or does not describe itself.
        """
        return cls(open_converter(path, parse_device(device)))

    @property
    def unit(self) -> int:
        """Sides of images are multiples of it, and at least twice as long."""
        return self.description.img_size // 16

    @torch.no_grad()
    @deterministic()
    def convert(
        self, images: torch.Tensor, to: str, reference: torch.Tensor | None = None, tries: int = 1, seed: int = 0
    ) -> torch.Tensor:
        """Convert images into the class `to`.

        Args:
            images: float (B, C, H, W) in [0, 1], C `description.channels`, H and W multiples of `unit`. Things should
                be as large as in the training, in squares of `description.img_size` pixels.
            reference: float (1 or B, C, H, W) in [0, 1]: images of that class whose style is taken, one for all or one
                for each; they are resized to squares. None: the style is drawn at random.
            tries: styles that are drawn for each image; 1 with a reference.
            seed: of the draws. The styles of image i do not depend on the other images of the batch.

        Returns:
            float32 in [0, 1], on the device of `images`: (B, C, H, W), or (tries, B, C, H, W) if there are several;
            rounded to 16 bits, so that a file of these holds the same.

        Raises QuacError if the shapes or the range are wrong, or there is no such class.
        """
        self._require_images(images, "images")
        if tries < 1 or (reference is not None and tries > 1):
            raise QuacError(f"tries: is {tries}. Give 1 or more; with a reference, which is one style, 1.")
        label, digests = self.label_of(to), [str(number) for number in range(len(images))]
        queries = QueryBatch(self.converter, self.to_range(images), digests)
        if reference is None:
            drawn = queries.draw(self.latent_styles(seed), label, tries)
        else:
            self._require_images(reference, "reference", any_size=True)
            if len(reference) not in (1, count := len(images)):
                raise QuacError(f"reference: holds {len(reference)} images. Give 1, or one for each of the {count}.")
            drawn = [(self.encode(self.to_range(reference), to).expand(count, -1), [])]
        converted = torch.stack([self.from_range(image) for image in convert_batch(queries, label, drawn).images])
        converted = converted.to(images.device)
        return converted if tries > 1 else converted[0]

    def label_of(self, name: str) -> int:
        """The label of a class. Raises QuacError if there is no such class."""
        if name not in self.classes:
            raise QuacError(f"{name}: not a class of this network. Choose from {', '.join(self.classes)}.")
        return self.classes.index(name)

    def latent_styles(self, seed: int) -> Styles:
        """Styles drawn at random, see `quac.models.starganv2.styles.LatentStyles`."""
        return self.converter.styles("latent", None, seed=seed, batch_size=AT_A_TIME)

    @torch.no_grad()
    @deterministic()
    def encode(self, x: torch.Tensor, to: str) -> torch.Tensor:
        """Images (B, C, H, W) in the networks' range, and their class -> their styles (B, style_dim)."""
        return self.converter.own_style(x, self.label_of(to))

    def at_a_time(self, height: int, width: int) -> int:
        """How many images of a size are rendered at a time: together as large as a few of the training's."""
        return max(1, min(AT_A_TIME, AT_A_TIME * self.description.img_size**2 // (height * width)))

    def to_range(self, images: torch.Tensor) -> torch.Tensor:
        """[0, 1] -> the networks' range, on their device."""
        return images.to(self.device, torch.float32) * self.description.scale + self.description.shift

    def from_range(self, x: torch.Tensor) -> torch.Tensor:
        """The networks' range -> [0, 1]; values beyond are clamped."""
        return ((x - self.description.shift) / self.description.scale).clamp(0, 1)

    def to_pixels(self, x: torch.Tensor) -> np.ndarray:
        """Images (B, C, H, W) in the networks' range -> array (B, H, W, C) uint16 that spans [0, 1]."""
        pixels = to_pixels(x, self.description.scale, self.description.shift, torch.uint16)
        return pixels.permute(0, 2, 3, 1).cpu().numpy()

    def _require_images(self, images: torch.Tensor, name: str, any_size: bool = False) -> None:
        channels, unit = self.description.channels, self.unit
        if not (torch.is_tensor(images) and images.is_floating_point() and images.ndim == 4 and len(images)):
            raise QuacError(f"{name}: must be a float tensor (B, C, H, W) with values in [0, 1]")
        if images.shape[1] != channels:
            raise QuacError(f"{name}: have {images.shape[1]} channel(s), but the network takes {channels}")
        height, width = images.shape[2:]
        if not any_size and (height % unit or width % unit or min(height, width) < 2 * unit):
            raise QuacError(
                f"{name}: have {height} x {width} pixels, but the network takes multiples of {unit} from {2 * unit} "
                "on. Resize them, or use `quac convert`, which does."
            )
        if not ((images >= 0) & (images <= 1)).all():
            raise QuacError(f"{name}: have values outside [0, 1]. Scale them by the range of their file, and clamp.")
