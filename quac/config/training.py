"""The sections of the training: networks, optimisers, objective, initial weights, length."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from quac.config.section import Positive, Section, Weight, key


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
    compile: Literal["auto", "always", "never"] = key(
        "auto",
        "Whether the networks are compiled for training, which takes minutes and then saves a part of every step. "
        "`auto`: on a GPU, where the step is captured as a CUDA graph too. Where that does not work, the log says so. "
        "Changes results in the last bits only.",
    )
    ema_warmup: bool = key(True, "At step t the weight of the past is at most (1 + t) / (10 + t).")


class Run(Section):
    """Length of the training, and how it is carried out."""

    total_iters: Positive = key(100_000, "Training steps. Raised later, the training continues.")
    log_every: Positive = key(1_000, "Steps between rows of `history.csv` and sample grids.")
    save_every: Positive = key(10_000, "Steps between checkpoints; each is scored. The last step is always saved.")
    save_from: Annotated[int, Field(ge=0)] = key(0, "Steps before it are not saved; the last one always is.")
    eval_every: Positive = key(
        10_000,
        "Steps between looks at how it converts: a few validation queries of each class are judged, for you to watch. "
        "The last step is always looked at.",
    )
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
        "Classes of the checkpoint, in its order; heads go to the classes of the same names. Left out: those that it "
        "names itself, as ours do, or else the data's.",
    )
    freeze_d: Annotated[int, Field(ge=0)] = key(
        0, "Lower blocks of the discriminator that are not trained (arXiv 2002.10964), counted from the image."
    )
