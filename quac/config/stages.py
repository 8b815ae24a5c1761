"""The stages of the workflow: which settings and files the result of each depends on.

A stage runs again when one of them changes, and only then. How a stage is carried out (threads, device, logging) is not
part of this; see `quac.config.run_options`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from quac.config import Config

Keys = tuple[str, ...]


@dataclass(frozen=True)
class Condition:
    """What a stage reads in addition, if a condition on its settings holds."""

    holds: Callable[[Config], bool]
    reads: Keys
    files: Keys = ()


@dataclass(frozen=True)
class Stage:
    """What the result of a stage depends on.

    Attributes:
        reads: dotted keys of the resolved config, by their YAML names. A section stands for all its keys; `{split}` for
            the section of the stage's split, `{splits}` for those of all splits; `*` for every name in a mapping; a
            `?` at the end for whether an optional section is given.
        files: keys that name the user's files; the stage depends on their content.
        also: what it reads under a condition.
        home: whose folder its key file lies in: that of the data, of the classifier, or of the run.
        splits: the splits for which it is carried out, each with a key file of its own; None: once for all.
        version: raised when the same settings give another result.
    """

    reads: Keys
    files: Keys = ()
    also: tuple[Condition, ...] = ()
    home: Literal["data", "classifier", "run"] = "run"
    splits: Literal["all", "evaluated"] | None = None
    version: int = 1


def _in(section: str, *names: str) -> Keys:
    return tuple(f"{section}.{name}" for name in names)


LISTING = _in("data", "layout", "classes")  # which images there are
DECODING = _in("data", "range", "background", "page", "max_pixels")  # how a file becomes pixels
SIZING = ("data.img_size", *_in("{split}", "preprocess", "load_size"))  # how images get their size
RANGE = _in("data", "scale", "shift")  # of the networks' images
SHOWN = _in("model", "img_size", "input_dim")  # what images the networks take and give
JUDGING = _in("validation_config", "scale", "shift", "img_size", "outputs", "classes")  # how a classifier sees them
ORACLES = _in("oracles.*", "scale", "shift", "img_size", "outputs", "classes")
SAVE_PLAN = _in("run", "total_iters", "save_every", "save_from")
CLASSIFIER = ("validation_config.classifier_checkpoint",)
MASKS = Condition(lambda config: config.conversion.mask == "paste", reads=("conversion.mask_edge", *SIZING, *DECODING))
CLASSIFIER_LOSS = Condition(lambda config: config.loss.is_used("cls"), reads=JUDGING, files=CLASSIFIER)
CONVERTING = (
    *("validation_config.val_batch_size", "run.seed", "{split}.reference", "conversion.mask"),
    *(*SHOWN, *RANGE, *JUDGING),
)

STAGES = {
    "config": Stage(reads=tuple(Config.model_fields)),
    "split": Stage(
        reads=("split", *LISTING, *DECODING, "checks.near_duplicate_distance"),
        files=("split.source",),
        home="data",
        version=2,
    ),
    "index": Stage(
        reads=(*_in("{split}", "source", "sources"), *LISTING, *DECODING),
        files=("{split}.source",),
        home="data",
        splits="all",
        version=3,
    ),
    "checks": Stage(
        reads=(
            "checks",
            "model.num_domains",
            *_in("data", "sampling", "img_size", "range"),
            *_in("{splits}", "preprocess", "load_size"),
        ),
        home="data",
        version=3,
    ),
    "store": Stage(
        reads=(*SIZING, "model.input_dim", *DECODING, "data.augment.crop_probability"),
        home="data",
        splits="all",
        version=2,
    ),
    "classifier": Stage(
        reads=(
            *_in("classifier", "backbone", "epochs", "patience", "batch_size", "lr", "width", "class_weights"),
            *_in("validation_config", "scale", "shift", "img_size"),
            *("run.seed", "data.augment", *SHOWN, *RANGE),
        ),
        files=("classifier.weights",),
        home="classifier",
        version=3,
    ),
    "oracle": Stage(
        reads=(
            *_in("classifier", "epochs", "patience", "batch_size", "lr", "width", "class_weights"),
            *("run.seed", "data.augment", *SHOWN, *RANGE),
        ),
        home="classifier",
        version=2,
    ),
    "check": Stage(
        reads=(
            *_in("validation_config", "min_accuracy", "val_batch_size"),
            *("test_data?", *SHOWN, *RANGE, *JUDGING, *ORACLES),
        ),
        files=(*CLASSIFIER, "oracles.*.classifier_checkpoint"),
        home="classifier",
        version=3,
    ),
    "train": Stage(
        reads=(
            *_in("data", "img_size", "preprocess", "load_size", "batch_size", "augment", "sampling"),
            *_in("model", "kind", "style_dim", "latent_dim", "final_activation"),
            *_in("model", "conv_dim", "max_conv_dim", "hidden_dim"),
            *_in("solver", "lr", "f_lr", "beta1", "beta2", "weight_decay", "ema", "ema_warmup", "precision"),
            *("loss", "run.seed", *_in("init", "classes", "freeze_d"), *SHOWN, *RANGE, *DECODING),
        ),
        files=("init.from",),
        also=(CLASSIFIER_LOSS,),
        version=2,
    ),
    "save_plan": Stage(reads=SAVE_PLAN),
    "score": Stage(
        reads=(*_in("selection", "tries", "max_per_class"), "conversion.shards", *CONVERTING),
        files=CLASSIFIER,
        also=(MASKS,),
        version=2,
    ),
    "select": Stage(reads=(*_in("selection", "metric", "kind", "rule"), *SAVE_PLAN), version=2),
    "convert": Stage(
        reads=("validation_config.num_outs_per_domain", "conversion.shards", *CONVERTING, *ORACLES),
        files=(*CLASSIFIER, "oracles.*.classifier_checkpoint"),
        also=(MASKS,),
        splits="evaluated",
        version=3,
    ),
    "style_grids": Stage(reads=CONVERTING, files=CLASSIFIER, also=(MASKS,), splits="evaluated", version=2),
    "controls": Stage(
        reads=("validation_config.val_batch_size", "run.seed", "conversion.mask", *SHOWN, *RANGE, *JUDGING, *ORACLES),
        files=(*CLASSIFIER, "oracles.*.classifier_checkpoint"),
        also=(MASKS,),
        splits="evaluated",
    ),
    "explain": Stage(
        reads=("explanation", "run.seed", "conversion.mask", *SHOWN, *RANGE, *JUDGING, *ORACLES),
        files=(*CLASSIFIER, "oracles.*.classifier_checkpoint"),
        also=(MASKS,),
        splits="evaluated",
        version=2,
    ),
    "features": Stage(reads=(), splits="evaluated"),
    "explorer": Stage(reads=("report.explorer_mb",)),
    "matrices": Stage(reads=(), splits="evaluated", version=2),
    "report": Stage(reads=()),
}
SECTIONS = {"train": "data", "validation": "validation_data", "test": "test_data"}  # of each split


@dataclass(frozen=True)
class StageJob:
    """A stage and, if it is carried out for each split, its split."""

    name: str
    split: str | None = None

    @property
    def stage(self) -> Stage:
        return STAGES[self.name]

    def __str__(self) -> str:
        """As its key file is named."""
        return f"{self.name}_{self.split}" if self.split else self.name

    def reads(self, config: Config) -> Keys:
        """The keys that it reads, its splits and the conditions of `config` filled in."""
        also = [key for condition in self.stage.also if condition.holds(config) for key in condition.reads]
        return tuple(dict.fromkeys(self._filled([*self.stage.reads, *also], config)))

    def files(self, config: Config) -> Keys:
        """The keys of the files on whose content it depends, likewise."""
        also = [key for condition in self.stage.also if condition.holds(config) for key in condition.files]
        return tuple(dict.fromkeys(self._filled([*self.stage.files, *also], config)))

    def _filled(self, keys: list[str], config: Config) -> Iterator[str]:
        # Scores are of the validation split; which splits a stage of all of them has is one of its settings.
        section = SECTIONS[self.split or "validation"]
        for key in keys:
            if "{splits}" in key:
                yield from (key.replace("{splits}", SECTIONS[split]) for split in config.splits)
                yield "test_data?"
            else:
                yield key.replace("{split}", section)


def stage_jobs(config: Config) -> list[StageJob]:
    """The stages of a run, in the order of the chain."""
    without = {*([] if config.split else ["split"])}
    without |= {"classifier"} if config.validation_config.classifier_checkpoint else set()
    without |= set() if config.oracles == "auto" else {"oracle"}
    splits: dict[str | None, list[str | None]] = {
        None: [None],
        "all": [*config.splits],
        "evaluated": [*config.evaluated_splits],
    }
    return [
        StageJob(name, split) for name, stage in STAGES.items() if name not in without for split in splits[stage.splits]
    ]


def jobs_of(home: str, config: Config) -> list[StageJob]:
    """The stages whose key files lie in a folder: that of the `data`, of the `classifier`, or of the `run`."""
    return [job for job in stage_jobs(config) if job.stage.home == home]


def job_named(name: str) -> StageJob:
    """The stage of a key file's name, such as `store_train`."""
    stage, _, split = name.rpartition("_")
    return StageJob(stage, split) if stage in STAGES and split in SECTIONS else StageJob(name)
