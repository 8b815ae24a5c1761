"""The training of a classifier, where the user has none."""

import io
import math
import warnings

import numpy as np
import torch
import torch.nn.functional as F

from quac.classifier.backbones import build_backbone
from quac.data.augment import DRAWS, augment
from quac.data.batches import batches_of, load, to_square
from quac.system.console import progress
from quac.system.errors import QuacError
from quac.system.files import whole

RISE = 0.3  # share of the epochs in which the learning rate rises


def fit_classifier(store, validation, settings, device, weights=None):
    """Train on the training split, and keep the weights of the epoch with the lowest cross-entropy on validation.

    The validation split chooses the epoch, and ends the training `patience` epochs after it; the epochs in which the
    learning rate still rises are no reason to end. Nothing is learned from its images.

    Args:
        store: the training split.
        validation: the validation split, its images of any size.
        settings: the sections `classifier`, `judge` (scale, shift, img_size), `data` (scale, shift, augment) and
            `model` (img_size, input_dim) of a config, and `seed`. Images reach the network as they will when it judges.
        weights: file to begin with, see `build_backbone`.

    Returns:
        `(network, record)`: the network, evaluating, and JSON values: `epochs`, a row for each (`train_loss`,
        `validation_loss`: mean cross-entropies, by the class weights; `validation_accuracy`; `lr` of its last step),
        `chosen_epoch`, counted from 1, `backbone`, `parameters`.

    Raises QuacError where the splits do not fit, or the training diverges.
    """
    own = settings.classifier
    store.require(settings.model, store.classes, squares=True)
    validation.require(settings.model, store.classes)
    torch.manual_seed(settings.seed)
    network = build_backbone(own, settings.model.input_dim, len(store.classes), weights).to(device)
    of_class = _class_weights(store, own.class_weights).to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=own.lr)
    steps = max(1, min(-(-len(store) // own.batch_size), len(store) // 2))  # a norm wants more than one image
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, own.lr, total_steps=own.epochs * steps, pct_start=RISE)
    rows, chosen, best = [], None, None
    for epoch in progress(range(1, own.epochs + 1), "fitting the classifier"):
        network.train()
        rng = np.random.Generator(np.random.Philox(key=[settings.seed, epoch - 1]))
        total = weight = 0.0
        for part in np.array_split(rng.permutation(len(store)), steps):
            images, labels = _draw(store, part, rng, settings, device), torch.from_numpy(store.labels[part]).to(device)
            loss = F.cross_entropy(network(images), labels, of_class)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            lr = schedule.get_last_lr()[0]
            schedule.step()
            share = of_class[labels].sum().item()
            total, weight = total + loss.item() * share, weight + share
        row = {"epoch": epoch, "lr": lr, "train_loss": total / weight}
        row |= _evaluate(network, validation, settings, of_class, device)
        if not math.isfinite(row["train_loss"] + row["validation_loss"]):
            raise QuacError(f"classifier.lr: the training of the classifier diverged in epoch {epoch}; lower it")
        rows.append(row)
        if best is None or row["validation_loss"] < chosen["validation_loss"]:
            chosen, best = row, {name: value.clone() for name, value in network.state_dict().items()}
        if epoch - max(chosen["epoch"], RISE * own.epochs) >= own.patience:
            break
    network.load_state_dict(best)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    record = {"backbone": own.backbone, "parameters": parameters, "chosen_epoch": chosen["epoch"], "epochs": rows}
    return network.eval(), record


@torch.inference_mode()
def _evaluate(network, store, settings, of_class, device):
    """What a row of the record says of a split that is not trained on."""
    network.eval()
    total = weight = right = 0.0
    for rows in batches_of(store, np.arange(len(store)), settings.classifier.batch_size):
        x = load(store, rows, device, settings.data.scale, settings.data.shift)
        logits, labels = network(_as_judged(x, settings.judge)), torch.from_numpy(store.labels[rows]).to(device)
        total += F.cross_entropy(logits, labels, of_class, reduction="sum").item()
        weight += of_class[labels].sum().item()
        right += (logits.argmax(1) == labels).sum().item()
    return {"validation_loss": total / weight, "validation_accuracy": right / len(store)}


def save_torchscript(network, path):
    """Write a network as TorchScript, for the CPU and the GPU alike."""
    buffer = io.BytesIO()  # torch's own writer aborts on a full disk
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated; it is the format that QuAC's tools read
        torch.jit.save(torch.jit.script(network.cpu()), buffer)
    with whole(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def _class_weights(store, choice):
    """Weights of the classes in the loss, (classes,) float32: 1, or inverse to their number of images (`balanced`)."""
    counts = np.bincount(store.labels, minlength=len(store.classes)).clip(1)
    weights = len(store) / (len(counts) * counts) if choice == "balanced" else np.ones(len(counts))
    return torch.from_numpy(weights).float()


def _draw(store, rows, rng, settings, device):
    """Images of the training split as the network sees them, cropped, shifted, and augmented as `data.augment` says."""
    crops = store.corners(rows, store.side, rng.random((2, len(rows)))) if store.side else None
    x = load(store, rows, device, settings.data.scale, settings.data.shift, crops)
    x = _shift(x, torch.from_numpy(rng.uniform(-1, 1, (len(rows), 2)).astype(np.float32)).to(device))
    if any(vars(settings.data.augment).values()):
        draws = rng.random((DRAWS, len(rows)), dtype=np.float32)
        x = augment(x, settings.data.augment, torch.from_numpy(draws).to(device))
    return _as_judged(x, settings.judge)


def _as_judged(images, judge):
    """Images in the networks' range as the classifier gets them when it judges."""
    return to_square(images * judge.scale + judge.shift, judge.img_size)


def _shift(images, amounts):
    """Move each image by up to a sixteenth of its side, borders repeated; amounts (B, 2) in [-1, 1]."""
    theta = torch.eye(2, 3, device=images.device).repeat(len(images), 1, 1)
    theta[:, :, 2] = amounts / 8  # in affine_grid's units the side is 2
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
