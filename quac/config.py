"""The one schema of a run's settings: QuAC's keys, and ours, with their defaults.

`quac.resolve.resolve` turns what a user wrote into a `Config` in which every
value is filled in. `config/README.md` is generated from the descriptions
here. Nothing here imports torch: the Snakefile reads this at every start.
"""

import re
from typing import Annotated, Literal, get_origin

from pydantic import BaseModel, ConfigDict, Field

from quac.data.preprocess import MODES

KINDS = ("latent", "reference")

Positive = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
Byte = Annotated[int, Field(ge=0, le=255)]


# Of what the checks of the data may find, unless the config says otherwise.
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
    "near-duplicate-across-splits": "warning",
    "group-across-splits": "error",
    "blank": "warning",
    "mixed-modes": "warning",
    "mixed-bit-depths": "warning",
    "mixed-sizes": "warning",
    "smaller-than-crop": "error",
    "distorted": "warning",
    "histogram-shift": "warning",
    "stray-files": "warning",
}


class Section(BaseModel):
    # Numbers to text: a class may be called 3.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True)


def key(default, description):
    return Field(default, description=description)


class Augment(Section):
    """Random changes of training images, drawn anew for each image."""

    hflip: Probability = key(0.0, "Probability of a flip from left to right.")
    vflip: Probability = key(0.0, "Probability of a flip from top to bottom.")
    rot90: Probability = key(0.0, "Probability of a turn by 90, 180 or 270 degrees.")
    crop_probability: Probability = key(
        0.0, "Probability of a crop (80 to 100 % of the area), resized to the full size."
    )


class WeightedFolder(Section):
    """A folder of images of one class."""

    path: str = key(..., "Folder; deeper folders belong to it.")
    weight: Annotated[float, Field(gt=0)] = key(1.0, "Share of the class's draws, beside its other folders.")


_MEANING = {
    "source": (
        "Folder that holds one folder of images per class, or a manifest: a CSV, JSON or YAML list with `path`, "
        "`class`, and if need be `split`, `group`, `mask`."
    ),
    "sources": "Instead of `source`: `{class: [{path: folder, weight: 1}]}`, several folders per class.",
    "img_size": "Side, in pixels, of the squares that the networks are trained on: a power of two from 32.",
    "preprocess": (
        "How images come to their size: `resize` (to a square), `scale_width` or `scale_shortside` (to `load_size`), "
        "then, joined with `_and_`, `crop` or `center_crop` (squares of `img_size`); one of the two; or `none`. Crops "
        "are drawn at random in training, and taken from the middle elsewhere. Left out for validation and test: as "
        "for training."
    ),
    "load_size": (
        "Side, in pixels, to which `preprocess` scales. Left out: `img_size` (but `resize_and_crop` needs it); for "
        "validation and test that of the training, where they are scaled in the same way."
    ),
    "batch_size": "Images per training step.",
    "num_workers": "Threads that decode images.",
    "grayscale": "One channel. Enough by itself; `rgb` need not be switched off. Neither given: three channels.",
    "rgb": "Three channels.",
    "scale": "Pixels in [0, 1] become `scale * pixel + shift` for the networks; by default [-1, 1].",
    "shift": "See `scale`.",
    "mean": "QuAC's older spelling of scale and shift: `(pixel - mean) / std`.",
    "std": "See `mean`.",
    "reference": (
        "Reference images: the name of a split (`train`, `validation`, `test`), or its `source`; left out, the "
        "training split's, which is also the only choice while training."
    ),
    "rand_crop_prob": "QuAC's spelling of `augment.crop_probability`, which is for training alone.",
}


def data_key(name, default=None):
    return key(default, _MEANING[name])


class Split(Section):
    """Where a split's images are, and how they are shown to the networks; what is left out is taken from `data`."""

    source: str | None = data_key("source")
    sources: dict[str, Annotated[list[WeightedFolder], Field(min_length=1)]] | None = data_key("sources")
    img_size: int | None = data_key("img_size")
    preprocess: Literal[MODES] | None = data_key("preprocess")
    load_size: Positive | None = data_key("load_size")
    batch_size: Positive | None = data_key("batch_size")
    num_workers: Positive | None = data_key("num_workers")
    grayscale: bool | None = data_key("grayscale")
    rgb: bool | None = data_key("rgb")
    scale: float | None = data_key("scale")
    shift: float | None = data_key("shift")
    mean: float | None = data_key("mean")
    std: Annotated[float, Field(gt=0)] | None = data_key("std")
    reference: str | None = data_key("reference")
    rand_crop_prob: Probability | None = data_key("rand_crop_prob")

    @property
    def origin(self):
        """What `quac.data.sources.list_source` takes: a path, or {class: list of {path, weight}}."""
        if self.sources is None:
            return self.source
        return {name: [folder.model_dump() for folder in folders] for name, folders in self.sources.items()}


