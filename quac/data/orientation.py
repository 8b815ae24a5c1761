"""The orientation of an image: how its rows and columns lie in the file."""

import numpy as np

ORIENTATION = 0x0112  # tag of EXIF and TIFF
_TURNS = {  # EXIF orientation -> function that turns the image upright
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


def upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Values (height, width, samples) as they are stored -> upright; an unknown orientation changes nothing."""
    return _TURNS[orientation](values) if orientation in _TURNS else values
