"""Import of published weights: files of StarGAN v2 (clovaai), of its remake by eps696, and of QuAC; and averages.

Such a file is `{generator, mapping_network, style_encoder: state_dict}`. The sizes of the networks follow from the
shapes; class names, last activation and the range of the images must be given.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from quac.config.resolve import image_size_fault, range_fault
from quac.config.training import Model
from quac.models.starganv2.checkpoint import read_checkpoint, require_info
from quac.models.starganv2.checkpoint_info import KEY, CheckpointInfo
from quac.models.starganv2.networks import AVERAGED, build_networks, given
from quac.system.console import log
from quac.system.errors import QuacError, bullet_list

RANGES = {"tanh": (2.0, -1.0), "none": (2.0, -1.0), "sigmoid": (1.0, 0.0)}  # scale, shift of the images, by activation

Weights = dict[str, dict[str, Tensor]]  # {network: state_dict}


def import_published(
    path: Path, classes: list[str], final_activation: str, scale: float | None = None, shift: float | None = None
) -> tuple[Weights, CheckpointInfo]:
    """Read a published file: its weights as float32, and its description.

    Args:
        classes: names, in the order of the file's heads: for StarGAN v2 and QuAC, the class folders sorted by name.
        scale, shift: of the images; None: the usual ones of the activation, see RANGES.

    Raises QuacError if the file holds other networks, or another number of classes.
    """
    if final_activation not in RANGES:
        raise QuacError(f"--final-activation: {final_activation} is unknown. Choose from {', '.join(RANGES)}.")
    content = read_checkpoint(path)
    if KEY in content:
        raise QuacError(f"{path}: already a checkpoint of quac, with a description. Use it unchanged.")
    weights = {name: _plain(content[name]) for name in AVERAGED}
    sizes = _sizes(weights, path)
    _split_single_head(weights["style_encoder"], sizes["num_domains"], path)
    if len(classes) != sizes["num_domains"]:
        raise QuacError(
            f"--classes: {len(classes)} names ({', '.join(classes)}), but {path} has {sizes['num_domains']} classes. "
            "Name each, in the order of the file."
        )
    if len(set(classes)) < len(classes) or not all(classes):
        raise QuacError(f"--classes: {','.join(classes)}. Give each class its own name.")
    usual = RANGES[final_activation]
    scale, shift = usual[0] if scale is None else scale, usual[1] if shift is None else shift
    if fault := range_fault(final_activation, scale, shift):
        raise QuacError(f"--scale, --shift: {fault}")
    name, size = re.match(r"(\d+)_nets_ema\.ckpt$", path.name), sizes["img_size"]
    images = {"scale": scale, "shift": shift, "channels": sizes["input_dim"], "img_size": size, "load_size": size}
    model = Model(**sizes, final_activation=final_activation)
    info = CheckpointInfo(model=model, classes=classes, step=int(name[1]) if name else None, **images)
    _require_shapes(weights, info.model, path)
    return weights, info


def _plain(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """A state_dict in float32, without the prefix that torch's data parallel adds."""
    return {key.removeprefix("module."): value.float() for key, value in state.items() if torch.is_tensor(value)}


