"""The sections of the evaluation: who judges, and which checkpoint is chosen."""

from typing import Annotated, Literal

from pydantic import Field

from quac.config.section import Positive, Probability, Section, key

KINDS = ("latent", "reference")
BACKBONES = (
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
)
PerChannel = float | Annotated[list[float], Field(min_length=1)]


class Judging(Section):
    """How a classifier is shown images, and how its outputs are read."""

    scale: PerChannel = key(
        1.0,
        "The classifier is given `scale * x + shift`, x in the networks' range: a number, or one for each channel.",
    )
    shift: PerChannel = key(0.0, "See `scale`.")
    img_size: Positive | None = key(None, "Side, in pixels, of the classifier's input. Left out: `data.img_size`.")
    outputs: Literal["auto", "logits", "probabilities"] = key(
        "auto", "What the classifier returns; `auto`: probabilities where they are positive and add up to 1."
    )
    classes: list[str] | None = key(None, "Classes in the order of its outputs. Left out: the order of the data's.")


class FurtherJudge(Judging):
    """A classifier that judges too, and chooses nothing."""

    classifier_checkpoint: str = key(..., "TorchScript or exported classifier.")


class Judge(Judging):
    """The classifier that judges generated images, and how often a query is tried."""

    classifier_checkpoint: str | None = key(
        None, "TorchScript or exported (`.pt2`) classifier. Left out: one is trained on the training split."
    )
    do_nothing: bool | None = key(None, "QuAC's older spelling of scale 1 and shift 0.")
    val_batch_size: Positive = key(16, "Images per batch when converting and judging.")
    num_outs_per_domain: Positive = key(10, "Tries per query image and target class.")
    min_accuracy: Probability = key(0.8, "The workflow stops if the classifier's accuracy on validation is below.")


class Classifier(Section):
    """Training of the classifier, where none is given. It sees the training images changed as `data.augment` says."""

    backbone: Literal[BACKBONES] = key(
        "small", f"`small`: six convolutions; or a network of torchvision: {', '.join(BACKBONES[1:])}."
    )
    weights: str | None = key(
        None, "File of a state_dict of torchvision's network, to begin with. Left out: random weights."
    )
    epochs: Positive = key(40, "Passes over the training split, at most.")
    patience: Positive = key(
        10,
        "Epochs without a lower cross-entropy on validation after which the training ends, once the learning rate "
        "falls (after 30 % of `epochs`). The epoch with the lowest is kept.",
    )
    batch_size: Annotated[int, Field(ge=2)] = key(64, "Images per step.")
    lr: Annotated[float, Field(gt=0)] = key(2e-3, "Highest learning rate of the one-cycle schedule (Adam).")
    width: Positive = key(32, "Channels of the first layer of `small`; they double twice.")
    class_weights: Literal["none", "balanced"] = key(
        "none", "`balanced`: in the loss, images count inversely to the number of images of their class."
    )


class Conversion(Section):
    """How the conversion is carried out, and what of an image is converted."""

    shards: Positive = key(
        1, "Jobs into which the conversion of a split, and the scoring of a checkpoint, are split. Changes no result."
    )
    mask: Literal["none", "paste"] = key(
        "none",
        "`paste`: outside of the query's mask, which a list names in its column `mask`, a generated image is the query "
        "itself, and so it is judged, measured and written. A query without a mask is converted whole.",
    )
    mask_edge: Annotated[int, Field(ge=0)] = key(
        0, "Pixels of the networks' image over which a mask falls off, from its border inwards. 0: the mask as it is."
    )


class Selection(Section):
    """Which checkpoint is chosen, by the validation split."""

    metric: Literal["conversion_rate", "translation_rate"] = key(
        "conversion_rate", "Average over the class pairs by which checkpoints are compared; ties by the other one."
    )
    kind: Literal["mean", *KINDS] = key("mean", "Kind of style that counts; `mean`: of both.")
    tries: Positive | None = key(None, "Tries per query and target. Left out: `validation_config.num_outs_per_domain`.")
    max_per_class: Positive | None = key(
        None, "Queries per class at most, drawn by the seed, the same for every checkpoint. Left out: all."
    )
    rule: Literal["best", "one_se"] = key(
        "best",
        "`best`: the highest rate. `one_se`: of those within one standard error of the best in both rates, the one "
        "that changes the queries least.",
    )
