"""The values that a setting may take, for all rooms. (Imports nothing heavy.)"""

from typing import Literal, get_args

Outputs = Literal["auto", "logits", "probabilities"]  # of a classifier
StyleKind = Literal["latent", "reference"]  # where the style of a generated image comes from
STYLE_KINDS: tuple[StyleKind, ...] = get_args(StyleKind)
# With which style kinds each kind of conversion network converts, by `model.kind`.
STYLE_KINDS_OF_MODELS: dict[str, tuple[StyleKind, ...]] = {"starganv2": STYLE_KINDS}

# How images get their size, in the words of CycleGAN's option: a scaling, a crop, or both. `img_size` takes the place
# of its crop size.
PreprocessMode = Literal[
    "resize",
    "scale_width",
    "scale_shortside",
    "crop",
    "center_crop",
    "resize_and_crop",
    "resize_and_center_crop",
    "scale_width_and_crop",
    "scale_width_and_center_crop",
    "scale_shortside_and_crop",
    "scale_shortside_and_center_crop",
    "none",
]
PREPROCESS_MODES: tuple[PreprocessMode, ...] = get_args(PreprocessMode)
CROPS = ("crop", "center_crop")

Backbone = Literal[
    "small",
    "resnet18",
    "resnet34",
    "resnet50",
    "densenet121",
    "efficientnet_b0",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "regnet_y_400mf",
    "convnext_tiny",
]
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)

# How it is found which pixels of a query make the difference; `random` is a control.
AttributionMethod = Literal["d_ig", "d_ingrad", "occlusion", "residual", "random"]
ATTRIBUTION_METHODS: tuple[AttributionMethod, ...] = get_args(AttributionMethod)
# As QuAC names them. What is missing needs hooks in the classifier, which its file formats do not have.
QUAC_ATTRIBUTIONS: dict[str, AttributionMethod] = {"DIntegratedGradients": "d_ig", "DInGrad": "d_ingrad"}

# Severity of each finding of the data checks, unless the config says otherwise.
SEVERITIES = {
    "one-class": "error",
    "class-missing": "error",
    "num-domains": "error",
    "sampling": "error",
    "class-names-alike": "error",
    "too-few": "error",
    "imbalance": "warning",
    "unreadable": "error",
    "identical-across-splits": "error",
    "identical-across-classes": "error",
    "identical-within-split": "warning",
    "near-duplicate-across-splits": "warning",
    "group-across-splits": "error",
    "blank": "warning",
    "value-range": "warning",
    "mixed-modes": "warning",
    "mixed-bit-depths": "warning",
    "mixed-sizes": "warning",
    "smaller-than-crop": "error",
    "distorted": "warning",
    "histogram-shift": "warning",
    "shortcut": "warning",
    "format-by-class": "warning",
    "result-names": "error",
    "ambiguous": "warning",
    "stray-files": "warning",
    "passed-over": "warning",
}

# Findings with which no later stage can go on, and why; their severity must stay an error.
ALWAYS_ERRORS = {
    "one-class": "a conversion needs two classes",
    "class-missing": "a class without images cannot be scored",
    "sampling": "training would not know how often to draw a class",
    "unreadable": "files that cannot be read cannot be stored; remove them, and the finding names them all",
    "smaller-than-crop": "an image that is smaller than the crop cannot be cropped; remove it, or scale up",
    "result-names": "generated images could not be written; rename the files that it names",
}


def split_mode(mode: str) -> tuple[str | None, str | None]:
    """The scaling and the crop of a preprocess mode, None where there is none."""
    if mode == "none":
        return None, None
    scaling, _, crop = mode.rpartition("_and_")
    return (scaling or None, crop) if crop in CROPS else (crop, None)


def without_random_crop(mode: str) -> str:
    """A preprocess mode with a centre crop instead of a random one, for everything but training."""
    scaling, crop = split_mode(mode)
    return "_and_".join(filter(None, (scaling, crop and "center_crop"))) or "none"
