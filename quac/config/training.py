"""The sections of the training: networks, optimisers, objective, initial weights, length."""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import ConfigDict, Field

from quac.config.choices import STYLE_KINDS_OF_MODELS
from quac.config.section import Positive, Section, Weight, key


class Model(Section):
    """The networks: StarGAN v2 (arXiv 1912.01865), without the high-pass skip."""

    kind: Literal["starganv2"] = key("starganv2", "Kind of conversion network; see `quac/models`.")
    img_size: int | None = key(None, "Default: `data.img_size`.")
    style_dim: Positive = key(64, "Length of a style vector.")
    latent_dim: Positive = key(16, "Length of a latent vector.")
    num_domains: Annotated[int, Field(ge=2)] | None = key(None, "Number of classes. Default: they are counted.")
    input_dim: Literal[1, 3] | None = key(None, "Channels. Default: 1 with `data.grayscale`, else 3.")
    final_activation: Literal["tanh", "sigmoid", "none"] = key("tanh", "Last layer of the generator.")
    conv_dim: Positive | None = key(
        None, "Channels at full resolution. Default: `2**14 // img_size`, the published width."
    )
    max_conv_dim: Positive = key(512, "Upper limit of channels; they double with each halving of the resolution.")
    hidden_dim: Positive = key(512, "Width of the mapping network.")

    @property
    def style_kinds(self) -> tuple[str, ...]:
        """The kinds of style with which this kind of network converts."""
        return STYLE_KINDS_OF_MODELS[self.kind]


class Solver(Section):
    """The folder of a run, and its optimisers (Adam)."""

    root_dir: str = key(..., "Folder of the run: everything but the report is written to it.")
    lr: Annotated[float, Field(gt=0)] = key(1e-4, "Learning rate of generator, style encoder and discriminator.")
    f_lr: Annotated[float, Field(gt=0)] = key(1e-6, "Learning rate of the mapping network.")
    beta1: Annotated[float, Field(ge=0, lt=1)] = key(0.0, "Adam's first decay rate.")
    beta2: Annotated[float, Field(ge=0, lt=1)] = key(0.99, "Adam's second decay rate.")
    weight_decay: Weight = key(1e-4, "L2 penalty inside Adam.")
    ema: Annotated[float, Field(ge=0, lt=1)] = key(0.999, "Weight of the past in the moving average of the networks.")
    precision: Literal["auto", "fp32", "tf32", "bf16"] = key(
        "auto",
        "Precision of the computation in training; weights are always fp32. `auto`: bf16 on a GPU that supports it, "
        "else fp32.",
    )
    compile: Literal["auto", "always", "never"] = key(
        "auto",
        "Compile the networks for training, which takes minutes and then saves time in every step. `auto`: on a GPU. "
        "If compilation fails, the log says so and training continues without. Changes results in the last bits only.",
    )
    ema_warmup: bool = key(True, "At step t the weight of the past is at most (1 + t) / (10 + t).")


