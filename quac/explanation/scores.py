"""How little of a change flips the decision: the QuAC score, and the perturbation curves of Khorram and Fuxin."""

import numpy as np
import torch
from torch import Tensor

from quac.classifier.judge import Judge

GRID = np.linspace(0, 1, 101)  # mask sizes at which the curve is read
PERTURBATIONS = 50  # equal steps from the query to the conversion
# Of images that are judged together: on a CPU they have to fit its caches, on a GPU its memory.
CPU_PIXELS, GPU_PIXELS = 2**17, 2**22


def quac_curve(sizes: np.ndarray, changes: np.ndarray) -> np.ndarray:
    """The change of the target's probability at the mask sizes of GRID, linear between the points.

    Args:
        sizes: (n,) mask sizes in [0, 1], in any order.
        changes: (n,) P(hybrid) - P(query). The point (0, 0), without a mask, is added.
    """
    order = np.argsort(sizes, kind="stable")
    return np.interp(GRID, np.concatenate([[0.0], sizes[order]]), np.concatenate([[0.0], changes[order]]))


def quac_score(sizes: np.ndarray, changes: np.ndarray) -> float:
    """Area under `quac_curve`, in [-1, 1]: near 1 if a small mask changes the decision. (QuAC: Adjavon et al. 2024.)"""
    return float(np.trapezoid(quac_curve(sizes, changes), GRID))


@torch.no_grad()
def perturbation_curves(judge: Judge, queries: Tensor, generated: Tensor, labels: Tensor) -> Tensor:
    """Probabilities while the pixels of a query become those of its conversion, the most different ones first.

    Args:
        queries, generated: (B, C, H, W), in the networks' range.
        labels: (B, k) int64, the classes whose probabilities are followed.

    Returns:
        (B, PERTURBATIONS + 1, k): after each of the equal steps; pixels are ranked by |generated - query|, mean over
        the channels. (Khorram and Fuxin 2022, arXiv 2203.12892, section 4.2.)
    """
    change = (generated - queries).abs().mean(1).flatten(1)
    ranks = change.argsort(dim=1, descending=True, stable=True).argsort(1).view(len(queries), 1, *queries.shape[2:])
    ends = torch.linspace(0, change.shape[1], PERTURBATIONS + 1, device=queries.device).round()
    at_a_time = max(1, images_at_a_time(queries) // len(queries))
    parts = []
    for some in ends.split(at_a_time):
        inserted = ranks[:, None] < some.view(1, -1, 1, 1, 1)
        images = torch.where(inserted, generated[:, None], queries[:, None])
        p = judge(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        parts.append(p.gather(2, labels[:, None].expand(-1, len(some), -1)))
    return torch.cat(parts, 1)


def aupc(curves: Tensor) -> Tensor:
    """(B, n, k) probabilities after equal steps -> (B, k) areas under them, in [0, 1] (the paper's equation 8).

    COUT is that of the target less that of the source (equation 9).
    """
    return torch.trapezoid(curves, dim=1) / (curves.shape[1] - 1)


def images_at_a_time(images: Tensor) -> int:
    """How many images like these (B, C, H, W) the classifier gets together."""
    pixels = CPU_PIXELS if images.device.type == "cpu" else GPU_PIXELS
    return max(1, pixels // images[0, 0].numel())
