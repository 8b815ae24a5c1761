"""The terms of the objective (arXiv 1912.01865, section 2.2).

Every term is the mean over its elements, in float32 at least. Legend: x image, y class,
s style, G generator, F mapping network, E style encoder, D discriminator.
"""

import torch
import torch.nn.functional as F


def full(x):
    """bfloat16 -> float32; others as they are."""
    return x.float() if x.dtype == torch.bfloat16 else x


def adversarial_loss(logits, real):
    """-log D for images that should pass as real, -log(1 - D) for others; logits (B,) (eq. 1, non-saturating)."""
    logits = full(logits)
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def r1_penalty(logits, images):
    """1/2 E |grad_x D(x)|^2 on real images (arXiv 1801.04406, eq. 9); images must require gradients."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return 0.5 * full(gradient).square().flatten(1).sum(1).mean()


def style_loss(predicted, style):
    """|E(G(x, s)) - s|_1: the generated image shows the style it was asked for (eq. 2)."""
    return (full(predicted) - full(style)).abs().mean()


def diversity_loss(image, other):
    """|G(x, s1) - G(x, s2)|_1, to be maximised (eq. 3); the second image is held fixed."""
    return (full(image) - full(other).detach()).abs().mean()


def cycle_loss(reconstruction, image, norm="l1"):
    """Distance of G(G(x, s), E(x)) from x: what is not style is preserved (eq. 4, where it is l1).

    `norm`: l1, l2 (mean square), or gradient (l1 of the differences between neighbouring pixels, in both directions).
    """
    difference = full(reconstruction) - full(image)
    if norm == "l2":
        return difference.square().mean()
    if norm == "gradient":
        return difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean()
    return difference.abs().mean()


def identity_loss(image, query):
    """|G(x, E(x)) - x|_1: with its own style, an image stays as it is (CycleGAN's, arXiv 1703.10593, section 5.2)."""
    return (full(image) - full(query)).abs().mean()


def classifier_loss(probabilities, y):
    """-log p(y) by the classifier that will judge; probabilities (B, classes)."""
    return F.nll_loss(full(probabilities).clamp_min(1e-12).log(), y)
