"""The smallest change that flips a decision: a query in which only what matters is that of its conversion."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from quac.classifier.judge import Judge
from quac.explanation.morphology import blur, closing, kernel_sides
from quac.explanation.scores import GRID, images_at_a_time, quac_curve

THRESHOLDS = 100  # of attributions in [0, 1]: 0, 0.01, ..., 0.99


@dataclass(frozen=True)
class Counterfactuals:
    """The counterfactuals of a batch by one attribution, and the curves they were chosen from.

    Attributes:
        images: (B, C, H, W), in the networks' range.
        masks: (B, C, H, W) in [0, 1]: 1 where a counterfactual is the conversion, 0 where it is the query.
        thresholds: (B,) of the attribution; -1: the whole conversion.
        sizes, changes: (B, 1 + THRESHOLDS) mask size, as a share of all values, and P(hybrid) - P(query) of the target:
            of the whole conversion, then of each threshold, ascending.
        chosen: (B,) the column of the counterfactual.
    """

    images: Tensor
    masks: Tensor
    thresholds: np.ndarray
    sizes: np.ndarray
    changes: np.ndarray
    chosen: np.ndarray

    @property
    def mask_sizes(self) -> np.ndarray:
        """(B,) mask size of each counterfactual, before it is blurred."""
        return self.sizes[np.arange(len(self.chosen)), self.chosen]

    @cached_property
    def curves(self) -> np.ndarray:
        """(B, 101) the changes at mask sizes of 0 to 1, see `quac.explanation.scores.quac_curve`."""
        return np.stack([quac_curve(*points) for points in zip(self.sizes, self.changes, strict=True)])

    @property
    def scores(self) -> np.ndarray:
        """(B,) QuAC scores, the areas under the curves."""
        return np.trapezoid(self.curves, GRID, axis=1)


@torch.no_grad()
def find_counterfactuals(
    judge: Judge, queries: Tensor, generated: Tensor, attributions: Tensor, targets: Tensor
) -> Counterfactuals:
    """For each query the mask with the best trade-off: the smallest (mask size - change of the target's probability).

    Args:
        queries, generated, attributions: (B, C, H, W); attributions in [0, 1].
        targets: (B,) int64, labels of the target classes.

    A mask is where a closed attribution exceeds a threshold, blurred; a hybrid is mask * generated + (1 - mask) *
    query. Of equal trade-offs the larger mask is chosen, as in QuAC. A mask that several thresholds share is judged
    once: masks are nested, so equal sizes are equal masks.
    """
    side, blur_side = kernel_sides(queries.shape)
    closed = closing(attributions, side)
    levels = torch.tensor([-1.0, *(number / 100 for number in range(THRESHOLDS))], device=queries.device)
    counts = torch.stack([(closed > level).flatten(1).sum(1) for level in levels], 1)
    new = torch.cat([torch.ones_like(counts[:, :1], dtype=torch.bool), counts.diff(dim=1) != 0], 1)
    before = judge(queries).gather(1, targets[:, None])[:, 0]
    changes = torch.zeros_like(counts, dtype=torch.float32)
    for places in torch.nonzero(new & (counts > 0)).split(images_at_a_time(queries)):
        rows, columns = places.T
        masks = blur((closed[rows] > levels[columns].view(-1, 1, 1, 1)).to(queries.dtype), blur_side)
        p = judge(torch.lerp(queries[rows], generated[rows], masks))
        changes[rows, columns] = p.gather(1, targets[rows, None])[:, 0] - before[rows]
    last_new = torch.where(new, torch.arange(len(levels), device=queries.device), 0).cummax(1).values
    changes = changes.gather(1, last_new)
    sizes = counts.double() / queries[0].numel()
    chosen = (sizes - changes).argmin(1)
    masks = blur((closed > levels[chosen].view(-1, 1, 1, 1)).to(queries.dtype), blur_side)
    chosen_levels = levels[chosen].cpu().numpy()
    numbers = (values.cpu().numpy() for values in (sizes, changes.double(), chosen))
    return Counterfactuals(torch.lerp(queries, generated, masks), masks, chosen_levels, *numbers)
