"""Builders that several tests use: tiny images, tiny networks, and runs of the workflow on them."""

import copy
import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from helpers.config_builders import tiny_config
from PIL import Image

import quac.cli  # noqa: F401 (adds the commands)
from quac.cli.command import app
from quac.config.choices import STYLE_KINDS
from quac.config.data import Data
from quac.config.evaluation import Judging
from quac.config.keys import changed_settings, restricted
from quac.config.run_options import RunOptions
from quac.config.stages import StageJob
from quac.data.batches import TrainingBatch
from quac.data.index import build_index
from quac.data.sources import list_source
from quac.data.store import Store, build_store
from quac.evaluation.tries import Tries
from quac.models.starganv2.checkpoint import write_checkpoint
from quac.models.starganv2.checkpoint_info import CheckpointInfo
from quac.models.starganv2.converter import StarGANv2Converter
from quac.models.starganv2.networks import AVERAGED, build_networks
from quac.models.starganv2.step import TrainingStep, build_optimizers
from quac.system.tables import read_table, write_table

ROOT = Path(__file__).parents[2]
SPLITS = {"train": 12, "validation": 5, "test": 4}


def stripes(name, rng, size=32):
    """A grey image of a class: `across` and `along` are stripes of either direction, anything else is a disc."""
    y, x = np.mgrid[:size, :size]
    phase = rng.uniform(0, 2 * np.pi)
    wave = {"across": np.sin(y * 0.8 + phase), "along": np.sin(x * 0.8 + phase)}
    disc = 1.0 - 2.0 * (np.hypot(y - size / 2, x - size / 2) > size * rng.uniform(0.2, 0.4))
    values = wave.get(name, disc) * rng.uniform(60, 110) + 128 + rng.normal(0, 8, (size, size))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def random_batch(seed):
    """A TrainingBatch of noise, for `tiny_config`'s networks of three classes."""
    torch.manual_seed(seed)
    images = [torch.rand(4, 1, 32, 32) * 2 - 1 for _ in range(3)]
    y_org, y_trg = torch.randint(3, (2, 4))
    return TrainingBatch(images[0], y_org, images[1], images[2], y_trg, torch.randn(4, 4), torch.randn(4, 4))


def training_step(
    loss=None, solver=None, lr=1e-3, layout=torch.contiguous_format, device="cpu", freeze=False, **options
):
    """A TrainingStep of small networks of three classes, untrained; `freeze`: lower blocks of the discriminator."""
    config = tiny_config(loss=loss or {}, solver={"lr": lr, "f_lr": lr, **(solver or {})})
    torch.manual_seed(0)
    networks = build_networks(config.model, 3).to(device, memory_format=layout)
    optimizers = build_optimizers(networks, config.solver)
    networks["discriminator"].main[:2].requires_grad_(not freeze)
    return TrainingStep(networks, copy.deepcopy(networks), optimizers, config.loss, config.solver, **options)


def write_images(folder, counts, seed=0, size=32):
    """Write `<folder>/<class>/<class>-<number>.png` for each class of `counts` ({class: how many})."""
    for name, count in counts.items():
        (Path(folder) / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            rng = np.random.default_rng([seed, number, *name.encode()])
            stripes(name, rng, size).save(Path(folder) / name / f"{name}-{number:02d}.png")


def write_splits(folder, classes=("across", "along"), counts=SPLITS):
    """A small data set: `<folder>/<split>/<class>/*.png`."""
    for seed, (split, count) in enumerate(counts.items()):
        write_images(Path(folder) / split, dict.fromkeys(classes, count), seed)


def reading(**options):
    """A config's `data` section: how files become pixels."""
    return Data(**options)


def make_index(path, source, **options):
    """Write the index of a source; returns it as it is read again."""
    index, facts = build_index(list_source(str(source), "train"), reading(**options))
    write_table(path, index, split="train", **facts)
    return read_table(path)


def storing(size=32, channels=1, **options):
    """A config whose training split is stored by `options` of its `data` section; any preprocess mode is allowed."""
    config = tiny_config()
    data = Data(img_size=size, **options)
    model = config.model.model_copy(update={"img_size": size, "input_dim": channels})
    return config.model_copy(update={"data": data, "model": model})


def make_store(folder, counts, size=32, channels=1, seed=0, **options):
    """Images, their index and their store; returns the open Store. The images have 32 x 32 pixels."""
    folder = Path(folder)
    write_images(folder / "images", counts, seed)
    index = make_index(folder / "index.parquet", folder / "images")
    build_store(folder / "pixels.store", index, storing(size, channels, **options), "train")
    return Store.open(folder / "pixels.store", folder / "index.parquet")


def restricted_config(stage, split=None, /, **sections):
    """A `tiny_config` that has only the keys that a stage reads, as from its key file."""
    job = StageJob(stage, split)
    return restricted(job, changed_settings(tiny_config(**sections), job))


def run_options(**options):
    """How a training is carried out, by default as `tiny_config` says."""
    return RunOptions.of(tiny_config()).model_copy(update=options)


def training_config(**sections):
    """The part of a config that a training depends on, as `quac train` reads it from its key file."""
    return restricted_config("train", **sections)


def judging(scale=1.0, shift=0.0, img_size=32, outputs="auto", classes=None):
    """How a Judge shows images to its classifier."""
    return Judging(scale=scale, shift=shift, img_size=img_size, outputs=outputs, classes=classes)


def converter_of(networks, classes, device="cpu", **sections):
    """The converter of networks of `tiny_config`."""
    info = CheckpointInfo.of(tiny_config(**sections), list(classes), 0)
    return StarGANv2Converter(info, networks, torch.device(device))


def tries_of(frame, **about):
    """Tries of a table, which are those of a small conversion unless `about` changes it."""
    defaults = {"step": 4, "checkpoint": "4.ckpt", "checkpoint_digest": "d", "classes": ["a", "b"], "tries": 3}
    defaults |= {"max_per_class": None, "shard": [0, 1], "found": {}, "masked": None, "provenance": {}}
    return Tries(frame, **{**defaults, **about})


def styles_of(converter, references, batch_size=4, kinds=STYLE_KINDS):
    """{style kind: its styles}, of seed 0."""
    return {kind: converter.styles(kind, references, seed=0, batch_size=batch_size) for kind in kinds}


def ours(path, seed=0, classes=("a", "b"), step=10, **sections):
    """Write a checkpoint of ours, of untrained networks."""
    torch.manual_seed(seed)
    config = training_config(**sections)
    networks = build_networks(config.model, len(classes))
    weights = {name: networks[name].state_dict() for name in AVERAGED}
    write_checkpoint(path, weights, CheckpointInfo.of(config, classes, step))
    return path


def command(*arguments):
    """Run `quac <arguments>` in this process, which is quicker; returns its `status` and `output`."""
    output = io.StringIO()
    with redirect_stderr(output), redirect_stdout(output):
        try:
            status = app([str(word) for word in arguments], standalone_mode=False)
        except SystemExit as ended:
            status = ended.code
    return SimpleNamespace(status=status or 0, output=output.getvalue())


class Brightness(torch.nn.Module):
    """A classifier of two classes: dark, and bright (a mean above 0)."""

    def forward(self, x):
        level = x.mean(dim=(1, 2, 3))
        return torch.stack([-level, level], 1)


def save_classifier(path, module):
    torch.jit.script(module.eval()).save(str(path))
    return path
