"""The sections of the evaluation: the classifiers, and which checkpoint is chosen."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from quac.config.choices import BACKBONES, AttributionMethod, Backbone, Outputs
from quac.config.section import Positive, Probability, Section, key

PerChannel = float | Annotated[list[float], Field(min_length=1)]


class Judging(Section):
    """How a classifier gets images, and how its outputs are read."""

    scale: PerChannel = key(
        1.0,
        "The classifier gets `scale * x + shift`, x in the range of the networks: a number, or one for each channel.",
    )
    shift: PerChannel = key(0.0, "See `scale`.")
    img_size: Positive | None = key(None, "Side, in pixels, of the classifier's input. Default: `data.img_size`.")
    outputs: Outputs = key(
        "auto",
        "What the classifier returns. `auto`: probabilities if all are positive and add up to 1, else logits. "
        "With two classes it may be one number, of the second.",
    )
    classes: list[str] | None = key(
        None,
        "Classes in the order of its outputs; those that the data does not have are left out. Default: the data's.",
    )


FITTED_ORACLE = "oracle"  # the name of the oracle that the workflow trains


class Oracle(Judging):
    """A further classifier, which judges the results and chooses nothing."""

    classifier_checkpoint: str = key(..., "TorchScript or exported classifier.")

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, given: Any) -> Any:
        return {"classifier_checkpoint": given} if isinstance(given, str) else given


class Judge(Judging):
    """The classifier that judges generated images, and the number of tries per query."""

    classifier_checkpoint: str | None = key(
        None, "TorchScript or exported (`.pt2`) classifier. Default: one is trained on the training split."
    )
    do_nothing: bool | None = key(None, "QuAC's older spelling of scale 1 and shift 0.")
    val_batch_size: Positive = key(16, "Images per batch when converting and judging.")
    num_outs_per_domain: Positive = key(10, "Tries per query image and target class.")
    min_accuracy: Probability = key(
        0.8, "The workflow stops if the classifier's accuracy on a class of the validation split is lower."
    )


class Classifier(Section):
    """Training of the classifier, if none is given. Its images are augmented by `data.augment`."""

    backbone: Backbone = key(
        "small", f"`small`: six convolutions; or a network of torchvision: {', '.join(BACKBONES[1:])}."
    )
    weights: str | None = key(
        None, "File of a state_dict of the torchvision network to start from. Default: random weights."
    )
    epochs: Positive = key(40, "Passes over the training split, at most.")
    patience: Positive = key(
        10,
        "Early stopping: epochs without a lower cross-entropy on validation, counted once the learning rate falls "
        "(after 30 % of `epochs`). The epoch with the lowest is kept.",
    )
    batch_size: Annotated[int, Field(ge=2)] = key(64, "Images per step.")
    lr: Annotated[float, Field(gt=0)] = key(2e-3, "Highest learning rate of the one-cycle schedule (Adam).")
    width: Positive = key(32, "Channels of the first layer of `small`; they double twice.")
    class_weights: Literal["none", "balanced"] = key(
        "none", "`balanced`: in the loss, an image counts inversely to the number of images of its class."
    )


class Conversion(Section):
    """How the conversion is run, and which part of an image is converted."""

    shards: Positive = key(
        1, "Jobs that share the conversion of a split, and the scoring of a checkpoint. Does not change results."
    )
    mask: Literal["none", "paste"] = key(
        "none",
        "`paste`: outside the query's mask (column `mask` of a manifest), a generated image is the query itself, "
        "before it is judged, measured and written. A query without a mask is converted as a whole.",
    )
    mask_edge: Annotated[int, Field(ge=0)] = key(
        0, "Pixels, of the networks' image, over which a mask fades in from its border. 0: the mask as it is."
    )


class Selection(Section):
    """Which checkpoint is chosen, on the validation split."""

    metric: Literal["conversion_rate", "translation_rate"] = key(
        "conversion_rate",
        "Average over the class pairs by which `rule: best` ranks checkpoints; ties are broken by the other.",
    )
    kind: Literal["mean", "latent", "reference"] = key("mean", "Style kind that counts; `mean`: the mean of both.")
    tries: Positive | None = key(None, "Tries per query and target. Default: `validation_config.num_outs_per_domain`.")
    max_per_class: Positive | None = key(
        None, "Largest number of queries per class, drawn by the seed, the same for every checkpoint. Default: all."
    )
    rule: Literal["best", "one_se"] = key(
        "best",
        "`best`: the highest rate. `one_se`: of the checkpoints whose translation rate is within one standard error of "
        "the best, the one of the highest identification, then the one that changes the queries least.",
    )


class Explanation(Section):
    """The smallest change that flips each decision, for the split that is shown: docs/how-to/explanations.md."""

    methods: list[AttributionMethod] = key(
        ["d_ig", "d_ingrad", "residual", "random"],
        "How it is found which pixels matter: `d_ig` (discriminative integrated gradients), `d_ingrad` (gradient times "
        "difference), `occlusion`, `residual` (the difference) and `random` (a control). `[]`: no explanations.",
    )
    max_per_pair: Positive | None = key(
        100, "Converted queries of a class pair and style kind at most, drawn by the seed. `null`: all."
    )
