"""The stages that convert."""

from pathlib import Path
from typing import Annotated

import typer

from quac.cli.command import ClassifierFile, Device, FurtherJudges, IndexFile, Key, Log, Out, StoreFile, Threads, stage
from quac.config.evaluation import KINDS
from quac.config.stages import read_settings
from quac.system.files import digest_of_file, read_json, write_json
from quac.system.provenance import Provenance


@stage
def convert_split(
    key: Key,
    classifier: ClassifierFile,
    store: StoreFile,
    index: IndexFile,
    reference_store: StoreFile,
    reference_index: IndexFile,
    kind: Annotated[list[str], typer.Option(help="latent or reference; may be repeated.")],
    out: Out,
    checkpoint: Annotated[Path | None, typer.Option(help="Networks, in the published format.")] = None,
    selected: Annotated[Path | None, typer.Option(help="Or: what `select-checkpoint` wrote.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder for the best try of each query.")] = None,
    detailed: Annotated[bool, typer.Option(help="Measure more than the choice of a checkpoint needs.")] = False,
    judge: FurtherJudges = None,
    shard: Annotated[tuple[int, int], typer.Option(help="I N: the I-th (from 0) of N parts of the work.")] = (0, 1),
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Convert a split by a checkpoint, and have every try judged; write the table of all tries."""
    from contextlib import nullcontext

    from quac.classifier.judge import Judge, open_judges
    from quac.conversion.engine import convert
    from quac.conversion.image_folder import BestImages
    from quac.data.masks import masks_of_stage
    from quac.data.store import Store
    from quac.evaluation.tries import Details
    from quac.models.starganv2.checkpoint import load_checkpoint
    from quac.models.starganv2.styles import open_styles
    from quac.system.device import choose_device
    from quac.system.tables import read_table, write_table
    from quac.training.publish import step_of

    provenance, settings = Provenance("convert", key), read_settings(key)
    checkpoint, where = checkpoint or Path(read_json(selected)["checkpoint"]), choose_device(device, threads)
    queries, references = Store.open(store, index), Store.open(reference_store, reference_index)
    queries.require(settings.model, references.classes)
    networks = load_checkpoint(checkpoint, settings.model, len(queries.classes), where)
    first = Judge(classifier, settings.judge, settings.model, queries.classes, where)
    details = None
    if detailed:
        judges = open_judges(settings.judges, judge or [], settings.model, queries.classes, where)
        details = Details(networks["style_encoder"], judges, queries.classes, settings)
    masks = masks_of_stage(read_table(index), settings)
    styles = open_styles(kind, networks, references, settings, where)
    with BestImages(images, queries) if images else nullcontext() as keep:
        table = convert(networks["generator"], first, queries, styles, settings, where, keep, details, shard, masks)
    write_table(
        out,
        table,
        step=step_of(checkpoint),
        checkpoint=str(checkpoint),
        checkpoint_digest=digest_of_file(checkpoint),
        classes=queries.classes,
        tries=settings.tries,
        max_per_class=settings.max_per_class,
        shard=list(shard),
        found={name: len(queries.rows_of(label)) for label, name in enumerate(queries.classes)},
        masked=masks and masks.count,
        provenance=provenance.record(device=str(where), classifier=digest_of_file(classifier)),
    )


@stage
def show_styles(
    key: Key,
    selected: Annotated[Path, typer.Option(help="What `select-checkpoint` wrote.")],
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
    from quac.classifier.judge import Judge
    from quac.conversion.image_folder import grid_path
    from quac.data.images import write_png
    from quac.data.masks import masks_of_stage
    from quac.data.store import Store
    from quac.evaluation.style_grids import make_grids
    from quac.models.starganv2.checkpoint import load_checkpoint
    from quac.models.starganv2.styles import open_styles
    from quac.system.device import choose_device
    from quac.system.tables import read_table
    from quac.training.publish import step_of

    provenance, settings = Provenance("show_styles", key), read_settings(key)
    checkpoint, where = Path(read_json(selected)["checkpoint"]), choose_device(device, threads)
    queries, references = Store.open(store, index), Store.open(reference_store, reference_index)
    queries.require(settings.model, references.classes)
    networks = load_checkpoint(checkpoint, settings.model, len(queries.classes), where)
    judge = Judge(classifier, settings.judge, settings.model, queries.classes, where)
    styles = open_styles(KINDS, networks, references, settings, where)

    def keep(pixels, *place):
        write_png(images / grid_path(*place), pixels)

    images_of_split = read_table(index)
    masks = masks_of_stage(images_of_split, settings)
    grids = make_grids(networks["generator"], judge, queries, styles, settings, where, keep, masks)
    made_of = {
        "split": images_of_split.attrs["split"],
        "references": settings.references,
        "step": step_of(checkpoint),
        "checkpoint": str(checkpoint),
        "checkpoint_digest": digest_of_file(checkpoint),
        "provenance": provenance.record(device=str(where), classifier=digest_of_file(classifier)),
    }
    write_json(out, {**grids, **made_of})


@stage
def gather(
    part: Annotated[list[Path], typer.Option(help="Table of a shard; once per shard.")],
    out: Out,
    part_images: Annotated[list[Path] | None, typer.Option(help="Its folder of images, in the same order.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder for the images of all.")] = None,
    log_file: Log = None,
):
    """Put the shards of a conversion together."""
    from quac.evaluation.gather import gather_images, gather_tables
    from quac.system.tables import read_table, write_table

    table = gather_tables({path: read_table(path) for path in part})
    if images:
        gather_images(part_images or [], images)
    write_table(out, table, **table.attrs)
