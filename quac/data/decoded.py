"""An image as its file holds it, and why a file cannot be used as an image."""

from dataclasses import dataclass

import numpy as np

from quac.system.errors import QuacError


class ImageError(QuacError):
    """Why a file cannot be used as an image; the message does not name the file."""


class SeveralPagesError(ImageError):
    """A file has several pages, and none is chosen."""


@dataclass(frozen=True)
class Decoded:
    """An image as its file holds it, upright."""

    values: np.ndarray  # (height, width, samples): uint8, uint16, or another type, which has no range of its own
    mode: str  # of Pillow; with `;16` and so on if the samples are deeper than in that mode
    bits: int  # per sample: 1, 8, 16, 32, 64
    note: str = ""  # what the file leaves open, and how it is read

    @property
    def alpha(self) -> bool:
        """Whether the last sample is the opacity."""
        return self.values.shape[2] in (2, 4)


def require_size(width: int, height: int, max_pixels: int | None) -> None:
    """Raise ImageError if an image is larger than the limit."""
    if max_pixels and width * height > max_pixels:
        raise ImageError(
            f"has {width} x {height} pixels, more than data.max_pixels ({max_pixels:,}); resize it, or raise the limit"
        )


def chosen_page(page: int | None, pages: int) -> int:
    """The page to read, from 0. Raises ImageError if it is not there, or has to be chosen."""
    if page is None and pages > 1:
        raise SeveralPagesError(f"has {pages} pages; choose one by data.page (from 0), or save it alone")
    if page is not None and page >= pages:
        raise ImageError(f"has {pages} page(s), but data.page is {page} (from 0); lower it, or replace the file")
    return page or 0
