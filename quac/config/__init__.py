"""The one schema of a run's settings: QuAC's keys, and ours, with their defaults.

`quac.config.resolve.resolve` turns what a user wrote into a `Config` in which every
value is filled in. `config/README.md` is generated from the descriptions
here. Nothing here imports torch: the Snakefile reads this at every start.
"""

import re
from typing import Annotated, Literal

from pydantic import Field

from quac.config.data import Checks, Data, Split, SplitMaker
from quac.config.evaluation import Classifier, Conversion, FurtherJudge, Judge, Selection
from quac.config.section import Section, key, section_of
from quac.config.training import Init, Loss, Model, Run, Solver


class Log(Section):
    """The name of the run, and its tracking."""

    project: str = key("quac", "Project, for wandb.")
    name: str = key("default", "Name of the run, and of its report: `reports/<name>.html`.")
    notes: str = key("", "A sentence about the run; shown in the report.")
    tags: list[str] = key([], "Words to find the run by; shown in the report.")
    mode: Literal["offline", "online", "disabled"] = key(
        "offline",
        "wandb: `offline` needs neither account nor network, `online` wants `wandb login` before. "
        "`disabled`: no tracker, whichever it is.",
    )
    level: Literal[0, 1, 2] = key(
        1,
        "What is kept of a logged step, here and by the tracker: 0 the numbers; 1 also a grid `samples` of the same "
        "few images at every step, converted by the averaged networks; 2 also a row each of the first images of the "
        "step's batch: `x_real`, `x_ref`, `fake_x_latent`, `fake_x_ref`, `ema_fake_x_latent`, `ema_fake_x_ref`.",
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
        4, "Conversions shown of each class pair and kind: this many of the best, of typical, and of failed ones."
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
    judges: dict[Annotated[str, Field(pattern=r"^[\w-]+$")], str | FurtherJudge] = key(
        {},
        "Further classifiers, `{name: file}`, or `{name: {classifier_checkpoint, scale, shift, img_size, outputs, "
        "classes}}`: each gives rates of its own, which show whether the networks convert or only please the first.",
    )
    classifier: Classifier = Classifier()
    selection: Selection = Selection()
    conversion: Conversion = Conversion()
    run: Run = Run()
    loss: Loss = Loss()
    init: Init = Init()
    log_type: Literal["wandb", "tensorboard", "none"] = key(
        "wandb", "Where losses, image grids and results are logged as well: docs/tracking.md."
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
    def shown_split(self):
        """The split whose results the report shows first."""
        return "test" if "test" in self.splits else "validation"

    @property
    def run_name(self):
        """The run's name, safe as a file name."""
        return re.sub(r"[^\w.-]+", "-", self.log.name).strip("-.") or "run"

    @property
    def steps(self):
        """Steps whose checkpoints are saved and scored, ascending."""
        return checkpoint_steps(self.run.save_every, self.run.total_iters, first=self.run.save_from)

    def reference_split(self, split):
        """Name of the split whose images give the styles of kind `reference` for the queries of `split`."""
        folder = self.splits[split].reference
        if folder in self.splits:
            return folder
        return next(name for name, section in self.splits.items() if folder in (None, section.source))


def checkpoint_steps(save_every, end, last=True, first=0):
    """Every `save_every` steps from `first` to `end`, ascending; and `end` itself where it is the training's `last`."""
    steps = range(save_every, end + 1, save_every)
    return sorted({*(step for step in steps if step >= first), *([end] if last else [])})


def known_keys(section=Config, prefix=""):
    """Every key of the schema, sections before their keys, as dotted names."""
    names = []
    for name, field in section.model_fields.items():
        name = field.alias or name
        names.append(prefix + name)
        if inner := section_of(field):
            names += known_keys(inner, f"{prefix}{name}.")
    return names
