"""The training of a classifier, for users without one, and of an oracle."""

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
from quac.config.evaluation import Classifier, Judging
from quac.data.augment import DRAWS, augment
from quac.data.batches import batches_of, load, to_range, to_square, training_squares
from quac.data.store import Store
from quac.system.console import log, progress
from quac.system.errors import QuacError
from quac.system.files import FilePath, save_torch

RISE = 0.3  # share of the epochs in which the learning rate rises
ORACLE_SEED = 2**31  # the bit by which its seed differs from that of the run; torch uses the lower 32
ORACLE_WIDTH = 0.75  # of that of the classifier, so that its training takes less time


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
    return _fit(
        store, validation, config, config.classifier, config.validation_config, config.run.seed, device, weights
    )


def fit_oracle(
    store: Store, validation: Store, config: Config, device: torch.device
) -> tuple[nn.Module, dict[str, Any]]:
    """Train an oracle as a classifier is trained: on the same images, with another seed and another width.

    It is always a `small` one, so that it differs from the classifier also where that is a network of torchvision, or
    the user's. It gets the images as the networks give them.

    Args:
        store, validation: see `fit_classifier`, as for the result.
        config: `classifier`, but for backbone and weights, `data` (scale, shift, augment), `model` (img_size,
            input_dim) and `run.seed` are used.

    Raises QuacError as `fit_classifier` does, with the remedy for runs without an oracle.
    """
    width = max(1, round(ORACLE_WIDTH * config.classifier.width))
    fitting = config.classifier.model_copy(update={"backbone": "small", "width": width})
    judging = Judging(img_size=config.model.img_size)
    try:
        return _fit(store, validation, config, fitting, judging, config.run.seed ^ ORACLE_SEED, device)
    except QuacError as error:
        raise QuacError(f"oracle: {error}; or do without an oracle: oracles: none") from None


def _fit(
    store: Store,
    validation: Store,
    config: Config,
    fitting: Classifier,
    judging: Judging,
    seed: int,
    device: torch.device,
    weights: FilePath | None = None,
) -> tuple[nn.Module, dict[str, Any]]:
    """As `fit_classifier`, for a classifier that gets images by `judging`."""
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
        row |= _evaluate(network, validation, config.data, judging, fitting.batch_size, class_weights, device)
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
    network: nn.Module,
    store: Store,
    data: Data,
    judging: Judging,
    batch_size: int,
    class_weights: torch.Tensor,
    device: torch.device,
) -> dict[str, float]:
    """Loss and accuracy on the validation split, as in a row of the record."""
    network.eval()
    total = weight = correct = 0.0
    for rows in batches_of(store, np.arange(len(store)), batch_size):
        logits = network(_as_judged(load(store, rows, device, data.scale, data.shift), judging))
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
    size = store.crop_size or int(store.shapes[0, 1])
    offsets = store.crop_offsets(rows, size, rng.random((2, len(rows))) if store.crop_size else None)
    draws = rng.random((DRAWS, len(rows)), dtype=np.float32)
    pixels = torch.from_numpy(training_squares(store, rows, offsets, size, data.augment, draws)).to(device)
    x = augment(to_range(pixels, data.scale, data.shift), data.augment, torch.from_numpy(draws).to(device))
    return _as_judged(_shift(x, torch.from_numpy(rng.uniform(-1, 1, (len(rows), 2))).to(device)), judging)


def _as_judged(images: torch.Tensor, judging: Judging) -> torch.Tensor:
    """Images in the networks' range as the classifier gets them when it judges."""
    # In a resolved config the size is filled in, and a classifier that is fitted has one range for all channels.
    scale, shift, size = cast(float, judging.scale), cast(float, judging.shift), cast(int, judging.img_size)
    return to_square(images * scale + shift, size)


def _shift(images: torch.Tensor, amounts: torch.Tensor) -> torch.Tensor:
    """Move each image by up to a sixteenth of its side, with repeated borders; amounts are (B, 2) in [-1, 1].

    By whole pixels, since between them an image gets blurred, and the classifier would never learn from a sharp one.
    """
    height, width = images.shape[-2:]
    top, left = (amounts * torch.tensor([height, width], device=images.device) / 16).round().long().T
    rows = (torch.arange(height, device=images.device) + top[:, None]).clamp(0, height - 1)
    columns = (torch.arange(width, device=images.device) + left[:, None]).clamp(0, width - 1)
    image = torch.arange(len(images), device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)
