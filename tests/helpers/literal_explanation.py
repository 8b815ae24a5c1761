"""The definition of a counterfactual's curve, slow and literal: what tests and benchmarks compare with."""

import cv2
import numpy as np
import torch

from quac.explanation.morphology import ellipse, kernel_sides


def literal(judge, x, generated, attribution, target):
    """QuAC's definition, image by image and threshold by threshold, with OpenCV. Returns sizes, changes, hybrids."""
    side, blur_side = kernel_sides(x.shape)
    sigma = 0.3 * ((blur_side - 1) * 0.5 - 1) + 0.8
    element, anchor = ellipse(side).astype(np.uint8), side // 2
    reflected, other = np.ascontiguousarray(element[::-1, ::-1]), side - 1 - anchor
    before, sizes, changes, hybrids = judge(x[None])[0, target], [], [], []
    for threshold in np.arange(-100, 100) / 100:
        mask, size = np.zeros(x.shape, np.float32), 0
        for channel in range(len(x)):
            above = (attribution[channel].numpy() > threshold).astype(np.uint8)
            above = cv2.dilate(above, element, anchor=(anchor, anchor))
            above = cv2.erode(above, reflected, anchor=(other, other))
            size += int(above.sum())
            mask[channel] = cv2.GaussianBlur(above.astype(np.float32), (blur_side, blur_side), sigma)
        mask = torch.from_numpy(mask)
        hybrid = generated * mask + x * (1 - mask)
        hybrids.append(hybrid)
        sizes.append(size / mask.numel())
        changes.append(float(judge(hybrid[None])[0, target] - before))
    return np.array(sizes), np.array(changes), hybrids
