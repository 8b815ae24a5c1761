"""Conversion inside of masks: outside, a generated image is its query."""

import torch


def paste(images, x, masks):
    """Images (..., B, C, H, W) inside of masks (B, 1, H, W), which are 1 there, and x (B, C, H, W) outside, exactly."""
    return torch.lerp(x, images, masks)


class Pasting:
    """A generator whose images are pasted into what they are made of."""

    def __init__(self, generator, masks):
        self.generator, self.masks = generator, masks

    def features(self, x):
        return x, self.generator.features(x)

    def render(self, features, style):
        x, features = features
        return paste(self.generator.render(features, style), x, self.masks)