class Data(Split):
    """The training images, and how all images are read."""

    img_size: int = data_key("img_size", 128)
    preprocess: Literal[MODES] = data_key("preprocess", "resize")
    batch_size: Positive = data_key("batch_size", 8)
    num_workers: Positive = data_key("num_workers", 4)
    scale: float = data_key("scale", 2.0)
    shift: float = data_key("shift", -1.0)
    layout: Literal["split_first", "class_first"] = key(
        "split_first",
        "Of source folders. `split_first`: `<source>/<class>/`. `class_first`: `<source>/<class>/*` is for training, "
        "`<source>/<class>/test/` (or `validation/`, if there is one) for validation; the splits share one source.",
    )
    sampling: Literal["balanced", "natural"] | dict[str, Weight] = key(
        "balanced",
        "Training: `balanced` draws every class as often, `natural` by its number of images; or `{class: weight}`.",
    )
    range: tuple[float, float] | None = key(
        None,
        "Lowest and highest value of the whole data set, which become 0 and 1. Left out: the range of the file's "
        "8 or 16 bits. Files of other depths need it.",
    )
    background: tuple[Byte, Byte, Byte] = key(
        (255, 255, 255), "Red, green and blue (0 to 255) behind transparent pixels."
    )
    page: Annotated[int, Field(ge=0)] | None = key(
        None, "Which page of a file that has several, from 0. Left out: such a file is an error."
    )
    max_pixels: Positive = key(2**27, "Largest number of pixels of an image.")
    device_cache: Literal["auto", "always", "never"] = key(
        "auto", "Whether the training images live on the device; `auto`: on a GPU, where they fit."
    )
    classes: list[str] | None = key(None, "Class folders to use, in this order. Left out: all, sorted by name.")
    augment: Augment = Augment()


class Checks(Section):
    """The checks of the data; `docs/your-own-data.md` lists the codes of their findings."""

    severity: dict[str, Literal["error", "warning", "ignore"]] = key(
        {}, "`{code: error|warning|ignore}` of a finding, where it is to be another than usual."
    )
    near_duplicate_distance: Annotated[int, Field(ge=0, le=10)] = key(
        4, "Bits of 64 in which the perceptual hashes of two images differ at most, for near duplicates."
    )


class SplitMaker(Section):
    """Splits made of one source; instead of a `source` for each. Writes lists, copies nothing."""

    source: str = key(..., "Folder of class folders, or a manifest, of all images.")
    train: Probability = key(0.7, "Share of the training split.")
    validation: Probability = key(0.15, "Share of the validation split.")
    test: Probability = key(0.15, "Share of the test split; 0: none.")
    seed: Annotated[int, Field(ge=0)] = key(0, "Another seed gives another split.")
    group_by: str | None = key(
        None,
        "Regular expression; images whose paths match it alike (the first group, or all) are of one group (patient, "
        "slide, plate, film), which stays in one split.",
    )
    group_column: str | None = key(None, "Or the column of the manifest that names the group.")


class Model(Section):
    """The networks: StarGAN v2 (arXiv 1912.01865), without the high-pass skip."""

    img_size: int | None = key(None, "May be left out: `data.img_size`.")
    style_dim: Positive = key(64, "Length of a style vector.")
    latent_dim: Positive = key(16, "Length of a latent vector.")
    num_domains: Annotated[int, Field(ge=2)] | None = key(None, "Number of classes; may be left out: it is counted.")
    input_dim: Literal[1, 3] | None = key(None, "Channels; may be left out: 1 with `data.grayscale`, else 3.")
    final_activation: Literal["tanh", "sigmoid", "none"] = key("tanh", "Last layer of the generator.")
    conv_dim: Positive | None = key(
        None, "Channels at full resolution. Left out: `2**14 // img_size`, the published width."
    )
    max_conv_dim: Positive = key(512, "Upper limit of channels; they double with each halving of the resolution.")
    hidden_dim: Positive = key(512, "Width of the mapping network.")


