"""A small classifier, trained where the user has none."""

import io
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from quac.console import progress
from quac.data.batches import load, to_square
from quac.files import whole


class SmallClassifier(nn.Sequential):
    """Three stages of two 3x3 convolutions, each halving the resolution; then the mean over what is left.

    (B, channels, H, W) -> logits (B, classes).
    """

    def __init__(self, channels, classes, width):
        stages, dim = [], channels
        for out in (width, 2 * width, 4 * width):
            stages += [*_conv(dim, out, stride=1), *_conv(out, out, stride=2)]
            dim = out
        super().__init__(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(dim, classes))


def fit_classifier(store, settings, device):
    """Train on the training split. Returns the classifier and the mean loss of each epoch.

    Args:
        settings: the sections `classifier`, `judge` (scale, shift, img_size) and
            `data` (scale, shift) of a config, and `seed`. Images reach the
            network as they will when it judges.
    """
    torch.manual_seed(settings.seed)
    own = settings.classifier
    network = SmallClassifier(int(store.shapes[0][0]), len(store.classes), own.width).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=own.lr)
    steps = -(-len(store) // own.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, own.lr, total_steps=own.epochs * steps)
    losses = []
    for epoch in progress(range(own.epochs), "fitting the classifier"):
        rng = np.random.Generator(np.random.Philox(key=[settings.seed, epoch]))
        total = 0.0
        for rows in np.array_split(rng.permutation(len(store)), steps):
            crops = store.corners(rows, store.side, rng.random((2, len(rows)))) if store.side else None
            x = load(store, rows, device, settings.data.scale, settings.data.shift, crops)
            x = _shift(x, torch.from_numpy(rng.uniform(-1, 1, (len(rows), 2)).astype(np.float32)).to(device))
            x = x * settings.judge.scale + settings.judge.shift
            x = to_square(x, settings.judge.img_size)
            loss = F.cross_entropy(network(x), torch.from_numpy(store.labels[rows]).to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        losses.append(total / len(store))
    return network.eval(), losses


def save_torchscript(network, path):
    """Write a network as TorchScript, for the CPU and the GPU alike."""
    buffer = io.BytesIO()  # torch's own writer aborts on a full disk
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated; it is the format that QuAC's tools read
        torch.jit.save(torch.jit.script(network.cpu()), buffer)
    with whole(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def _conv(dim_in, dim_out, stride):
    return [
        nn.Conv2d(dim_in, dim_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(dim_out),
        nn.ReLU(inplace=True),
    ]


def _shift(images, amounts):
    """Move each image by up to a sixteenth of its side, borders repeated; amounts (B, 2) in [-1, 1]."""
    theta = torch.eye(2, 3, device=images.device).repeat(len(images), 1, 1)
    theta[:, :, 2] = amounts / 8  # in affine_grid's units the side is 2
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
