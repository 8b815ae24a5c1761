"""Published weights in and out: files of StarGAN v2 (clovaai), of its remake by eps696, and of QuAC; and averages.

Such a file is `{generator, mapping_network, style_encoder: state_dict}`. Sizes follow from the shapes; what does not
(class names, last activation, range of the images) has to be said.
"""

import re

import torch

from quac.config.resolve import image_size_fault, range_fault
from quac.models.starganv2.checkpoint import read_checkpoint, require_description
from quac.models.starganv2.checkpoint_info import KEY, Description
from quac.models.starganv2.networks import AVERAGED, build_networks
from quac.system.console import log
from quac.system.errors import QuacError, listing

RANGES = {"tanh": (2.0, -1.0), "none": (2.0, -1.0), "sigmoid": (1.0, 0.0)}  # scale, shift that such networks are shown


def import_published(path, classes, final_activation, scale=None, shift=None):
    """Read a published file.

    Args:
        classes: names, in the order of the file's heads: of StarGAN v2 and QuAC, the class folders sorted by name.
        final_activation: `tanh`, `sigmoid`, or `none`, which is StarGAN v2's own.
        scale, shift: of the images; None: those that belong to the activation.

    Returns:
        `(weights, Description)`; weights are {network: state_dict}, float32.

    Raises QuacError where the file is of other networks, or of another number of classes.
    """
    if final_activation not in RANGES:
        raise QuacError(f"--final-activation: is {final_activation}; give one of {', '.join(RANGES)}")
    content = read_checkpoint(path)
    if KEY in content:
        raise QuacError(f"{path}: is a checkpoint of ours, which says what it is of; use it as it is")
    weights = {name: _plain(content[name]) for name in AVERAGED}
    sizes = _sizes(weights, path)
    _split_single_head(weights["style_encoder"], sizes["num_domains"], path)
    if len(classes) != sizes["num_domains"]:
        raise QuacError(
            f"--classes: names {len(classes)} ({', '.join(classes)}), but {path} has {sizes['num_domains']}; "
            "name each, in the file's order"
        )
    if len(set(classes)) < len(classes) or not all(classes):
        raise QuacError(f"--classes: {','.join(classes)}: give every class a name of its own")
    usual = RANGES[final_activation]
    scale, shift = (usual[i] if given is None else given for i, given in enumerate((scale, shift)))
    if fault := range_fault(final_activation, scale, shift):
        raise QuacError(f"--scale, --shift: {fault}")
    model = {**sizes, "final_activation": final_activation}
    description = Description(
        model=model,
        classes=classes,
        scale=scale,
        shift=shift,
        channels=model["input_dim"],
        img_size=model["img_size"],
        load_size=model["img_size"],
        step=int(name[1]) if (name := re.match(r"(\d+)_nets_ema\.ckpt$", path.name)) else None,
    )
    _require_shapes(weights, description.model, path)
    return weights, description


def _plain(state):
    """A state_dict without the prefix that torch's data parallel leaves, in float32."""
    return {key.removeprefix("module."): value.float() for key, value in state.items() if torch.is_tensor(value)}