class Solver(Section):
    """Where a run lives, and its optimisers (Adam)."""

    root_dir: str = key(..., "Folder of the run: everything but the report is written below it.")
    lr: Annotated[float, Field(gt=0)] = key(1e-4, "Learning rate of generator, style encoder and discriminator.")
    f_lr: Annotated[float, Field(gt=0)] = key(1e-6, "Learning rate of the mapping network.")
    beta1: Annotated[float, Field(ge=0, lt=1)] = key(0.0, "Adam's first decay rate.")
    beta2: Annotated[float, Field(ge=0, lt=1)] = key(0.99, "Adam's second decay rate.")
    weight_decay: Weight = key(1e-4, "L2 penalty inside Adam.")
    ema: Annotated[float, Field(ge=0, lt=1)] = key(0.999, "Weight of the past in the moving average of the networks.")
    schedule: Literal["paper", "merged"] = key(
        "paper",
        "Updates of a step. `paper`: four, with latent and reference styles in turn. `merged`: one of the "
        "discriminator and one of the generator, with both kinds of style together.",
    )
    precision: Literal["auto", "fp32", "tf32", "bf16"] = key(
        "auto",
        "How the networks compute while they train; weights are always fp32. `auto`: bf16 on a GPU that has it, else "
        "fp32.",
    )
    channels_last: Literal["auto", "never"] = key(
        "auto", "Memory layout of the training. `auto`: channels last. Changes results in the last bit only."
    )
    ema_warmup: bool = key(True, "At step t the weight of the past is at most (1 + t) / (10 + t).")


class Judge(Section):
    """The classifier that judges generated images, and how often a query is tried."""

    classifier_checkpoint: str | None = key(
        None, "TorchScript classifier. Left out: a small one is trained on the training split."
    )
    scale: float = key(1.0, "The classifier is given `scale * x + shift`, x in the networks' range.")
    shift: float = key(0.0, "See `scale`.")
    do_nothing: bool | None = key(None, "QuAC's older spelling of scale 1 and shift 0.")
    img_size: Positive | None = key(None, "Side, in pixels, of the classifier's input. Left out: `data.img_size`.")
    val_batch_size: Positive = key(16, "Images per batch when converting and judging.")
    num_outs_per_domain: Positive = key(10, "Tries per query image and target class.")
    min_accuracy: Probability = key(0.8, "The workflow stops if the classifier's accuracy on validation is below.")


class Classifier(Section):
    """Training of the classifier, where none is given."""

    epochs: Positive = key(40, "Passes over the training split.")
    batch_size: Positive = key(64, "Images per step.")
    lr: Annotated[float, Field(gt=0)] = key(2e-3, "Highest learning rate of the one-cycle schedule (Adam).")
    width: Positive = key(32, "Channels of the first layer; they double twice.")


class Run(Section):
    """Length of the training, and how it is carried out."""

    total_iters: Positive = key(100_000, "Training steps. Raised later, the training continues.")
    log_every: Positive = key(1_000, "Steps between rows of `history.csv` and sample grids.")
    save_every: Positive = key(10_000, "Steps between checkpoints; each is scored. The last step is always saved.")
    eval_every: Positive = key(10_000, "No effect, accepted for QuAC's sake: every saved checkpoint is scored.")
    resume_iter: Annotated[int, Field(ge=0)] = key(
        0, "No effect, accepted for QuAC's sake: training always goes on from its last state."
    )
    state_every: Positive = key(500, "Steps between whole states, from which a killed training goes on.")
    state_minutes: Annotated[float, Field(gt=0)] = key(15, "Minutes after which a whole state is saved at the latest.")
    keep_states: Annotated[int, Field(ge=2)] = key(2, "Whole states that are kept, the newest ones.")
    accumulate: Positive = key(
        1, "Parts in which a batch is worked off, for want of memory: slower, and the same but for the last bit."
    )
    segment_iters: Positive = key(10_000, "Steps that one job trains.")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = key(0, "Seed of everything random.")
    device: Literal["auto", "cpu", "cuda"] = key("auto", "`auto`: the GPU where there is one.")
    threads: Positive | None = key(
        None, "CPU threads of a stage that runs a network. Left out: all cores. Results depend on it in the last bit."
    )


class Ramp(Section):
    """A weight that goes linearly from `start` to `end`."""

    start_step: Annotated[int, Field(ge=0)] = key(0, "Up to this step the weight is `start`.")
    start: Weight = key(0.0, "Weight at first.")
    end_step: Positive = key(..., "From this step on the weight is `end`.")
    end: Weight = key(..., "Weight at last.")


class Loss(Section):
    """Weights of the terms of the objective (arXiv 1912.01865, section 2.2)."""

    lambda_reg: Weight = key(1.0, "R1 gradient penalty.")
    lambda_sty: Weight = key(1.0, "Style reconstruction.")
    lambda_cyc: Weight = key(1.0, "Cycle consistency.")
    lambda_ds: Weight = key(0.0, "Diversity; falls linearly to 0 over `ds_iter` steps.")
    ds_iter: Positive = key(100_000, "Steps over which `lambda_ds` falls to 0.")
    lambda_id: Weight = key(0.0, "Identity: an image, given its own style, stays as it is.")
    lambda_cls: Weight = key(
        0.0, "Cross-entropy of the classifier on generated images. It will judge them too: the report says so."
    )
    cycle_norm: Literal["l1", "l2", "gradient"] = key(
        "l1", "Distance of the cycle term; `gradient`: l1 of the differences of neighbouring pixels."
    )
    r1_every: Positive = key(1, "Steps from one R1 penalty to the next, which then counts as often (StyleGAN2).")
    ramps: dict[Literal["reg", "sty", "cyc", "ds", "id", "cls"], Ramp] = key(
        {},
        "`{term: {start_step, start, end_step, end}}`: weights that change with the step, instead of `lambda_<term>`.",
    )


