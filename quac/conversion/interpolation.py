"""From one style to the next: a strip of images, or an animation."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from quac.system.errors import QuacError
from quac.system.files import whole

MILLISECONDS = 80  # of a frame
_ANIMATIONS = {".gif": ("GIF", {"disposal": 2}), ".webp": ("WEBP", {"lossless": True})}


def interpolate(styles, frames):
    """Styles (S, style_dim) -> (frames, style_dim): evenly along the lines from each to the next, with both ends."""
    places = torch.linspace(0, len(styles) - 1, frames, device=styles.device)
    before = places.floor().long().clamp(max=len(styles) - 2)
    return torch.lerp(styles[before], styles[before + 1], (places - before)[:, None])


def require_view(path):
    """Stop where the name of a picture is none that is written."""
    if Path(path).suffix.lower() not in (".png", *_ANIMATIONS):
        raise QuacError(f"--out: {path} must end in .png, for a strip, or in {' or '.join(_ANIMATIONS)}")


def write_view(path, query, frames):
    """Write PIL images of one size: as a PNG the query and the frames side by side, else the frames in turn."""
    with whole(path) as temporary:
        if Path(path).suffix.lower() == ".png":
            Image.fromarray(np.concatenate([np.asarray(image) for image in (query, *frames)], 1)).save(temporary, "PNG")
            return
        name, options = _ANIMATIONS[Path(path).suffix.lower()]
        first, *others = frames
        first.save(temporary, name, save_all=True, append_images=others, duration=MILLISECONDS, loop=0, **options)