def _sizes(weights, path):
    """The `model` section of a file, all but the last activation."""
    generator, mapping, encoder = (weights[name] for name in AVERAGED)
    if "hpf.filter" in generator:
        raise QuacError(
            f"{path}: is of networks with a high-pass filter (StarGAN v2's w_hpf above 0, as for CelebA-HQ), which "
            "need a network of facial landmarks; give one of w_hpf 0, such as that for AFHQ"
        )
    try:
        conv_dim, input_dim = generator["from_rgb.weight"].shape[:2]
        hidden_dim, latent_dim = mapping["shared.0.weight"].shape
        style_dim = mapping["unshared.0.6.weight"].shape[0]
        # The generator halves down to 16 x 16, then has two blocks more; the style encoder halves down to 4 x 4.
        img_size, of_encoder = 2 ** (_blocks(generator, "encode") - 2 + 4), 2 ** (_blocks(encoder, "shared") + 2)
        last = max(int(key.split(".")[1]) for key in encoder if key.startswith("shared."))
        max_conv_dim = encoder[f"shared.{last}.weight"].shape[0]
    except (LookupError, ValueError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else "its weights have other shapes"
        raise QuacError(f"{path}: is of no networks of StarGAN v2 ({reason}); give <step>_nets_ema.ckpt") from None
    num_domains = len({key.split(".")[1] for key in mapping if key.startswith("unshared.")})
    if num_domains < 2:
        raise QuacError(f"{path}: has one class, and there is nothing to convert into; give a file of two or more")
    if img_size != of_encoder or image_size_fault(img_size):
        raise QuacError(
            f"{path}: its generator is built for images of {img_size}, its style encoder for {of_encoder} pixels; "
            "give a file of StarGAN v2 whose networks belong together, of a power of two from 32 on"
        )
    if input_dim not in (1, 3):
        raise QuacError(f"{path}: is for images of {input_dim} channels, but there are images of 1 and 3")
    if img_size < 2**14 // conv_dim < 2 * img_size:  # QuAC trains such, and shrinks images for the style encoder alone
        log.warning(
            "%s: has networks for %d pixels, as wide as for %d; trained on images of that size, it may convert "
            "worse here",
            path,
            img_size,
            2**14 // conv_dim,
        )
    return {
        "img_size": img_size,
        "style_dim": style_dim,
        "latent_dim": latent_dim,
        "num_domains": num_domains,
        "input_dim": input_dim,
        "conv_dim": conv_dim,
        "max_conv_dim": max_conv_dim,
        "hidden_dim": hidden_dim,
    }


def _blocks(state, name):
    """How many residual blocks a network has under a name."""
    return len({key.split(".")[1] for key in state if key.startswith(f"{name}.") and ".conv1." in key})


def _split_single_head(encoder, classes, path):
    """QuAC's style encoder with one output for all classes: the same output for each class."""
    if "output.weight" not in encoder:
        return
    log.info("%s: its style encoder has one output for all classes, which becomes that of each", path)
    for key in [key for key in encoder if key.startswith("unshared.")]:  # never used
        del encoder[key]
    for kind in ("weight", "bias"):
        value = encoder.pop(f"output.{kind}")
        encoder.update({f"unshared.{label}.{kind}": value for label in range(classes)})


def _require_shapes(weights, model, path):
    """Stop where weights are not those of the networks that their first shapes speak of."""
    with torch.device("meta"):
        networks = build_networks(model, model.num_domains)
    faults = []
    for name in AVERAGED:
        wanted = {key: list(value.shape) for key, value in networks[name].state_dict().items()}
        found = {key: list(value.shape) for key, value in weights[name].items()}
        for key in [*wanted, *(found.keys() - wanted.keys())]:
            if found.get(key) != wanted.get(key):
                faults.append(f"{name}.{key}: {found.get(key, 'missing')}, not {wanted.get(key, 'known')}")
    if faults:
        raise QuacError(f"{path}: is not of the networks of StarGAN v2:\n{listing(faults)}")


def average(paths, weights=None):
    """Weighted mean of checkpoints of the same networks and classes.

    Args:
        paths: checkpoints that describe themselves.
        weights: a share of each, above 0, in any unit; None: all the same.

    Returns:
        `(weights, Description)`, as `import_published`.
    """
    shares = weights or [1.0] * len(paths)
    if len(paths) < 2:
        raise QuacError(f"{paths[0]}: is one checkpoint; give two or more")
    if len(shares) != len(paths) or not all(0 < share < float("inf") for share in shares):
        given = ",".join(f"{share:g}" for share in shares)
        raise QuacError(f"--weights: is {given}; give a number above 0 for each of the {len(paths)} checkpoints")
    mean, first, steps = {name: {} for name in AVERAGED}, None, set()
    for path, share in zip(paths, shares, strict=True):
        content = read_checkpoint(path)
        description = require_description(content, path)
        first = first or description
        _require_alike(first, description, paths[0], path)
        _require_shapes({name: content[name] for name in AVERAGED}, first.model, path)
        for name in AVERAGED:
            for key, value in content[name].items():
                part = value.double() * (share / sum(shares))
                mean[name][key] = mean[name][key] + part if key in mean[name] else part
        steps.add(description.step)
    mean = {name: {key: value.float() for key, value in state.items()} for name, state in mean.items()}
    return mean, first.model_copy(update={"step": steps.pop() if len(steps) == 1 else None})


def _require_alike(first, other, first_path, path):
    ours, theirs = ({**d.as_dict(), **d.as_dict()["model"]} for d in (first, other))
    differ = [
        f"{name} {theirs[name]}, not {value}"
        for name, value in ours.items()
        if name not in ("step", "model") and value != theirs[name]
    ]
    if differ:
        raise QuacError(f"{path}: differs from {first_path} in {'; '.join(differ)}; average what is alike")
