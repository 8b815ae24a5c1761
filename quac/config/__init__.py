"""The one schema of a run's settings: QuAC's keys, and ours, with their defaults.

`quac.config.resolve.resolve` turns what a user wrote into a `Config` in which every
value is filled in. `config/README.md` is generated from the descriptions
here. Nothing here imports torch: the Snakefile imports it at every start.
"""

import re
from typing import Annotated, Literal

from pydantic import Field

from quac.config.data import Checks, Data, Split, SplitMaker
from quac.config.evaluation import Classifier, Conversion, Explanation, Judge, Oracle, Selection
from quac.config.section import Section, key, section_of
from quac.config.training import Init, Loss, Model, Run, Solver


class Log(Section):
    """The name of the run, and how it is tracked."""

    project: str = key("quac", "Project, for wandb.")
    name: str = key("default", "Name of the run, and of its report: `reports/<name>.html`.")
    notes: str = key("", "A sentence about the run, shown in the report.")
    tags: list[str] = key([], "Words to find the run by, shown in the report.")
    mode: Literal["offline", "online", "disabled"] = key(
        "offline",
        "wandb: `offline` needs neither account nor network; `online` needs `wandb login` before. "
        "`disabled`: no tracker, whichever it is.",
    )
    level: Literal[0, 1, 2] = key(
        1,
        "What is logged of a step, here and by the tracker. 0: the numbers; 1: also a grid `samples` of the same few "
        "images, converted by the averaged networks; 2: also the first images of the step's batch: `x_real`, "
        "`x_reference`, `fake_x_latent`, `fake_x_reference`, `ema_fake_x_latent`, `ema_fake_x_reference`.",
    )
    log_dir: str | None = key(
        None, "Folder of the tensorboard files. Default: `tensorboard`, next to the training state."
    )
    comment: str = key("", "Suffix of the tensorboard folder.")


class Attribution(Section):
    """QuAC's spelling of `explanation.methods`."""

    attributions: list[str] | None = key(
        None,
        "`DIntegratedGradients` is `d_ig`, `DInGrad` is `d_ingrad`; others are left out: they need hooks in the "
        "classifier, which its file formats do not have.",
    )


class Report(Section):
    """What the pages show. A change only renders them again."""

    title: str | None = key(None, "Title of the report. Default: the run's name.")
    examples: Annotated[int, Field(ge=0, le=50)] = key(
        4, "Examples per class pair and style kind: this many best, typical (8 at most) and failed conversions."
    )
    explorer_mb: Annotated[float, Field(gt=0)] = key(
        30.0,
        "Largest size of `reports/<name>-explorer.html`, in megabytes. What does not fit is left out, and counted.",
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
    oracles: Literal["auto", "none"] | dict[Annotated[str, Field(pattern=r"^[\w-]+$")], Oracle] = key(
        "auto",
        "Further classifiers, which choose nothing. Each gives rates of its own, which show whether the networks "
        "convert or only fool the first. `auto`: one is trained on the training split; or `{name: file}`, or `{name: "
        "{classifier_checkpoint, scale, shift, img_size, outputs, classes}}`; or `none`.",
    )
    classifier: Classifier = Classifier()
    selection: Selection = Selection()
    conversion: Conversion = Conversion()
    explanation: Explanation = Explanation()
    run: Run = Run()
    loss: Loss = Loss()
    init: Init = Init()
    log_type: Literal["wandb", "tensorboard", "none"] = key(
        "wandb", "Where losses, image grids and results are logged as well: docs/how-to/tracking.md."
    )
    log: Log = Log()
    report: Report = Report()
    attribution: Attribution = Attribution()

    @property
    def splits(self) -> dict[str, Split]:
        """The splits of this run, {name: section}."""
        sections: dict[str, Split] = {"train": self.data, "validation": self.validation_data}
        return sections | ({"test": self.test_data} if self.test_data else {})

    @property
    def evaluated_splits(self) -> list[str]:
        """The splits that are converted and scored."""
        return [split for split in self.splits if split != "train"]

    @property
    def shown_split(self) -> str:
        """The split whose results the report shows first."""
        return "test" if "test" in self.splits else "validation"

    @property
    def run_name(self) -> str:
        """The run's name, safe as a file name."""
        return re.sub(r"[^\w.-]+", "-", self.log.name).strip("-.") or "run"

    @property
    def steps(self) -> list[int]:
        """Steps whose checkpoints are saved and scored, ascending."""
        return checkpoint_steps(self.run.save_every, self.run.total_iters, first=self.run.save_from)

    @property
    def is_tracked(self) -> bool:
        """Whether the run is logged to a tracker."""
        return self.log_type != "none" and self.log.mode != "disabled"


def checkpoint_steps(every: int, end: int, first: int = 0) -> list[int]:
    """Every `every` steps from `first` to `end`, and `end` itself; ascending."""
    return sorted({*(step for step in range(every, end + 1, every) if step >= first), end})


def known_keys(section: type[Section] = Config, prefix: str = "") -> list[str]:
    """Every key of the schema, sections before their keys, as dotted names."""
    names = []
    for name, field in section.model_fields.items():
        name = field.alias or name
        names.append(prefix + name)
        if inner := section_of(field):
            names += known_keys(inner, f"{prefix}{name}.")
    return names
