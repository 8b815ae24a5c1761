"""Commands that use a trained network, without the run that made it."""

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quac.cli.command import Device, Log, Threads, user_command
from quac.config.choices import Outputs
from quac.system.console import log
from quac.system.errors import QuacError
from quac.system.files import refuse_overwrite

if TYPE_CHECKING:
    from quac.conversion.network import ConversionNetwork

Model = Annotated[
    Path, typer.Option(help="Checkpoint: <step>_nets_ema.ckpt of a training, or one imported by `quac import`.")
]
Native = Annotated[
    bool, typer.Option("--native", help="Convert at the image's own size; otherwise scaled as for the training.")
]
Range = Annotated[tuple[float, float] | None, typer.Option(help="As data.range. Default: that of the training.")]
Page = Annotated[int | None, typer.Option(min=0, help="As data.page. Default: that of the training.")]


@user_command
def convert(
    source: Annotated[list[str], typer.Argument(help="Images, folders (with all below them), globs in quotes.")],
    model: Model,
    to: Annotated[str, typer.Option(help="Class to convert into; or several, a,b.")],
    out: Annotated[Path, typer.Option(help="Folder for the results, under the names of their queries.")],
    reference: Annotated[Path | None, typer.Option(help="Image of that class, whose style is taken.")] = None,
    tries: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Or: number of styles drawn for each image; default 1.")
    ] = None,
    classifier: Annotated[
        Path | None, typer.Option(help="TorchScript file: the best try is kept, and tries.csv lists all.")
    ] = None,
    scale: Annotated[float, typer.Option(help="For the classifier: as validation_config.scale.")] = 1.0,
    shift: Annotated[float, typer.Option(help="For the classifier: as validation_config.shift.")] = 0.0,
    classifier_size: Annotated[
        int | None, typer.Option(min=1, help="As validation_config.img_size. Default: that of the networks.")
    ] = None,
    classifier_outputs: Annotated[Outputs, typer.Option(help="As validation_config.outputs.")] = "auto",
    classifier_classes: Annotated[
        str | None, typer.Option(help="As validation_config.classes: a,b,c. Default: those of the networks.")
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of masks named as their images, 0 outside: outside nothing changes.")
    ] = None,
    mask_edge: Annotated[int, typer.Option(min=0, help="Pixels over which a mask falls off inwards.")] = 0,
    native: Native = False,
    range: Range = None,
    page: Page = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the styles; with the run's seed they are those of its tries.")
    ] = 0,
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Convert images into another class.

    A result has the name, the folder, the size, the bit depth and the format
    of its query (JPEG is written with quality 95, WebP without loss; nothing
    is transparent). Each of several classes has a folder in OUT. Without a
    classifier to choose from several tries, all are written, with _try00,
    _try01 ... before the ending. SOURCE is never written to. Images that cannot
    be converted are named at the end, and the exit status is 1.
    """
    from quac.config.evaluation import Judging
    from quac.conversion.image_files import convert_sources

    if not (isfinite(scale) and isfinite(shift)):
        raise QuacError("--scale, --shift: give numbers")
    network = _open(model, device, threads, range, page)
    size = classifier_size or network.description.img_size
    classes = classifier_classes.split(",") if classifier_classes else None
    judging = Judging(scale=scale, shift=shift, img_size=size, outputs=classifier_outputs, classes=classes)
    judged = {"classifier": classifier, "judging": judging}
    styles = {"reference": reference, "tries": tries, "seed": seed}
    options: dict[str, Any] = {"masks": masks, "mask_edge": mask_edge, "native": native, **styles, **judged}
    convert_sources(network, source, to, out, **options)


@user_command
def interpolate(
    query: Annotated[Path, typer.Argument(help="Image to convert.")],
    model: Model,
    to: Annotated[str, typer.Option(help="Class to convert into.")],
    out: Annotated[Path, typer.Option(help=".png: the query and the frames side by side; .gif, .webp: animated.")],
    reference: Annotated[
        list[Path] | None, typer.Option(help="Image of that class; twice or more, for the styles on the way.")
    ] = None,
    latents: Annotated[int | None, typer.Option(min=2, help="Or: number of styles to draw.")] = None,
    frames: Annotated[
        int, typer.Option(min=2, help="Number of frames, evenly along the way, both ends included.")
    ] = 16,
    native: Native = False,
    range: Range = None,
    page: Page = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the styles.")] = 0,
    threads: Threads = None,
    device: Device = "auto",
    log_file: Log = None,
):
    """Show an image converted by styles on the way from one style to the next."""
    from quac.conversion.interpolation import write_interpolation

    if bool(reference) == bool(latents) or (reference and len(reference) < 2):
        raise QuacError("--reference, --latents: give a --reference twice or more, or --latents")
    refuse_overwrite(out, query, *(reference or []))
    network = _open(model, device, threads, range, page)
    styles: dict[str, Any] = {"references": reference, "latents": latents or 2, "seed": seed}
    write_interpolation(network, query, to, out, frames, native=native, **styles)
    log.info("%s: %d frames", out, frames)


def _open(model, device, threads, range, page) -> "ConversionNetwork":
    """The network of a checkpoint, and how files become pixels for it."""
    from quac.conversion.network import ConversionNetwork
    from quac.system.device import choose_device

    if range is not None and not range[0] < range[1]:
        raise QuacError("--range: the lowest value comes first, and is below the highest")
    network = ConversionNetwork.load(model, choose_device(device, threads))
    given = {name: value for name, value in (("range", range), ("page", page)) if value is not None}
    network.description = network.description.model_copy(update=given)
    return network
