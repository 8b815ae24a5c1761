"""Images and arrays that one stage has written and another reads: what is damaged or lost is named, with the remedy."""

import os

import numpy as np

from quac.data.decode import decode
from quac.data.decoded import ImageError
from quac.system.errors import QuacError, reason_of
from quac.system.files import DAMAGED, FilePath


def read_pixels(path: FilePath, folder: FilePath) -> np.ndarray:
    """The values (height, width, channels) of an image file in a `folder` that a stage has made.

    Raises QuacError if it is damaged or lost.
    """
    try:
        return decode(path).values
    except ImageError as error:
        raise _lost(path, folder, str(error).split(";")[0].rstrip(".")) from None


def read_array(path: FilePath, folder: FilePath) -> np.ndarray:
    """The array of an .npy file, likewise."""
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, *DAMAGED) as error:
        raise _lost(path, folder, reason_of(error)) from None


def _lost(path: FilePath, folder: FilePath, reason: str) -> QuacError:
    path, folder = os.path.normpath(path), os.path.normpath(folder)
    return QuacError(f"{path}: {reason}. Delete the folder {folder} and run the workflow again.")
