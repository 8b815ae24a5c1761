"""Builders that several tests use: tiny images, tiny networks, and runs of the workflow on them."""

import copy
import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import yaml
from PIL import Image

import quac.cli  # noqa: F401 (adds the commands)
from quac.cli.command import app
from quac.config.resolve import resolve
from quac.config.stages import as_dict, stage_settings
from quac.data.batches import TrainingBatch
from quac.data.index import build_index
from quac.data.sources import list_source
from quac.data.store import Store, build_store
from quac.models.starganv2.checkpoint import write_checkpoint
from quac.models.starganv2.checkpoint_info import description_of
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
    optimizers = build_optimizers(networks, config.solver, config.loss.r1_every)
    if freeze:
        options["frozen"] = list(networks["discriminator"].main[:2].parameters())
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
    """How files become pixels, as a key file says it."""
    return SimpleNamespace(
        **{"range": None, "background": (255, 255, 255), "page": None, "max_pixels": 10**8, **options}
    )


def make_index(path, source, **options):
    """Write the index of a source; returns it as it is read again."""
    index, facts = build_index(list_source(str(source), "train"), reading(**options))
    write_table(path, index, split="train", **facts)
    return read_table(path)


def storing(size=32, channels=1, **options):
    """The settings of a store."""
    sizes = {"preprocess": "resize", "load_size": None, "img_size": size}
    sizes |= {name: options.pop(name) for name in sizes.keys() & options.keys()}
    return SimpleNamespace(**sizes, channels=channels, reading=reading(**options))


def make_store(folder, counts, size=32, channels=1, seed=0, **options):
    """Images, their index and their store; returns the open Store. The images have 32 x 32 pixels."""
    folder = Path(folder)
    write_images(folder / "images", counts, seed)
    index = make_index(folder / "index.parquet", folder / "images")
    build_store(folder / "pixels.store", index, storing(size, channels, **options))
    return Store.open(folder / "pixels.store", folder / "index.parquet")


def tiny_config(**sections):
    """A resolved config of tiny networks; `sections` are merged over it."""
    raw = {
        "data": {"source": "data/train", "img_size": 32, "grayscale": True, "batch_size": 4},
        "validation_data": {"source": "data/validation"},
        "test_data": {"source": "data/test"},
        "model": {"conv_dim": 4, "max_conv_dim": 8, "hidden_dim": 16, "style_dim": 4, "latent_dim": 4},
        "solver": {"root_dir": "results/tiny", "lr": 1e-3, "f_lr": 1e-3},
        "validation_config": {"num_outs_per_domain": 2, "val_batch_size": 4, "min_accuracy": 0.0},
        "classifier": {"epochs": 2, "width": 4, "batch_size": 8},
        "run": {"total_iters": 4, "save_every": 2, "log_every": 1, "state_every": 2, "threads": 1, "device": "cpu"},
        "log": {"name": "tiny", "mode": "disabled"},
        "report": {"examples": 2},
    }
    for name, section in sections.items():
        raw[name] = {**raw.get(name, {}), **section} if isinstance(section, dict) else section
    return resolve(raw)


def training_settings(config):
    """The part of a config that a training depends on, as `quac train` reads it from its key file."""
    key = json.loads(json.dumps(stage_settings(config, "train")), object_hook=lambda part: SimpleNamespace(**part))
    key.data.sampling, key.data.device_cache = as_dict(key.data.sampling), config.data.device_cache
    key.loss.ramps, key.init.checkpoint = vars(key.loss.ramps), config.init.checkpoint
    return key


def judging(scale=1.0, shift=0.0, img_size=32, outputs="auto", classes=None):
    """What a Judge takes as its section of the config."""
    return SimpleNamespace(scale=scale, shift=shift, img_size=img_size, outputs=outputs, classes=classes)


def ours(path, seed=0, classes=("a", "b"), step=10, **sections):
    """Write a checkpoint of ours, of untrained networks."""
    torch.manual_seed(seed)
    config = tiny_config(**sections)
    networks = build_networks(config.model, len(classes))
    weights = {name: networks[name].state_dict() for name in AVERAGED}
    write_checkpoint(path, weights, description_of(training_settings(config), classes, step))
    return path


def command(*arguments):
    """Run `quac <arguments>` in this process, which is quicker: `status`, and what it `said`."""
    said = io.StringIO()
    with redirect_stderr(said), redirect_stdout(said):
        try:
            status = app([str(word) for word in arguments], standalone_mode=False)
        except SystemExit as ended:
            status = ended.code
    return SimpleNamespace(status=status or 0, said=said.getvalue())


class Brightness(torch.nn.Module):
    """A classifier of two classes: dark, and bright (a mean above 0)."""

    def forward(self, x):
        level = x.mean(dim=(1, 2, 3))
        return torch.stack([-level, level], 1)


def save_classifier(path, module):
    torch.jit.script(module.eval()).save(str(path))
    return path


class Workflow:
    """A working folder with a data set and a config, in which the workflow is run."""

    def __init__(self, folder):
        self.folder = Path(folder)
        write_splits(self.folder / "data")
        self.config = yaml.safe_load(yaml.safe_dump(tiny_config().model_dump(exclude_none=True)))
        self.root = self.folder / "results" / "tiny"

    def command(self, *arguments):
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config))
        snakemake = Path(sys.executable).with_name("snakemake")
        options = ["-s", ROOT / "Snakefile", "-d", self.folder, "--configfile", self.folder / "config.yaml"]
        return [snakemake, *arguments, *options, "--cores", "2", "--resources", "gpu=2"]

    def run(self, *arguments, check=True):
        """Run snakemake to its end; returns what it said."""
        result = subprocess.run(
            [str(word) for word in self.command(*arguments)],
            capture_output=True,
            text=True,
            timeout=900,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        said = result.stdout + result.stderr
        assert not check or result.returncode == 0, said
        return SimpleNamespace(said=said, status=result.returncode)

    def plan(self, *arguments):
        """What a dry run would do: {rule: number of jobs}, without `key`, `resolve_config` and `all`."""
        said = self.run("-n", *arguments).said
        if "Nothing to be done" in said:
            return {}
        table = said.split("Job stats:")[1].split("\ntotal")[0].splitlines()[3:]
        counts = {line.split()[0]: int(line.split()[1]) for line in table if line.strip()}
        return {rule: count for rule, count in counts.items() if rule not in ("key", "resolve_config", "all")}

    def edit(self, section, **values):
        self.config[section] = {**self.config.get(section, {}), **values}
