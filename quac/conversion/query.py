"""An image file on its way to the networks and back."""

from dataclasses import dataclass

import numpy as np
import torch

from quac.data.batches import to_range
from quac.data.decode import Decoded, ImageError
from quac.data.encode import encode
from quac.data.images import read_image, resize, to_8_bit, to_channels, to_image
from quac.data.preprocess import crop_of, for_conversion, middle, parts, scaled_size
from quac.errors import QuacError
from quac.files import digest_of_file


@dataclass(frozen=True)
class Query:
    """A query image: as its file holds it, and as the networks take it."""

    decoded: Decoded
    width: int
    height: int
    x: torch.Tensor  # (1, C, height, width) in the networks' range, of a size that they take
    digest: str  # SHA-256 of the file, hex

    def restore(self, image, network):
        """A generated image (C, height, width) -> pixels (H, W, C) uint16 of the query's size, spanning [0, 1]."""
        if not image.isfinite().all():
            raise QuacError("the networks give NaN or infinity for this image; give another checkpoint")
        values = network.from_range(image).mul(65535).round().to(torch.int32).permute(1, 2, 0)
        return resize(values.cpu().numpy().astype(np.uint16), self.width, self.height)

    def write(self, path, pixels, network):
        """Write what `restore` gives, in the format and the depth of the query."""
        encode(path, pixels, self.decoded, network.description.range)

    def shown(self, pixels):
        """What `restore` gives, for view: a PIL image of 8 bits."""
        return to_image(to_8_bit(pixels).transpose(2, 0, 1))


def read_query(path, network, native=False):
    """Read a query image.

    Args:
        native: leave it as large as it is; otherwise it is scaled as the training's images were, but not cropped.

    Either way sides are rounded to what the networks take. Raises ImageError as `quac.data.images.read_image`.
    """
    description = network.description
    scaling = None if native else parts(description.preprocess)[0]
    sizes = description.model_copy(update={"preprocess": scaling or "none"})
    pixels, decoded = read_image(path, description)
    height, width = pixels.shape[:2]
    return Query(decoded, width, height, _tensor(_scaled(pixels, sizes), network), digest_of_file(path))


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
