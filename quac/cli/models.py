"""Checkpoints in and out of other programs, and averages of them."""

from pathlib import Path
from typing import Annotated

import typer

from quac.cli.command import Log, Out, stage
from quac.system.console import log
from quac.system.errors import QuacError
from quac.system.files import require_other


@stage
def import_(
    checkpoint: Annotated[Path, typer.Argument(help="Published file of StarGAN v2, QuAC or eps696: *_nets_ema.ckpt.")],
    classes: Annotated[str, typer.Option(help="Their names, a,b,c, in the file's order: as a rule sorted by name.")],
    final_activation: Annotated[
        str, typer.Option(help="tanh, sigmoid or none. StarGAN v2 and eps696: none; QuAC: as it was trained.")
    ],
    out: Out,
    scale: Annotated[
        float | None, typer.Option(help="Of the images, as data.scale. Default: 2; with sigmoid 1.")
    ] = None,
    shift: Annotated[float | None, typer.Option(help="As data.shift. Default: -1; with sigmoid 0.")] = None,
    log_file: Log = None,
):
    """Make a checkpoint of ours out of a published one; the sizes are read off the weights."""
    from quac.models.starganv2.checkpoint import write_checkpoint
    from quac.models.starganv2.published import import_published

    require_other(out, checkpoint)
    names = [name.strip() for name in classes.split(",")]
    weights, description = import_published(checkpoint, names, final_activation, scale, shift)
    write_checkpoint(out, weights, description)
    _say(out, description)


@stage
def export(
    model: Annotated[Path, typer.Argument(help="Checkpoint of ours.")],
    format: Annotated[str, typer.Option(help="quac, torchscript or pt2.")],
    out: Out,
    log_file: Log = None,
):
    """Write a checkpoint for other programs.

    quac: the published format alone, which QuAC and StarGAN v2 read.

    torchscript, pt2 (torch.export): three files that torch reads without quac.
    For OUT net.pt, net.pt is the generator, (images in the networks' range,
    styles) -> images; net_mapping_network.pt takes (latents, labels) and
    net_style_encoder.pt (images, labels) to styles. What the range is, and the
    order of the classes, is said at the end.
    """
    import torch

    from quac.models.starganv2.checkpoint import open_checkpoint, read_checkpoint, write_checkpoint
    from quac.models.starganv2.export import FORMATS, export

    require_other(out, model)
    if format not in ("quac", *FORMATS):
        raise QuacError(f"--format: is {format}; give quac, {' or '.join(FORMATS)}")
    if format == "quac":
        write_checkpoint(out, read_checkpoint(model))
        log.info("%s: the published format", out)
        return
    description, networks = open_checkpoint(model, torch.device("cpu"))
    for path in export(networks, description.model, out, format):
        log.info("%s", path)
    _say(model, description)


@stage
def average(
    checkpoints: Annotated[list[Path], typer.Argument(help="Two or more of the same networks and classes.")],
    out: Out,
    weights: Annotated[
        str | None, typer.Option(help="A share of each, such as 0.7,0.3. Default: all the same.")
    ] = None,
    log_file: Log = None,
):
    """Average the weights of checkpoints."""
    from quac.models.starganv2.checkpoint import write_checkpoint
    from quac.models.starganv2.published import average

    require_other(out, *checkpoints)
    try:
        shares = [float(share) for share in weights.split(",")] if weights else None
    except ValueError:
        raise QuacError(f"--weights: {weights} are no numbers; give one for each checkpoint, such as 0.7,0.3") from None
    mean, description = average(checkpoints, shares)
    write_checkpoint(out, mean, description)
    _say(out, description)


def _say(path, description):
    log.info(
        "%s: %d pixels, %d channel(s), %s, images in %g * [0, 1] + %g, classes %s",
        path,
        description.img_size,
        description.channels,
        description.model.final_activation,
        description.scale,
        description.shift,
        ", ".join(description.classes),
    )