class Run(Section):
    """Length of the training, and how stages are run."""

    total_iters: Positive = key(100_000, "Training steps. If raised later, the training continues.")
    log_every: Positive = key(1_000, "Steps between rows of `history.csv` and sample grids.")
    save_every: Positive = key(10_000, "Steps between checkpoints; each is scored. The last step is always saved.")
    save_from: Annotated[int, Field(ge=0)] = key(0, "Steps before this one are not saved; the last one always is.")
    eval_every: Positive = key(
        10_000,
        "Steps between evaluations in training: a few validation queries of each class are converted and judged, for "
        "monitoring only. The last step is always evaluated.",
    )
    resume_iter: Annotated[int, Field(ge=0)] = key(
        0, "No effect; accepted for compatibility with QuAC. Training always continues from its last state."
    )
    state_every: Positive = key(500, "Steps between whole states, from which an interrupted training continues.")
    state_minutes: Annotated[float, Field(gt=0)] = key(
        15, "A whole state is saved after this many minutes at the latest."
    )
    keep_states: Annotated[int, Field(ge=2)] = key(2, "How many whole states are kept: the newest.")
    accumulate: Positive = key(
        1, "Gradient accumulation: process a batch in this many chunks to save memory. Results agree up to rounding."
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = key(0, "Seed of everything random.")
    device: Literal["auto", "cpu", "cuda"] = key("auto", "`auto`: the GPU if there is one.")
    threads: Positive | None = key(
        None,
        "CPU threads of a stage that runs a network. Default: all usable cores; while other programs use some, a "
        "training on a CPU uses the others. Results depend on the number in the last bits.",
    )


class Ramp(Section):
    """A weight that changes linearly from `start` to `end`."""

    start_step: Annotated[int, Field(ge=0)] = key(0, "Up to this step the weight is `start`.")
    start: Weight = key(0.0, "Weight at first.")
    end_step: Positive = key(..., "From this step on the weight is `end`.")
    end: Weight = key(..., "Weight at last.")


Term = Literal["reg", "sty", "cyc", "ds", "id", "cls"]


class Loss(Section):
    """Weights of the terms of the objective (arXiv 1912.01865, section 2.2)."""

    TERMS: ClassVar[tuple[Term, ...]] = get_args(Term)  # besides the adversarial loss, whose weight is 1

    lambda_reg: Weight = key(1.0, "R1 gradient penalty.")
    lambda_sty: Weight = key(1.0, "Style reconstruction.")
    lambda_cyc: Weight = key(1.0, "Cycle consistency.")
    lambda_ds: Weight = key(0.0, "Diversity; falls linearly to 0 over `ds_iter` steps.")
    ds_iter: Positive = key(100_000, "Steps over which `lambda_ds` falls to 0.")
    lambda_id: Weight = key(0.0, "Identity: an image with its own style stays as it is.")
    lambda_cls: Weight = key(
        0.0, "Cross-entropy of the classifier on generated images. It also judges them, so the report warns."
    )
    cycle_norm: Literal["l1", "l2", "gradient"] = key(
        "l1", "Distance of the cycle term; `gradient`: l1 of the differences of neighbouring pixels."
    )
    r1_every: Positive = key(1, "Take the R1 penalty every so many steps, with its weight multiplied by that.")
    ramps: dict[Term, Ramp] = key(
        {},
        "`{term: {start_step, start, end_step, end}}`: weights that change with the step, instead of `lambda_<term>`.",
    )

    def weight(self, term: Term, step: int) -> float:
        """The weight of a term at a step.

        By `ramps` if it names the term: `start` up to `start_step`, then linear to `end` at `end_step`, and `end` from
        there on. Otherwise `lambda_<term>`; for the diversity loss this falls linearly to 0 over `ds_iter` steps.
        """
        if ramp := self.ramps.get(term):
            share = (step - ramp.start_step) / max(1, ramp.end_step - ramp.start_step)
            return ramp.start + (ramp.end - ramp.start) * min(1.0, max(0.0, share))
        full = getattr(self, f"lambda_{term}")
        return full * max(0.0, 1 - step / self.ds_iter) if term == "ds" else full

    def weights_at(self, step: int) -> dict[Term, float]:
        """{term: weight} of the terms with a weight at a step. R1 is taken every `r1_every` steps, at n times its
        weight."""
        weights = {term: self.weight(term, step) for term in self.TERMS}
        weights["reg"] *= self.r1_every if step % self.r1_every == 0 else 0
        return {term: value for term, value in weights.items() if value}

    def is_used(self, term: Term) -> bool:
        """Whether a term has a weight at any step."""
        ramp = self.ramps.get(term)
        return bool(ramp.start or ramp.end) if ramp else getattr(self, f"lambda_{term}") > 0


class Init(Section):
    """Initial weights: fine-tuning of a trained network."""

    model_config = ConfigDict(**Section.model_config, populate_by_name=True, serialize_by_alias=True)

    checkpoint: str | None = Field(
        None, alias="from", description="Checkpoint, ours or a published one. Default: random initial weights."
    )
    classes: list[str] | None = key(
        None,
        "Classes of the checkpoint, in its order; heads are matched to classes by name. Default: those that it names "
        "itself, as ours do, or else those of the data.",
    )
    freeze_d: Annotated[int, Field(ge=0)] = key(
        0, "First blocks of the discriminator, from the image on, that are not trained (arXiv 2002.10964)."
    )
