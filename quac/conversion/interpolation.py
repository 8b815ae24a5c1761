"""From one style to the next: a strip of images, or an animation."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from quac.conversion.engine import Drawn, QueryBatch, convert_batch
from quac.conversion.inputs import read_query, read_reference
from quac.conversion.network import ConversionNetwork
from quac.data.decoded import ImageError
from quac.system.errors import QuacError
from quac.system.files import atomic_write

MILLISECONDS = 80  # of a frame
_ANIMATIONS: dict[str, Any] = {".gif": {"format": "GIF", "disposal": 2}, ".webp": {"format": "WEBP", "lossless": True}}


@torch.no_grad()
def write_interpolation(
    network: ConversionNetwork,
    query: Path,
    to: str,
    out: Path,
    frames: int,
    *,
    references: list[Path] | None = None,
    latents: int = 2,
    native: bool = False,
    seed: int = 0,
) -> None:
    """Convert an image by styles on the way from one style to the next, and write a strip or an animation.

    Args:
        to: name of the class.
        references: two images of that class or more, whose styles are taken; otherwise `latents` styles are drawn.
        native: see `quac.conversion.inputs.read_query`.
        seed: of the drawn styles.
    """
    if out.suffix.lower() not in (".png", *_ANIMATIONS):
        raise QuacError(f"--out: {out} must end in .png, for a strip, or in {' or '.join(_ANIMATIONS)}")
    label = network.label_of(to)
    try:
        image = read_query(query, network, native)
    except ImageError as error:
        raise QuacError(f"{query}: {error}") from None
    queries = QueryBatch(network.converter, image.x, [image.digest], depth=image.depth)
    if references:
        styles = torch.cat([network.encode(read_reference(path, network), to) for path in references])
    else:
        styles = torch.cat([style for style, _ in queries.draw(network.latent_styles(seed), label, latents)])
    drawn: Drawn = [(style[None], []) for style in interpolate(styles, frames)]
    rendered = convert_batch(queries, label, drawn, at_a_time=network.at_a_time(*image.x.shape[2:])).images
    if not all(frame.isfinite().all() for frame in rendered):
        raise QuacError(f"{query}: the networks give NaN or infinity for it. Try another checkpoint.")
    _write_view(out, [image.preview(pixels) for pixels in network.to_pixels(torch.cat([image.x, *rendered]))])


def interpolate(styles: torch.Tensor, frames: int) -> torch.Tensor:
    """Styles (S, style_dim) -> (frames, style_dim): evenly along the lines from each to the next, with both ends."""
    positions = torch.linspace(0, len(styles) - 1, frames, device=styles.device)
    before = positions.floor().long().clamp(max=len(styles) - 2)
    return torch.lerp(styles[before], styles[before + 1], (positions - before)[:, None])


def _write_view(path: Path, images: list[Image.Image]) -> None:
    """Write a query and frames, of one size: as a PNG side by side, otherwise the frames in turn."""
    with atomic_write(path) as temporary:
        if path.suffix.lower() == ".png":
            Image.fromarray(np.concatenate([np.asarray(image) for image in images], 1)).save(temporary, "PNG")
            return
        options = {"duration": MILLISECONDS, "loop": 0, **_ANIMATIONS[path.suffix.lower()]}
        images[1].save(temporary, save_all=True, append_images=images[2:], **options)