def _sizes(weights: Weights, path: Path) -> dict[str, Any]:
    """The `model` section of a file, without the last activation."""
    generator, mapping, encoder = (weights[name] for name in AVERAGED)
    if "hpf.filter" in generator:
        raise QuacError(
            f"{path}: its networks have a high-pass filter (StarGAN v2's w_hpf above 0, as for CelebA-HQ), which needs "
            "a network for facial landmarks. Use a file with w_hpf 0, such as the one for AFHQ."
        )
    try:
        conv_dim, input_dim = generator["from_rgb.weight"].shape[:2]
        hidden_dim, latent_dim = mapping["shared.0.weight"].shape
        style_dim = mapping["unshared.0.6.weight"].shape[0]
        # The generator halves down to 16 x 16, then has two blocks more; the style encoder halves down to 4 x 4.
        img_size, encoder_size = 2 ** (_blocks(generator, "encode") - 2 + 4), 2 ** (_blocks(encoder, "shared") + 2)
        last = max(int(key.split(".")[1]) for key in encoder if key.startswith("shared."))
        max_conv_dim = encoder[f"shared.{last}.weight"].shape[0]
    except (LookupError, ValueError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else "its weights have other shapes"
        raise QuacError(f"{path}: not the networks of StarGAN v2 ({reason}). Use <step>_nets_ema.ckpt.") from None
    num_domains = len({key.split(".")[1] for key in mapping if key.startswith("unshared.")})
    if num_domains < 2:
        raise QuacError(f"{path}: has one class, so there is nothing to convert into. Use a file with two or more.")
    if img_size != encoder_size or image_size_fault(img_size):
        raise QuacError(
            f"{path}: its generator is built for images of {img_size}, its style encoder for {encoder_size} pixels. "
            "Use a file of StarGAN v2 whose networks belong together, for a power of two from 32 on."
        )
    if input_dim not in (1, 3):
        raise QuacError(
            f"{path}: is for images with {input_dim} channels, but quac supports 1 and 3. Use another file."
        )
    if img_size < 2**14 // conv_dim < 2 * img_size:  # QuAC trains such, and shrinks images for the style encoder alone
        message = (
            "%s: has networks for %d pixels with the width for %d; trained on images of that size, it may convert "
        )
        log.warning(message + "worse here", path, img_size, 2**14 // conv_dim)
    widths = {"conv_dim": conv_dim, "max_conv_dim": max_conv_dim, "hidden_dim": hidden_dim}
    styles = {"style_dim": style_dim, "latent_dim": latent_dim, "num_domains": num_domains}
    return {"img_size": img_size, "input_dim": input_dim, **styles, **widths}


def _blocks(state: dict[str, Tensor], name: str) -> int:
    """The number of residual blocks of a network under a name."""
    return len({key.split(".")[1] for key in state if key.startswith(f"{name}.") and ".conv1." in key})


def _split_single_head(encoder: dict[str, Tensor], classes: int, path: Path) -> None:
    """Give each class a copy of the single output of QuAC's style encoder, if there is one."""
    if "output.weight" not in encoder:
        return
    log.info("%s: its style encoder has one output for all classes; each class gets a copy", path)
    for key in [key for key in encoder if key.startswith("unshared.")]:  # never used
        del encoder[key]
    for kind in ("weight", "bias"):
        value = encoder.pop(f"output.{kind}")
        encoder.update({f"unshared.{label}.{kind}": value for label in range(classes)})


def _require_shapes(weights: Weights, model: Model, path: Path) -> None:
    """Raise QuacError if the weights do not fit the networks of a `model` section."""
    with torch.device("meta"):
        networks = build_networks(model, given(model.num_domains))
    faults = []
    for name in AVERAGED:
        expected = {key: list(value.shape) for key, value in networks[name].state_dict().items()}
        shapes = {key: list(value.shape) for key, value in weights[name].items()}
        for key in [*expected, *(shapes.keys() - expected.keys())]:
            if shapes.get(key) != expected.get(key):
                faults.append(f"{name}.{key}: {shapes.get(key, 'missing')}, not {expected.get(key, 'known')}")
    if faults:
        raise QuacError(f"{path}: not the networks of StarGAN v2:\n{bullet_list(faults)}")


def average(paths: list[Path], weights: list[float] | None = None) -> tuple[Weights, CheckpointInfo]:
    """The weighted mean of checkpoints of the same networks and classes, as `import_published`.

    Args:
        paths: checkpoints that describe themselves.
        weights: one for each, above 0, in any unit; None: all equal.
    """
    shares = weights or [1.0] * len(paths)
    if len(paths) < 2:
        raise QuacError(f"{paths[0]}: a single checkpoint. Give two or more.")
    if len(shares) != len(paths) or not all(0 < share < float("inf") for share in shares):
        given = ",".join(f"{share:g}" for share in shares)
        raise QuacError(f"--weights: {given}. Give a number above 0 for each of the {len(paths)} checkpoints.")
    mean: Weights = {name: {} for name in AVERAGED}
    infos: list[CheckpointInfo] = []
    for path, share in zip(paths, shares, strict=True):
        content = read_checkpoint(path)
        infos.append(require_info(content, path))
        first = infos[0]
        _require_same(first, infos[-1], paths[0], path)
        _require_shapes({name: content[name] for name in AVERAGED}, first.model, path)
        for name in AVERAGED:
            for key, value in content[name].items():
                part = value.double() * (share / sum(shares))
                mean[name][key] = mean[name][key] + part if key in mean[name] else part
    steps = {info.step for info in infos}
    mean = {name: {key: value.float() for key, value in state.items()} for name, state in mean.items()}
    return mean, first.model_copy(update={"step": first.step if len(steps) == 1 else None})


def _require_same(first: CheckpointInfo, other: CheckpointInfo, first_path: Path, path: Path) -> None:
    """Raise QuacError if two checkpoints differ in more than their steps."""
    ours, theirs = ({**info.as_dict(), **info.as_dict()["model"]} for info in (first, other))
    names = [name for name in ours if name not in ("step", "model") and ours[name] != theirs[name]]
    if names:
        differences = "; ".join(f"{name} {theirs[name]}, not {ours[name]}" for name in names)
        raise QuacError(f"{path}: differs from {first_path} in {differences}. Average equal networks only.")
