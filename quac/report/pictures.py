"""Pictures for the report, as data URIs."""

import base64
import io
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from quac.data.images import to_8_bit, to_image
from quac.data.stage_images import read_pixels
from quac.data.store import Store

Pictures = dict[str, Any]  # {name of a section: its pictures}
Picture = Callable[[int], str]  # largest side -> data URI


def query_picture(store: Store, row: int, side: int) -> str:
    """The picture of a real image as the networks see it; its longer side is at most `side` pixels."""
    return data_uri(to_image(to_8_bit(store.images([row])[0].transpose(1, 2, 0))), side)


def picture_of(path: Path, side: int, made: Path) -> str:
    """The picture of an image file of any depth, in the folder `made` by a stage, see `read_pixels`."""
    return data_uri(to_image(to_8_bit(read_pixels(path, made))), side)


def data_uri(image: Image.Image, side: int) -> str:
    """An image as WebP, scaled down if one of its sides is longer than `side` pixels."""
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="webp", quality=85)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def fit_pictures(
    groups: Sequence[dict[Any, Picture]], sides: Sequence[int], max_bytes: int, needed: int
) -> tuple[int, int, dict[Hashable, str]]:
    """Make the pictures of one group after another, until they would take more than `max_bytes`; of one group at least.

    They are made smaller, by the next of `sides`, if fewer than `needed` groups would fit. A key that an earlier group
    has is not made again.

    Returns:
        `(number of groups, largest side, {key: data URI})`.
    """
    for side in sides:
        made: dict[Hashable, str] = {}
        count, room = 0, max_bytes
        for group in groups:
            added = {key: picture(side) for key, picture in group.items() if key not in made}
            room -= sum(map(len, added.values()))
            if room < 0 and count:
                break
            made |= added
            count += 1
        if count >= needed:
            break
    return count, side, made
