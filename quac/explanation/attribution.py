"""Attribution methods: which pixels of a query make the difference to its conversion, in the eyes of the classifier."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from captum.attr import IntegratedGradients, Occlusion, Saliency
from torch import Tensor

from quac.classifier.judge import Judge
from quac.explanation.scores import images_at_a_time
from quac.system.keyed_random import generator_of

STEPS = 50  # of the path of `d_ig`
OCCLUSION_WINDOWS = 8  # along a side


def attribute(
    method: str, judge: Judge, queries: Tensor, generated: Tensor, sources: Tensor, digests: Sequence[str] = ()
) -> Tensor:
    """Attributions of a batch, each normalised to [0, 1].

    Args:
        method: one of METHODS.
        judge: the classifier; it must have gradients for `d_ig` and `d_ingrad`.
        queries, generated: (B, C, H, W), in the networks' range.
        sources: (B,) int64, labels of the classes that the queries are converted from.
        digests: of the queries, the seeds of `random`.

    Returns:
        (B, C, H, W) float32: |a| less its smallest value, divided by its largest; 0 throughout if they are equal.
    """
    values = METHODS[method](judge, queries, generated, sources, digests).detach().abs().flatten(1)
    values = values - values.amin(1, keepdim=True)
    peak = values.amax(1, keepdim=True)
    return torch.where(peak > 0, values / peak.clamp_min(torch.finfo(values.dtype).tiny), 0.0).view_as(queries)


def _d_ig(judge: Judge, queries: Tensor, generated: Tensor, sources: Tensor, _: Sequence[str]) -> Tensor:
    """Discriminative integrated gradients: of the source's logit, along the line from conversion to query.

    (Integrated gradients: arXiv 1703.01365, eq. 1. The conversion as baseline: Eckstein et al. 2021.)
    """
    gradients = IntegratedGradients(judge.logits)
    at_a_time = max(len(queries), images_at_a_time(queries))
    return gradients.attribute(queries, generated, sources, n_steps=STEPS, internal_batch_size=at_a_time)


def _d_ingrad(judge: Judge, queries: Tensor, generated: Tensor, sources: Tensor, _: Sequence[str]) -> Tensor:
    """The gradient of the source's logit at the query, times the difference."""
    x = queries.detach().clone().requires_grad_()
    return Saliency(judge.logits).attribute(x, sources) * (generated - queries)


def _occlusion(judge: Judge, queries: Tensor, generated: Tensor, sources: Tensor, _: Sequence[str]) -> Tensor:
    """The fall of the source's logit when a window of the query, in all channels, is that of the conversion.

    (Arxiv 1311.2901, with the conversion in place of a grey square.) Windows overlap by half.
    """
    channels, *sides = queries.shape[1:]
    window = [max(1, side // OCCLUSION_WINDOWS) for side in sides]
    strides = (channels, *(max(1, width // 2) for width in window))
    with torch.no_grad():
        return Occlusion(judge.logits).attribute(queries, (channels, *window), strides, generated, sources)


def _residual(_: Judge, queries: Tensor, generated: Tensor, __: Tensor, ___: Sequence[str]) -> Tensor:
    return generated - queries


def _random(_: Judge, queries: Tensor, __: Tensor, ___: Tensor, digests: Sequence[str]) -> Tensor:
    """Uniform noise, by the digest of the query: the control."""
    drawn = [generator_of(digest).random(queries.shape[1:], np.float32) for digest in digests]
    return torch.from_numpy(np.stack(drawn)).to(queries.device)


METHODS: dict[str, Callable[[Judge, Tensor, Tensor, Tensor, Sequence[str]], Tensor]] = {
    "d_ig": _d_ig,
    "d_ingrad": _d_ingrad,
    "occlusion": _occlusion,
    "residual": _residual,
    "random": _random,
}
CONTROL = "random"  # never the best method
