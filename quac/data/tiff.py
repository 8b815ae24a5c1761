"""TIFF files: what the tags say about the pixels, and the pixels of those that Pillow cannot decode."""

import json
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from typing import Any

import numpy as np

from quac.data.decoded import Decoded, ImageError, chosen_page, require_size
from quac.data.orientation import ORIENTATION, upright

LARGEST_TILE = 2**24  # pixels that a tile may have, even if the image has fewer
# A file may hold this few of the bytes of its pixels: so few, or 1 of RATIO if it is compressed.
MIN_BYTES, RATIO = 2**24, 10_000
DESCRIPTION, COMPRESSION, PHOTOMETRIC, STRIP_OFFSETS, METAMORPH_PLANES = 270, 259, 262, 273, 33629
NO_PHOTOMETRIC = "does not say whether 0 is black or white (PhotometricInterpretation): 0 is read as black"

Tags = Mapping[int, Any]


def pillow_is_right(tags: Tags) -> bool:
    """Whether Pillow decodes a TIFF correctly.

    It does not if the image is transposed, has deep, signed or paired samples, or does not say what 0 is.
    """
    bits, samples, formats = max(tags.get(258, (1,))), tags.get(277, 1), set(tags.get(339, (1,)))
    plain = bits <= 8 and samples != 2 and formats == {1} and tags.get(ORIENTATION, 1) <= 4
    return plain and PHOTOMETRIC in tags


def require_content(tags: Tags, size: int) -> None:
    """Raise ImageError if a file of `size` bytes cannot hold the pixels of its image, before memory is taken."""
    expected = math.prod(_shape(tags)) * max(_numbers(tags.get(258, 1))) // 8
    if expected > max(MIN_BYTES, size * (1 if _number(tags.get(COMPRESSION, 1)) == 1 else RATIO)):
        raise ImageError(f"has {size:,} bytes for {expected:,} bytes of pixels: it is truncated; replace or remove it")


def require_tile(tags: Tags, max_pixels: int | None) -> None:
    """Raise ImageError if the tiles of an image are larger than any image may be."""
    width, height = (_number(tags.get(tag, 1)) for tag in (322, 323))
    if max_pixels and width * height > max(max_pixels, LARGEST_TILE):
        raise ImageError(f"has tiles of {width} x {height} pixels, more than data.max_pixels; save it without tiles")


def hidden_planes(tags: Tags, frames: int) -> int:
    """The number of planes of an uncompressed stack, of which only the first has a page of its own; 0: no such stack.

    ImageJ, MetaMorph and tifffile write such stacks: the other planes follow the first one in the file. As in ImageJ,
    its description counts more than the pages.
    """
    description = str(tags.get(DESCRIPTION, ""))
    if _number(tags.get(COMPRESSION, 1)) != 1:
        return 0
    planes = 0
    if description.startswith("ImageJ=") and (match := re.search(r"^images=(\d+)", description, re.MULTILINE)):
        planes = int(match[1])
    elif frames == 1 and description.startswith("{") and '"truncated"' in description:
        with suppress(ValueError, TypeError, KeyError):  # a text that only looks like tifffile's
            planes = math.prod(json.loads(description)["shape"]) // math.prod(_shape(tags))
    elif frames == 1 and METAMORPH_PLANES in tags:
        planes = len(tags[METAMORPH_PLANES])
    return planes if planes > 1 and planes != frames else 0


def with_plane(content: bytes, tags: Tags, plane: int) -> bytes:
    """A file whose first plane is replaced by another one of its hidden planes."""
    bits = max(tags.get(258, (1,)))
    start, size = min(_numbers(tags[STRIP_OFFSETS])), math.prod(_shape(tags)) * bits // 8
    values = content[start + plane * size : start + (plane + 1) * size]
    if len(values) < size:
        raise ImageError(f"ends before its page {plane} (from 0); replace or remove it")
    return b"".join([content[:start], values, content[start + size :]])


def _shape(tags: Tags) -> tuple[int, int, int]:
    """Height, width and samples."""
    return _number(tags[257]), _number(tags[256]), _number(tags.get(277, 1))


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (int(value),)


def _number(value: Any) -> int:
    return int(_numbers(value)[0])


def decode_tiff(content: bytes, page: int | None, max_pixels: int | None, stack: bool = True) -> Decoded:
    """A TIFF that Pillow cannot decode, or decodes wrongly; `stack`: hidden planes are pages, too."""
    import tifffile  # here only: few files need it

    with tifffile.TiffFile(BytesIO(content)) as file:
        first, frames = file.pages[0], len(file.pages)
        tags = _tags(first)
        if stack and (planes := hidden_planes(tags, frames)):
            return decode_tiff(with_plane(content, tags, chosen_page(page, planes)), 0, max_pixels, stack=False)
        chosen: Any = file.pages[chosen_page(page, frames)]
        tags = tags if chosen is first else _tags(chosen)
        require_size(chosen.imagewidth, chosen.imagelength, max_pixels)
        require_tile(tags, max_pixels)
        require_content(tags, len(content))
        opaque = [int(sample) for sample in chosen.extrasamples][:1] in ([1], [2])
        samples = {"YX": 1, "YXS": chosen.shape[-1], "SYX": chosen.shape[0]}.get(chosen.axes, 0)
        assumed = "RGB" if samples in (3, 4) else "MINISBLACK"
        photometric = chosen.photometric.name if PHOTOMETRIC in tags else assumed
        colours = {"MINISBLACK": 1, "MINISWHITE": 1, "RGB": 3}.get(photometric, 0)
        if not colours or samples - colours not in ((0, 1) if opaque or colours == 3 else (0,)):
            raise ImageError(
                f"has the shape {chosen.shape} and the colours {photometric.lower()}; "
                "save it as grey or RGB, with or without opacity, or each channel as a file"
            )
        values = chosen.asarray()
    values = values.transpose(1, 2, 0) if chosen.axes == "SYX" else values
    values = values if values.ndim == 3 else values[:, :, None]
    if values.dtype == bool:
        values = values * np.uint8(255)
    if photometric == "MINISWHITE":
        if values.dtype.kind != "u":
            raise ImageError("stores white as 0, but its values have no maximum; save it with 0 as black")
        values[:, :, 0] = np.iinfo(values.dtype).max - values[:, :, 0]
    values = values if opaque else values[:, :, :colours]
    names, bits = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}, values.dtype.itemsize * 8
    kind = {"f": "F", "i": "S"}.get(values.dtype.kind, "")
    mode = names[values.shape[2]] + (f";{bits}{kind}" if bits > 8 or kind else "")
    note = NO_PHOTOMETRIC if PHOTOMETRIC not in tags and colours == 1 else ""
    return Decoded(upright(values, tags.get(ORIENTATION, 1)), mode, bits, note)


def _tags(page: Any) -> dict[int, Any]:
    """The tags of a page of tifffile that matter here, as Pillow gives them."""
    tags = {tag.code: range(tag.count) if tag.code == METAMORPH_PLANES else tag.value for tag in page.tags}
    return tags | {258: (page.bitspersample,)}
