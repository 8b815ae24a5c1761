"""The trial of a classifier: whether it gives an image the same outputs, whatever is beside it in the batch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from quac.system.errors import QuacError, error_lines

SAME, ALONE = 1e-4, 5e-2  # of the range of outputs: differences by rounding, and by other kernels for other batches
EVAL = "call model.eval() before you script, trace or export it, see docs/how-to/classifier.md"


def try_out(path: object, run: Callable[[Tensor], Any], images: Tensor) -> Tensor:
    """The outputs (images, n) of a classifier for a few images (B, C, H, W), which it got together and one alone.

    Raises QuacError if it does not return a tensor with a row for each image, or if a row depends on chance, as with
    dropout, or on the other images, as with batch normalisation of a model that was saved in training mode.
    """
    outputs = _rows(path, run(images), len(images))
    try:
        alone = _rows(path, run(images[:1]), 1)
    except (QuacError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # of the module, of TorchScript, or of the guards of exported programs
        raise QuacError(
            f"{path}: accepts {len(images)} images, but not one alone ({error_lines(error)[-1]}); save it for batches "
            f"of any size, and {EVAL}"
        ) from None
    require_same(path, outputs, run(images))
    if not _close(alone, outputs[:1], ALONE * _range(outputs)):
        raise QuacError(
            f"{path}: returns other outputs for an image alone than beside others, as with batch normalisation in "
            f"training mode; {EVAL}"
        )
    return outputs


def require_same(path: object, outputs: Tensor, again: Tensor) -> None:
    """Raise QuacError if outputs (images, n) for the same images differ."""
    if not _close(again, outputs, SAME * _range(outputs)):
        raise QuacError(f"{path}: returns other outputs for the same images, as with dropout; {EVAL}")


def _rows(path: object, outputs: Any, count: int) -> Tensor:
    if not isinstance(outputs, Tensor):
        raise QuacError(
            f"{path}: returns a {type(outputs).__name__} instead of a tensor (images, classes); "
            "save a model that returns only the logits"
        )
    if outputs.ndim != 2 or len(outputs) != count:
        raise QuacError(
            f"{path}: returns outputs of shape {tuple(outputs.shape)} for {count} image(s) instead of (images, "
            "classes); keep both dimensions, also for one image: flatten(1) in place of squeeze()"
        )
    return outputs


def _range(outputs: Tensor) -> float:
    known = outputs.float().nan_to_num()
    return max(1e-2, float(known.max() - known.min()))


def _close(outputs: Tensor, expected: Tensor, tolerance: float) -> bool:
    return torch.allclose(outputs.float(), expected.float(), rtol=0, atol=tolerance, equal_nan=True)
