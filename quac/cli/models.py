"""Checkpoints: their content, import and export, averages."""

from pathlib import Path
from typing import Annotated

import typer

from quac.cli.command import Log, Out, user_command
from quac.models.starganv2.checkpoint_info import CheckpointInfo
from quac.system.console import log
from quac.system.errors import QuacError
from quac.system.files import refuse_overwrite


@user_command
def import_(
    checkpoint: Annotated[Path, typer.Argument(help="Published file of StarGAN v2, QuAC or eps696: *_nets_ema.ckpt.")],
    classes: Annotated[str, typer.Option(help="Class names, a,b,c, in the order of the file: usually sorted by name.")],
    final_activation: Annotated[
        str, typer.Option(help="tanh, sigmoid or none. StarGAN v2 and eps696: none; QuAC: the one of its training.")
    ],
    out: Out,
    scale: Annotated[
        float | None, typer.Option(help="Of the images, like data.scale. Default: 2; with sigmoid 1.")
    ] = None,
    shift: Annotated[float | None, typer.Option(help="Like data.shift. Default: -1; with sigmoid 0.")] = None,
    log_file: Log = None,
) -> None:
    """Convert a published checkpoint to one of quac; the sizes follow from the weights."""
    from quac.models.starganv2.checkpoint import write_checkpoint
    from quac.models.starganv2.published import import_published

    refuse_overwrite(out, checkpoint)
    names = [name.strip() for name in classes.split(",")]
    weights, info = import_published(checkpoint, names, final_activation, scale, shift)
    write_checkpoint(out, weights, info)
    _log_info(out, info)


@user_command
def export(
    model: Annotated[Path, typer.Argument(help="Checkpoint of quac.")],
    format: Annotated[str, typer.Option(help="quac, torchscript or pt2.")],
    out: Out,
    log_file: Log = None,
) -> None:
    """Write a checkpoint for other programs.

    quac: only the published format, which QuAC and StarGAN v2 read.

    torchscript, pt2 (torch.export): three files that torch reads without quac.
    For OUT net.pt, net.pt is the generator, (images in the range of the networks,
    styles) -> images; net_mapping_network.pt takes (latents, labels) and
    net_style_encoder.pt (images, labels) to styles. The range and the order of
    the classes are logged at the end.
    """
    import torch

    from quac.models.starganv2.checkpoint import open_checkpoint, read_checkpoint, write_checkpoint
    from quac.models.starganv2.export import FORMATS, export, export_paths

    for path in export_paths(out) if format != "quac" else [out]:
        refuse_overwrite(path, model)
    if format not in ("quac", *FORMATS):
        raise QuacError(f"--format: {format} is unknown. Choose from quac, {', '.join(FORMATS)}.")
    if format == "quac":
        write_checkpoint(out, read_checkpoint(model))
        log.info("%s: the published format", out)
        return
    info, networks = open_checkpoint(model, torch.device("cpu"))
    for path in export(networks, info.model, out, format):
        log.info("%s", path)
    _log_info(model, info)


@user_command
def average(
    checkpoints: Annotated[list[Path], typer.Argument(help="Two or more of the same networks and classes.")],
    out: Out,
    weights: Annotated[str | None, typer.Option(help="One for each, such as 0.7,0.3. Default: all equal.")] = None,
    log_file: Log = None,
) -> None:
    """Average the weights of checkpoints."""
    from quac.models.starganv2.checkpoint import write_checkpoint
    from quac.models.starganv2.published import average

    refuse_overwrite(out, *checkpoints)
    try:
        shares = [float(share) for share in weights.split(",")] if weights else None
    except ValueError:
        raise QuacError(f"--weights: {weights}: not numbers. Give one for each checkpoint, such as 0.7,0.3.") from None
    mean, info = average(checkpoints, shares)
    write_checkpoint(out, mean, info)
    _log_info(out, info)


@user_command
def summary(model: Annotated[Path, typer.Argument(help="Checkpoint, ours or imported.")], log_file: Log = None) -> None:
    """Show the content of a checkpoint: classes, range and sizes of its images, its networks."""
    import torch

    from quac.models.starganv2.checkpoint import open_checkpoint
    from quac.system.files import yaml_text

    info, networks = open_checkpoint(model, torch.device("cpu"))
    images = info.model_dump(mode="json", exclude={"model", "classes", "step", "format"})
    content = {"classes": info.classes, "step": info.step, "images": images, "model": info.model.model_dump()}
    content["parameters"] = {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}
    print(yaml_text(content), end="")


def _log_info(path: Path, info: CheckpointInfo) -> None:
    log.info(
        "%s: %d pixels, %d channel(s), %s, images in %g * [0, 1] + %g, classes %s",
        path,
        info.img_size,
        info.channels,
        info.model.final_activation,
        info.scale,
        info.shift,
        ", ".join(info.classes),
    )
