"""The terms of the objective (arXiv 1912.01865, section 2.2).

Each term is a mean over all elements, in float32 or higher. Legend: x image, y class, s style, G generator, F mapping
network, E style encoder, D discriminator.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def as_float32(x: Tensor) -> Tensor:
    """bfloat16 -> float32; other types unchanged."""
    return x.float() if x.dtype == torch.bfloat16 else x


def adversarial_loss(logits: Tensor, real: bool) -> Tensor:
    """-log D if the images should pass as real, else -log(1 - D); logits (B,) (eq. 1, non-saturating)."""
    logits = as_float32(logits)
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def r1_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """1/2 E |grad_x D(x)|^2 on real images (arXiv 1801.04406, eq. 9); the images must require gradients."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return 0.5 * as_float32(gradient).square().flatten(1).sum(1).mean()


def style_loss(predicted: Tensor, style: Tensor) -> Tensor:
    """|E(G(x, s)) - s|_1: the generated image has the style that it was given; styles (B, style_dim) (eq. 2)."""
    return (as_float32(predicted) - as_float32(style)).abs().mean()


def diversity_loss(image: Tensor, other: Tensor) -> Tensor:
    """|G(x, s1) - G(x, s2)|_1, to be maximised (eq. 3); no gradients reach the second image."""
    return (as_float32(image) - as_float32(other).detach()).abs().mean()


def cycle_loss(reconstruction: Tensor, image: Tensor, norm: str = "l1") -> Tensor:
    """Distance of G(G(x, s), E(x)) from x: everything but the style is preserved (eq. 4 uses l1).

    `norm`: l1, l2 (mean square), or gradient (l1 of the differences between neighbouring pixels, in both directions).
    """
    difference = as_float32(reconstruction) - as_float32(image)
    if norm == "l2":
        return difference.square().mean()
    if norm == "gradient":
        return difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean()
    return difference.abs().mean()


def identity_loss(image: Tensor, query: Tensor) -> Tensor:
    """|G(x, E(x)) - x|_1: given its own style, an image stays the same (as in CycleGAN, arXiv 1703.10593, sec. 5.2)."""
    return (as_float32(image) - as_float32(query)).abs().mean()


def classifier_loss(probabilities: Tensor, y: Tensor) -> Tensor:
    """-log p(y) by the classifier that will judge; probabilities (B, classes)."""
    return F.nll_loss(as_float32(probabilities).clamp_min(1e-12).log(), y)
