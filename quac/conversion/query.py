"""An image file on its way to the networks and back."""

from dataclasses import dataclass

import numpy as np
import torch

from quac.data.batches import to_range
from quac.data.decode import Decoded, ImageError
from quac.data.encode import encode
from quac.data.images import read_image, resize, to_8_bit, to_channels, to_depth, to_image
from quac.data.masks import read_mask, soften
from quac.data.preprocess import crop_of, for_conversion, middle, parts, scaled_size
from quac.system.files import digest_of_file


@dataclass(frozen=True)
class Query:
    """A query image: as its file holds it, and as the networks take it."""

    decoded: Decoded
    pixels: np.ndarray  # (height, width, 1 or 3), see `quac.data.images.read_image`
    x: torch.Tensor  # (1, C, H, W) in the networks' range, of a size that they take
    digest: str  # SHA-256 of the file, hex
    mask: np.ndarray | None  # (height, width, 1) uint16: what of it is converted; None: all
    inside: torch.Tensor  # (1, 1, H, W), the mask of `x`: 1 inside

    @property
    def height(self):
        return self.pixels.shape[0]

    @property
    def width(self):
        return self.pixels.shape[1]

    def restore(self, image):
        """A generated image (H, W, C) -> pixels of the query's size, both uint16 that span [0, 1].

        Outside of its mask they are the query's; where it has colours, so has the result.
        """
        pixels = resize(image, self.width, self.height)
        if self.mask is None:
            return pixels
        channels = max(self.pixels.shape[2], pixels.shape[2])
        own, pixels = (
            to_channels(each, channels).astype(np.float64) for each in (to_depth(self.pixels, np.uint16), pixels)
        )
        return (own + (pixels - own) * (self.mask / 65535) + 0.5).astype(np.uint16)

    def write(self, path, image, network):
        """Write a generated image in the size, the format and the depth of the query."""
        outside = None if self.mask is None else self.mask[:, :, 0] == 0
        encode(path, self.restore(image), self.decoded, network.description.range, outside)

    def shown(self, image):
        """A generated image in the size of the query, for view: a PIL image of 8 bits."""
        return to_image(to_8_bit(self.restore(image)).transpose(2, 0, 1))


def read_query(path, network, native=False, mask=None, mask_edge=0):
    """Read a query image.

    Args:
        native: leave it as large as it is; otherwise it is scaled as the training's images were, but not cropped.
        mask: file of the mask inside of which it is converted. None: all of it is.
        mask_edge: see `quac.data.masks.soften`, in pixels of the query.

    Either way sides are rounded to what the networks take. Raises ImageError as `quac.data.images.read_image`.
    """
    description = network.description
    scaling = None if native else parts(description.preprocess)[0]
    sizes = description.model_copy(update={"preprocess": scaling or "none"})
    pixels, decoded = read_image(path, description)
    x = _tensor(_scaled(pixels, sizes), network)
    inside, of_pixels = torch.ones_like(x[:, :1]), None
    if mask:
        of_pixels = _mask(mask, pixels, mask_edge, description)
        scaled = resize(of_pixels, *reversed(x.shape[2:])).transpose(2, 0, 1)[None]
        inside = to_range(torch.from_numpy(scaled.copy()), 1, 0).to(network.device)
    return Query(decoded, pixels, x, digest_of_file(path), of_pixels, inside)


def _mask(path, pixels, edge, reading):
    height, width = pixels.shape[:2]
    try:
        return soften(resize(read_mask(path, width, height, reading), width, height), edge)
    except ImageError as error:
        raise ImageError(f"its mask {path} {error}") from None


def read_reference(path, network):
    """A reference image, brought to its size as for the training: (1, C, height, width) in the networks' range."""
    description = network.description
    sizes = description.model_copy(update={"preprocess": for_conversion(description.preprocess)})
    pixels = _scaled(read_image(path, description)[0], sizes)
    if crop_of(sizes.preprocess):
        pixels = middle(pixels, min(*pixels.shape[:2], description.img_size))
    return _tensor(pixels, network)


def _scaled(pixels, sizes):
    width, height = scaled_size(pixels.shape[1], pixels.shape[0], sizes)
    if width * height > sizes.max_pixels:
        raise ImageError(f"would be scaled to {width} x {height} pixels, more than {sizes.max_pixels:,}; resize it")
    return resize(to_channels(pixels, sizes.channels), width, height)


def _tensor(pixels, network):
    description = network.description
    pixels = torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy())  # Pillow's is not to be written to
    return to_range(pixels, description.scale, description.shift).to(network.device)
