"""The training of a classifier, for users without one."""

import math
import warnings
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from quac.classifier.backbones import build_backbone
from quac.config import Config
from quac.config.data import Data
from quac.config.evaluation import Judging
from quac.data.augment import DRAWS, augment
from quac.data.batches import batches_of, load, to_square
from quac.data.store import Store
from quac.system.console import log, progress
from quac.system.errors import QuacError
from quac.system.files import FilePath, save_torch

RISE = 0.3  # share of the epochs in which the learning rate rises


def fit_classifier(
    store: Store, validation: Store, config: Config, device: torch.device, weights: FilePath | None = None
) -> tuple[nn.Module, dict[str, Any]]:
    """Train on the training split, and keep the weights of the epoch with the lowest cross-entropy on validation.

    The training ends `patience` epochs after the best one, but not while the learning rate still rises. Nothing is
    learned from the images of the validation split.

    Args:
        store: the training split.
        validation: the validation split, with images of any size.
        config: `classifier`, `validation_config` (scale, shift, img_size), `data` (scale, shift, augment), `model`
            (img_size, input_dim) and `run.seed` are used. The network gets images as it will when it judges.
        weights: file of initial weights, see `build_backbone`.

    Returns:
        `(network, record)`: the network, in evaluation mode, and JSON values: `epochs`, a row for each (`train_loss`,
        `validation_loss`: mean cross-entropies, by the class weights; `validation_accuracy`; `lr` of its last step),
        `chosen_epoch`, counted from 1, `backbone`, `parameters`.

    Raises QuacError if the splits do not fit, or the training diverges.
    """
    fitting, judging, seed = config.classifier, config.validation_config, config.run.seed
    store.require(config.model, store.classes, squares=True)
    validation.require(config.model, store.classes)
    torch.manual_seed(seed)
    network = build_backbone(fitting, int(store.shapes[0, 0]), len(store.classes), weights).to(device)
    class_weights = _class_weights(store, fitting.class_weights).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=fitting.lr)
    # A batch normalisation needs more than one image.
    steps = max(1, min(-(-len(store) // fitting.batch_size), len(store) // 2))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, fitting.lr, fitting.epochs * steps, pct_start=RISE)
    rows: list[dict[str, Any]] = []
    chosen: dict[str, Any] = {"epoch": 0, "validation_loss": math.inf}
    best: dict[str, torch.Tensor] = {}
    for epoch in progress(range(1, fitting.epochs + 1), "fitting the classifier"):
        network.train()
        rng = np.random.Generator(np.random.Philox(key=[seed, epoch - 1]))
        total = weight = 0.0
        for batch in np.array_split(rng.permutation(len(store)), steps):
            images = _augmented(store, batch, rng, config.data, judging, device)
            labels = torch.from_numpy(store.labels[batch]).to(device)
            loss = F.cross_entropy(network(images), labels, class_weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            lr = schedule.get_last_lr()[0]
            schedule.step()
            share = class_weights[labels].sum().item()
            total, weight = total + loss.item() * share, weight + share
        row = {"epoch": epoch, "lr": lr, "train_loss": total / weight}
        row |= _evaluate(network, validation, config, class_weights, device)
        if not math.isfinite(row["train_loss"] + row["validation_loss"]):
            raise QuacError(f"classifier.lr: the training of the classifier diverged in epoch {epoch}; lower it")
        rows.append(row)
        if row["validation_loss"] < chosen["validation_loss"]:
            chosen, best = row, {name: value.clone() for name, value in network.state_dict().items()}
        if epoch - max(chosen["epoch"], RISE * fitting.epochs) >= fitting.patience:
            break
    network.load_state_dict(best)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    log.info(
        "%s, %d parameters: epoch %d of %d, with an accuracy of %.1f %% on validation (cross-entropy %.4f)",
        *(fitting.backbone, parameters, chosen["epoch"], len(rows)),
        *(100 * chosen["validation_accuracy"], chosen["validation_loss"]),
    )
    record = {"backbone": fitting.backbone, "parameters": parameters, "chosen_epoch": chosen["epoch"], "epochs": rows}
    return network.eval(), record


@torch.inference_mode()
def _evaluate(
    network: nn.Module, store: Store, config: Config, class_weights: torch.Tensor, device: torch.device
) -> dict[str, float]:
    """Loss and accuracy on the validation split, as in a row of the record."""
    network.eval()
    total = weight = correct = 0.0
    for rows in batches_of(store, np.arange(len(store)), config.classifier.batch_size):
        x = load(store, rows, device, config.data.scale, config.data.shift)
        logits = network(_as_judged(x, config.validation_config))
        labels = torch.from_numpy(store.labels[rows]).to(device)
        total += F.cross_entropy(logits, labels, class_weights, reduction="sum").item()
        weight += class_weights[labels].sum().item()
        correct += (logits.argmax(1) == labels).sum().item()
    return {"validation_loss": total / weight, "validation_accuracy": correct / len(store)}


def save_torchscript(network: nn.Module, path: FilePath) -> None:
    """Write a network as TorchScript, for CPU and GPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, but the tools of QuAC read this format
        save_torch(path, torch.jit.script(network.cpu()), torch.jit.save)


def _class_weights(store: Store, choice: str) -> torch.Tensor:
    """Weights of the classes in the loss, (classes,) float32: 1, or inverse to their number of images (`balanced`)."""
    counts = np.bincount(store.labels, minlength=len(store.classes)).clip(1)
    weights = len(store) / (len(counts) * counts) if choice == "balanced" else np.ones(len(counts))
    return torch.from_numpy(weights).float()


def _augmented(
    store: Store, rows: np.ndarray, rng: np.random.Generator, data: Data, judging: Judging, device: torch.device
) -> torch.Tensor:
    """Training images as the network gets them: cropped, shifted, and augmented by `data.augment`."""
    offsets = store.crop_offsets(rows, store.crop_size, rng.random((2, len(rows)))) if store.crop_size else None
    x = load(store, rows, device, data.scale, data.shift, offsets)
    x = _shift(x, torch.from_numpy(rng.uniform(-1, 1, (len(rows), 2)).astype(np.float32)).to(device))
    if any(vars(data.augment).values()):
        draws = rng.random((DRAWS, len(rows)), dtype=np.float32)
        x = augment(x, data.augment, torch.from_numpy(draws).to(device))
    return _as_judged(x, judging)


def _as_judged(images: torch.Tensor, judging: Judging) -> torch.Tensor:
    """Images in the networks' range as the classifier gets them when it judges."""
    # In a resolved config the size is filled in, and a classifier that is fitted has one range for all channels.
    scale, shift, size = cast(float, judging.scale), cast(float, judging.shift), cast(int, judging.img_size)
    return to_square(images * scale + shift, size)


def _shift(images: torch.Tensor, amounts: torch.Tensor) -> torch.Tensor:
    """Move each image by up to a sixteenth of its side, with repeated borders; amounts are (B, 2) in [-1, 1]."""
    theta = torch.eye(2, 3, device=images.device).repeat(len(images), 1, 1)
    theta[:, :, 2] = amounts / 8  # in units of affine_grid, where the side is 2
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