class Init(Section):
    """Initial weights: fine-tuning of a trained network."""

    model_config = ConfigDict(**Section.model_config, populate_by_name=True, serialize_by_alias=True)

    checkpoint: str | None = Field(
        None, alias="from", description="Checkpoint, ours or a published one. Left out: the training starts fresh."
    )
    classes: list[str] | None = key(
        None,
        "Classes of the checkpoint, in its order; heads go to the classes of the same names. Left out: the data's.",
    )
    freeze_d: Annotated[int, Field(ge=0)] = key(
        0, "Lower blocks of the discriminator that are not trained (arXiv 2002.10964), counted from the image."
    )


class Log(Section):
    """The name of the run, and its tracking."""

    project: str = key("quac", "Project, for wandb.")
    name: str = key("default", "Name of the run, and of its report: `reports/<name>.html`.")
    notes: str = key("", "A sentence about the run; shown in the report.")
    tags: list[str] = key([], "Words to find the run by; shown in the report.")
    mode: Literal["offline", "online", "disabled"] = key(
        "offline", "wandb: `offline` needs neither account nor network."
    )
    log_dir: str | None = key(None, "Folder of tensorboard's files. Left out: `tensorboard` beside the training state.")
    comment: str = key("", "Suffix of tensorboard's folder.")


class Attribution(Section):
    """Accepted for QuAC's sake; this workflow makes no attributions."""

    attributions: list[str] = key(["DIntegratedGradients", "DDeepLift"], "No effect.")


class Report(Section):
    """What the report shows. Changing it renders the report again, and nothing else."""

    title: str | None = key(None, "Title of the report. Left out: the run's name.")
    examples: Annotated[int, Field(ge=0, le=50)] = key(
        4, "Conversions shown per class pair: this many that reached the target, and as many that did not."
    )


class Config(Section):
    """A run. Layers: these defaults < `--configfile` files, left to right < `--config`."""

    data: Data = Data()
    validation_data: Split = Split()
    test_data: Split | None = None
    split: SplitMaker | None = None
    checks: Checks = Checks()
    model: Model = Model()
    solver: Solver
    validation_config: Judge = Judge()
    classifier: Classifier = Classifier()
    run: Run = Run()
    loss: Loss = Loss()
    init: Init = Init()
    log_type: Literal["wandb", "tensorboard", "none"] = key(
        "wandb", "Where losses and sample grids are logged as well."
    )
    log: Log = Log()
    report: Report = Report()
    attribution: Attribution = Attribution()

    @property
    def splits(self):
        """The splits that this run has: {name: section}."""
        sections = {"train": self.data, "validation": self.validation_data, "test": self.test_data}
        return {name: section for name, section in sections.items() if section is not None}

    @property
    def run_name(self):
        """The run's name, safe as a file name."""
        return re.sub(r"[^\w.-]+", "-", self.log.name).strip("-.") or "run"

    @property
    def steps(self):
        """Steps whose checkpoints are saved and scored, ascending."""
        return checkpoint_steps(self.run.save_every, self.run.total_iters)

    def reference_split(self, split):
        """Name of the split whose images give the styles of kind `reference` for the queries of `split`."""
        folder = self.splits[split].reference
        if folder in self.splits:
            return folder
        return next(name for name, section in self.splits.items() if folder in (None, section.source))


def checkpoint_steps(save_every, end, last=True):
    """Every `save_every` steps up to `end`, ascending; and `end` itself where it is the last step of the training."""
    return sorted({*range(save_every, end + 1, save_every), *([end] if last else [])})


def known_keys(section=Config, prefix=""):
    """Every key of the schema, sections before their keys, as dotted names."""
    names = []
    for name, field in section.model_fields.items():
        name = field.alias or name
        names.append(prefix + name)
        if inner := section_of(field):
            names += known_keys(inner, f"{prefix}{name}.")
    return names


def section_of(field):
    """The Section class that a field holds, or None where it holds a value."""
    parts = () if get_origin(field.annotation) is dict else getattr(field.annotation, "__args__", ())
    for candidate in (field.annotation, *parts):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None
