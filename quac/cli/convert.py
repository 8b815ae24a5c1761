"""The use of a trained network, without the run that made it."""

from math import isfinite
from pathlib import Path
from typing import Annotated

import typer

from quac.cli.command import Device, Log, Threads, stage
from quac.system.console import log
from quac.system.errors import QuacError, listing
from quac.system.files import require_other, write_text

Model = Annotated[Path, typer.Option(help="Checkpoint of ours, <step>_nets_ema.ckpt, or what `quac import` made.")]
Native = Annotated[
    bool, typer.Option("--native", help="Convert at the image's own size; otherwise scaled as for the training.")
]
Range = Annotated[tuple[float, float] | None, typer.Option(help="As data.range. Default: that of the training.")]
Page = Annotated[int | None, typer.Option(min=0, help="As data.page. Default: that of the training.")]


@stage
def convert(
    source: Annotated[list[str], typer.Argument(help="Images, folders (with all below them), globs in quotes.")],
    model: Model,
    to: Annotated[str, typer.Option(help="Class to convert into; or several, a,b.")],
    out: Annotated[Path, typer.Option(help="Folder for the results, under the names of their queries.")],
    reference: Annotated[Path | None, typer.Option(help="Image of that class, whose style is taken.")] = None,
    tries: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Or: styles that are drawn for each image; default 1.")
    ] = None,
    classifier: Annotated[
        Path | None, typer.Option(help="TorchScript file: the best try is kept, and tries.csv lists all.")
    ] = None,
    scale: Annotated[float, typer.Option(help="For the classifier: as validation_config.scale.")] = 1.0,
    shift: Annotated[float, typer.Option(help="For the classifier: as validation_config.shift.")] = 0.0,
    classifier_size: Annotated[
        int | None, typer.Option(min=1, help="As validation_config.img_size. Default: that of the networks.")
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of masks, 0 outside, named as their images: outside nothing changes.")
    ] = None,
    mask_edge: Annotated[int, typer.Option(min=0, help="Pixels over which a mask falls off inwards.")] = 0,
    native: Native = False,
    range: Range = None,
    page: Page = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the styles; with that of the run, its tries.")] = 0,
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Convert images into another class.

    A result has the name, the folder, the size, the bit depth and the format
    of its query (JPEG is written with quality 95, WebP without loss; nothing
    is transparent). Of several classes each has a folder in OUT. Several tries
    that no classifier chooses from are all written, with _try00, _try01 ...
    before the ending. SOURCE is never written to. An image that cannot be
    converted is named at the end, and the exit status is 1.
    """
    from quac.classifier.judge import Judge
    from quac.config.evaluation import Judging
    from quac.conversion.files import OneStyle, convert_files
    from quac.conversion.places import list_places, masks_of, results_of

    if reference and tries:
        raise QuacError("--tries: a reference is one style; leave one of --reference and --tries out")
    if out.exists() and not out.is_dir():
        raise QuacError(f"--out: {out} is a file; give a folder")
    if not (isfinite(scale) and isfinite(shift)):
        raise QuacError("--scale, --shift: give numbers")
    if mask_edge and not masks:
        raise QuacError("--mask-edge: is of masks; give --masks, or leave it out")
    tries, places = tries or 1, list_places(source, out, *([masks] if masks else []))
    of_places = masks_of(places, masks) if masks else {}
    network = _open(model, device, threads, range, page)
    targets = _classes(to, network)
    judge = classifier and Judge(
        classifier,
        Judging(scale=scale, shift=shift, img_size=classifier_size or network.description.img_size),
        network.description.model,
        network.classes,
        network.device,
    )
    others = [*of_places.values(), *([reference] if reference else [])]
    results = results_of(places, targets, 1 if judge else tries, out, others)
    styles = dict.fromkeys(targets, network.latent_styles(seed))
    if reference:
        x = _read(reference, network)
        styles = {target: OneStyle(network.encode(x, target), str(reference)) for target in targets}
    table, faults = convert_files(network, results, tries, styles, judge, native, of_places, mask_edge)
    if masks:
        log.info("%d of %d image(s) have a mask; the others are converted whole", len(of_places), len(places))
    if judge:
        write_text(out / "tries.csv", table.to_csv(index=False))
        hits = int((table["predicted"] == table["target"])[table["best"]].sum())
        log.info("the classifier calls %d of %d results their target", hits, table["best"].sum())
    converted = len({place for place, _ in results}) - len(faults)
    log.info("%s: %d image(s) converted into %s", out, converted, ", ".join(targets))
    if faults:
        raise QuacError(f"{len(faults)} image(s) could not be converted:\n{listing(faults, None)}")


@stage
def interpolate(
    query: Annotated[Path, typer.Argument(help="Image to convert.")],
    model: Model,
    to: Annotated[str, typer.Option(help="Class to convert into.")],
    out: Annotated[Path, typer.Option(help=".png: the query and the frames side by side; .gif, .webp: animated.")],
    reference: Annotated[
        list[Path] | None, typer.Option(help="Image of that class; twice or more, for the styles on the way.")
    ] = None,
    latents: Annotated[int | None, typer.Option(min=2, help="Or: how many styles are drawn.")] = None,
    frames: Annotated[int, typer.Option(min=2, help="In all, evenly along the way, both ends among them.")] = 16,
    native: Native = False,
    range: Range = None,
    page: Page = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the styles.")] = 0,
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Show an image in styles on the way from one style to the next."""
    import torch

    from quac.conversion.interpolation import interpolate, require_view, write_view
    from quac.conversion.query import read_query
    from quac.data.decode import ImageError

    if bool(reference) == bool(latents) or (reference and len(reference) < 2):
        raise QuacError("--reference, --latents: give a --reference twice or more, or --latents")
    require_view(out)
    require_other(out, query, *(reference or []))
    network = _open(model, device, threads, range, page)
    network.label_of(to)
    try:
        image = read_query(query, network, native)
    except ImageError as error:
        raise QuacError(f"{query}: {error}") from None
    if reference:
        styles = [network.encode(_read(path, network), to) for path in reference]
    else:
        styles = [network.draw(image.digest, to, latents, seed)]
    rendered = network.render(network.features(image.x), interpolate(torch.cat(styles), frames)[:, None])
    if not rendered.isfinite().all():
        raise QuacError(f"{model}: gives NaN or infinity for this image; give another checkpoint")
    shown = [image.shown(each) for each in network.to_pixels(torch.cat([image.x, *rendered]))]
    write_view(out, shown[0], shown[1:])
    log.info("%s: %d frames", out, frames)


def _open(model, device, threads, range, page):
    """The network of a checkpoint, and how files become pixels for it."""
    from quac.conversion.network import ConversionNetwork
    from quac.system.device import choose_device

    if range is not None and not range[0] < range[1]:
        raise QuacError("--range: the lowest value comes first, and is below the highest")
    network = ConversionNetwork.load(model, choose_device(device, threads))
    given = {name: value for name, value in (("range", range), ("page", page)) if value is not None}
    network.description = network.description.model_copy(update=given)
    return network


def _classes(to, network):
    """`--to` as a list of classes; a name may hold a comma itself."""
    names = [to] if to in network.classes else [name.strip() for name in to.split(",")]
    names = [name for name in names if name]
    if not names:
        raise QuacError(f"--to: names no class; there are {', '.join(network.classes)}")
    for name in names:
        network.label_of(name)
    return list(dict.fromkeys(names))


def _read(reference, network):
    from quac.conversion.query import read_reference
    from quac.data.decode import ImageError

    try:
        return read_reference(reference, network)
    except ImageError as error:
        raise QuacError(f"--reference: {reference} {error}") from None
