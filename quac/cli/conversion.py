"""Stages that convert a split."""

from pathlib import Path
from typing import Annotated

import typer

from quac.cli.command import ClassifierFile, Device, IndexFile, Key, Log, Oracles, Out, StoreFile, Threads, stage
from quac.config.keys import read_key
from quac.system.files import read_json, whole, write_json
from quac.system.provenance import Provenance

Selected = Annotated[Path, typer.Option(help="Output of `select-checkpoint`.")]
Shard = Annotated[tuple[int, int], typer.Option(help="I N: the I-th (from 0) of N parts of the work.")]


def _checkpoint_of(selected: Path) -> Path:
    with whole(selected):
        return Path(read_json(selected, ["checkpoint"])["checkpoint"])


@stage
def score_checkpoint(
    key: Key,
    checkpoint: Annotated[Path, typer.Option(help="Checkpoint of the training.")],
    classifier: ClassifierFile,
    store: StoreFile,
    index: IndexFile,
    reference_store: StoreFile,
    reference_index: IndexFile,
    out: Out,
    shard: Shard = (0, 1),
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Convert a split by a checkpoint and judge every try, to compare checkpoints."""
    from quac.evaluation.split_conversion import SplitConversion, SplitFiles
    from quac.system.device import choose_device

    provenance, config = Provenance("score_checkpoint", key), read_key(key)
    files = SplitFiles(classifier, store, index, reference_store, reference_index)
    opened = SplitConversion(config, checkpoint, files, choose_device(device, threads), provenance)
    opened.score(shard).write(out)


@stage
def convert_split(
    key: Key,
    selected: Selected,
    classifier: ClassifierFile,
    store: StoreFile,
    index: IndexFile,
    reference_store: StoreFile,
    reference_index: IndexFile,
    kind: Annotated[str, typer.Option(help="Style kind: latent or reference.")],
    out: Out,
    images: Annotated[Path | None, typer.Option(help="Folder for the best try of each query.")] = None,
    oracle: Oracles = None,
    shard: Shard = (0, 1),
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Convert a split by the selected checkpoint, judge and measure every try."""
    from quac.evaluation.split_conversion import SplitConversion, SplitFiles
    from quac.system.device import choose_device

    provenance, config, checkpoint = Provenance("convert", key), read_key(key), _checkpoint_of(selected)
    files = SplitFiles(classifier, store, index, reference_store, reference_index)
    opened = SplitConversion(config, checkpoint, files, choose_device(device, threads), provenance, [kind])
    opened.convert(oracle or [], images, shard).write(out)


@stage
def show_styles(
    key: Key,
    selected: Selected,
    classifier: ClassifierFile,
    store: StoreFile,
    index: IndexFile,
    reference_store: StoreFile,
    reference_index: IndexFile,
    out: Out,
    images: Annotated[Path, typer.Option(help="Folder for the images.")],
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Convert a few queries of a split by a few styles of each class, the same for all of them."""
    from quac.evaluation.split_conversion import SplitConversion, SplitFiles
    from quac.system.device import choose_device

    provenance, config = Provenance("show_styles", key), read_key(key)
    checkpoint = _checkpoint_of(selected)
    files = SplitFiles(classifier, store, index, reference_store, reference_index)
    opened = SplitConversion(config, checkpoint, files, choose_device(device, threads), provenance)
    write_json(out, opened.show_styles(images))


@stage
def gather(
    part: Annotated[list[Path], typer.Option(help="Table of a shard; once per shard.")],
    out: Out,
    part_images: Annotated[list[Path] | None, typer.Option(help="Its folder of images, in the same order.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder for the images of all shards.")] = None,
    log_file: Log = None,
):
    """Put the shards of a conversion together."""
    from quac.evaluation.gather import gather

    gather(part, out, part_images or [], images)
