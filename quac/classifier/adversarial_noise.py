"""Adversarial noise: small changes that fool a classifier, as a control of what its verdicts are worth."""

from collections.abc import Callable

import torch
from torch import Tensor

from quac.classifier.judge import Judge
from quac.system.errors import error_lines

STEPS = 20
STEP_SIZE = 2.5 / STEPS  # of the largest change: enough to reach it, and to move along it (arXiv 1706.06083, sec. 5.1)
# Largest change of a value, as a share of the range; 31 of them, so that bisection takes five.
LADDER = tuple(n / 255 for n in (*range(1, 16), *range(16, 32, 2), *range(32, 57, 4), 64))


def targeted_pgd(
    judge: Judge, x: Tensor, targets: Tensor, eps: float, limits: tuple[float, float], mask: Tensor | None = None
) -> Tensor:
    """Change images so that the classifier calls them the targets: projected gradient descent (arXiv 1706.06083,
    eq. 1).

    STEPS steps by the sign of the gradient of the target's log-probability, from the images as they are.

    Args:
        judge: must give gradients, see `fault_of_gradients`.
        x: images (B, C, H, W) in the range of the networks.
        targets: (B,) int64, labels.
        eps: largest change of a value (L-inf), in the range of the networks.
        limits: smallest and largest value of an image.
        mask: (B, 1, H, W); the change is multiplied by it. None: all may change.
    """
    change = torch.zeros_like(x)
    for _ in range(STEPS):
        change = (change + STEP_SIZE * eps * _gradient(judge, x + change, targets).sign()).clamp(-eps, eps)
        change = (x + (change if mask is None else change * mask)).clamp(*limits) - x
    return x + change


def fault_of_gradients(judge: Judge, x: Tensor) -> str:
    """Why a classifier gives no gradients with respect to images (B, C, H, W); "" if it does."""
    try:
        labels = (torch.full((len(x),), label, device=x.device) for label in range(len(judge.classes)))
        gradients = [_gradient(judge, x, of_all) for of_all in labels]
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # of TorchScript, of exported programs, or of quantised operations
        return error_lines(error)[-1]
    if not any(gradient.any() for gradient in gradients):
        return "its gradients are 0"
    return ""


def _gradient(judge: Judge, images: Tensor, targets: Tensor) -> Tensor:
    """That of the log-probability of the targets (B,) with respect to the images (B, C, H, W)."""
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        log_p = judge.logits(images).log_softmax(1).gather(1, targets[:, None])
        return torch.autograd.grad(log_p.sum(), images)[0].nan_to_num()


def smallest_eps(reaches: Callable[[float], bool]) -> tuple[float, bool]:
    """The smallest of LADDER that reaches what is wanted, as all larger ones do, by bisection.

    Returns `(eps, reached)`; the largest of LADDER, and False, if none reaches it.
    """
    low, high = 0, len(LADDER)
    while low < high:
        middle = (low + high) // 2
        if reaches(LADDER[middle]):
            high = middle
        else:
            low = middle + 1
    return LADDER[min(low, len(LADDER) - 1)], low < len(LADDER)
