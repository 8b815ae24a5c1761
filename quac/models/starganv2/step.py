"""One training step: four updates, discriminator then generator, each with latent and then with reference styles."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from quac.config.training import Loss, Solver
from quac.data.batches import TrainingBatch
from quac.models.starganv2 import losses
from quac.models.starganv2.networks import AVERAGED, NETWORKS, update_average, without_gradients

Forward = Callable[..., Any]
LossAndTerms = tuple[Tensor, dict[str, Tensor]]


@dataclass(frozen=True)
class Terms:
    """The terms of the losses of a step, unweighted: every term that ever has a weight, the same in each step."""

    names: tuple[str, ...]  # such as `D/latent_real` and `G/reference_cyc`
    values: Tensor  # (n,) on the device; 0 for a term without a weight at this step
    present: Tensor  # (n,) booleans in host memory: which terms had a weight

    def by_name(self) -> dict[str, Tensor]:
        """The terms that had a weight, {name: 0-d tensor}."""
        named = zip(self.names, self.values, self.present.tolist(), strict=True)
        return {name: value for name, value, is_present in named if is_present}


@dataclass
class Pass:
    """What the loss of an update is computed from, for a chunk of a batch."""

    networks: dict[str, Forward]  # by name; those that the update steps record gradients
    held: dict[str, Forward]  # the same networks; none records gradients
    batch: TrainingBatch
    fake: Tensor  # generated images (B, C, H, W)
    style: Tensor  # that they were made with, (B, style_dim)
    style_kind: str
    cycle_norm: str
    judge: Forward | None  # images -> probabilities (B, classes), for the classifier loss

    @cached_property
    def own_style(self) -> Tensor:
        """The styles (B, style_dim) of the query images themselves."""
        return self.networks["style_encoder"](self.batch.x_real, self.batch.y_org)

    def style_term(self) -> Tensor:
        return losses.style_loss(self.networks["style_encoder"](self.fake, self.batch.y_trg), self.style)

    def cycle_term(self) -> Tensor:
        reconstruction = self.networks["generator"](self.fake, self.own_style)
        return losses.cycle_loss(reconstruction, self.batch.x_real, self.cycle_norm)

    def diversity_term(self) -> Tensor:
        other = style_of(self.held, self.style_kind, self.batch, second=True)
        return losses.diversity_loss(self.fake, self.held["generator"](self.batch.x_real, other))

    def identity_term(self) -> Tensor:
        return losses.identity_loss(self.networks["generator"](self.batch.x_real, self.own_style), self.batch.x_real)

    def classifier_term(self) -> Tensor:
        if self.judge is None:
            raise ValueError("the classifier loss needs a classifier")
        with torch.autocast(self.fake.device.type, enabled=False):
            return losses.classifier_loss(self.judge(losses.as_float32(self.fake)), self.batch.y_trg)


# The terms of the generator's loss besides the adversarial one, by the names of their weights (`lambda_<term>`).
GENERATOR_TERMS: dict[str, Callable[[Pass], Tensor]] = {
    "sty": Pass.style_term,
    "cyc": Pass.cycle_term,
    "ds": Pass.diversity_term,
    "id": Pass.identity_term,
    "cls": Pass.classifier_term,
}
MAXIMISED = ("ds",)


def discriminator_loss(
    D: nn.Module, x_real: Tensor, y_org: Tensor, fake: Tensor, y_trg: Tensor, penalty: Tensor | None
) -> LossAndTerms:
    """The loss of the discriminator on real images and on fakes, and its terms.

    `penalty`: weight of the R1 penalty, a 0-d tensor, for which x_real must require gradients; None: no penalty.
    """
    logits = D(x_real, y_org)
    terms = {
        "real": losses.adversarial_loss(logits, real=True),
        "fake": losses.adversarial_loss(D(fake, y_trg), real=False),
    }
    loss = terms["real"] + terms["fake"]
    if penalty is not None:
        terms["reg"] = losses.r1_penalty(logits, x_real)
        loss = loss + penalty * terms["reg"]
    return loss, terms


def discriminator_update(images: Pass, weights: dict[str, Tensor]) -> LossAndTerms:
    """`discriminator_loss` of a pass, with the R1 penalty if `reg` has a weight."""
    batch = images.batch
    x_real = batch.x_real.detach().requires_grad_("reg" in weights)
    inputs = x_real, batch.y_org, images.fake.detach(), batch.y_trg, weights.get("reg")
    return images.networks["discriminator_loss"](*inputs)


def generator_update(images: Pass, weights: dict[str, Tensor]) -> LossAndTerms:
    """The loss of the generator, and its terms: the adversarial one, and those with a weight."""
    terms = {
        "adv": losses.adversarial_loss(images.networks["discriminator"](images.fake, images.batch.y_trg), real=True)
    }
    loss = terms["adv"]
    for name, weight in weights.items():
        terms[name] = GENERATOR_TERMS[name](images)
        loss = loss + (-weight if name in MAXIMISED else weight) * terms[name]
    return loss, terms


@dataclass(frozen=True)
class Phase:
    """One update of a step."""

    name: str  # what the names of its terms begin with
    style_kind: str  # of the generated images
    steps: tuple[str, ...]  # networks that it steps; no other network records gradients in it
    loss: Callable[[Pass, dict[str, Tensor]], LossAndTerms]  # of {term: weight}; the terms are unweighted
    without: tuple[str, ...] = ()  # terms that it leaves out

    @property
    def terms(self) -> tuple[str, ...]:
        """The terms that its loss may have."""
        if self.loss is discriminator_update:
            return "real", "fake", "reg"
        return "adv", *(name for name in GENERATOR_TERMS if name not in self.without)


GENERATOR_LATENT = Phase("G/latent", "latent", AVERAGED, generator_update)
UPDATES = (
    Phase("D/latent", "latent", ("discriminator",), discriminator_update),
    Phase("D/reference", "reference", ("discriminator",), discriminator_update),
    GENERATOR_LATENT,
    # The generator alone: training the style encoder in this update degrades it (stargan-v2, issue 44). The identity
    # term does not depend on the style kind, so it is taken once a step.
    Phase("G/reference", "reference", ("generator",), generator_update, without=("id",)),
)


def average_weight(solver: Solver, step: int) -> float:
    """Weight of the past in the moving average after `step` (from 0) is done."""
    return min(solver.ema, (1 + step) / (10 + step)) if solver.ema_warmup else solver.ema


def build_optimizers(networks: nn.ModuleDict, solver: Solver) -> dict[str, torch.optim.Adam]:
    """Adam for each network; the mapping network has a learning rate of its own.

    A lazy R1 penalty needs no correction: it is added to the loss of a step that is taken anyway, while StyleGAN2's
    (arXiv 1912.04958, appendix B) takes a step of its own.
    """

    def adam(name: str) -> torch.optim.Adam:
        rate, betas = solver.f_lr if name == "mapping_network" else solver.lr, (solver.beta1, solver.beta2)
        return torch.optim.Adam(networks[name].parameters(), rate, betas, weight_decay=solver.weight_decay, fused=True)

    return {name: adam(name) for name in NETWORKS}


def forward_functions(networks: nn.ModuleDict) -> dict[str, Forward]:
    """What a step runs: the networks by name, and `discriminator_loss`, which differentiates twice."""
    return {**networks, "discriminator_loss": partial(discriminator_loss, networks["discriminator"])}


def style_of(networks: dict[str, Forward], style_kind: str, batch: TrainingBatch, second: bool = False) -> Tensor:
    """Target styles (B, style_dim) of a batch. `second`: the other ones, of the diversity loss."""
    if style_kind == "latent":
        return networks["mapping_network"](batch.z_trg2 if second else batch.z_trg, batch.y_trg)
    return networks["style_encoder"](batch.x_ref2 if second else batch.x_ref, batch.y_trg)


class TrainingStep:
    """The four updates of a step, as published, without redundant work.

    The latent fake is made once and serves both latent updates; networks that an update does not step record no
    gradients; terms without a weight are not computed. Freezing is structural: `held` are aliases of the networks
    that require no gradients, and each phase takes the networks that it does not step from there.
    """

    def __init__(
        self,
        networks: nn.ModuleDict,
        averages: nn.ModuleDict,
        optimizers: Mapping[str, torch.optim.Optimizer],
        loss: Loss,
        solver: Solver,
        judge: Forward | None = None,
        accumulate: int = 1,
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    ):
        """
        Args:
            networks: see `build_networks`, in their final device and memory layout. Parameters that do not require
                gradients are not trained.
            averages: their moving averages.
            judge: images -> probabilities (B, classes), for the classifier loss.
            accumulate: chunks in which a batch is processed. No norm crosses images: the result differs by rounding.
            autocast: gives the context in which the networks compute.
        """
        self.networks, self.averages = networks, averages
        self.optimizers: Mapping[str, torch.optim.Optimizer] = optimizers
        self.loss, self.solver, self.judge = loss, solver, judge
        self.accumulate, self.autocast = accumulate, autocast
        self.held_networks = without_gradients(networks)
        self.live, self.held = forward_functions(networks), forward_functions(self.held_networks)
        # Of each phase those that have a weight at any step; terms without a `lambda_<term>` have the weight 1.
        used = [name for phase in UPDATES for name in phase.terms if name not in Loss.TERMS or loss.is_used(name)]
        self.terms = {phase: tuple(name for name in phase.terms if name in used) for phase in UPDATES}
        self.names = tuple(f"{phase.name}_{term}" for phase, terms in self.terms.items() for term in terms)

    def __call__(self, batch: TrainingBatch, step: int) -> Terms:
        """Train on a batch, whose images are on the device of the networks."""
        terms = self.update(batch, self.weights_at(step))
        update_average(self.averages, self.networks, average_weight(self.solver, step))
        return terms

    def weights_at(self, step: int) -> dict[str, Tensor]:
        """{term: 0-d tensor} of the terms with a weight. (Numbers would become constants of what is compiled.)"""
        like = next(self.networks.parameters())
        return {name: like.new_full((), value) for name, value in self.loss.weights_at(step).items()}

    def trial_weights(self) -> dict[str, Tensor]:
        """{term: 1} of the terms that have a weight at any step: what a step may have to compute."""
        like = next(self.networks.parameters())
        return {name: like.new_ones(()) for name in self.loss.TERMS if self.loss.is_used(name)}

    def update(self, batch: TrainingBatch, weights: dict[str, Tensor]) -> Terms:
        """The four updates, without the moving averages. `weights`: see `weights_at`."""
        chunks = batch.chunks(self.accumulate)
        # Shared only if there is one chunk: else the graphs of all chunks would have to be kept.
        latent_fake = self._fake(GENERATOR_LATENT, batch) if len(chunks) == 1 else None
        values, present = list[Tensor](), list[bool]()
        for phase, names in self.terms.items():
            shared = latent_fake if phase.style_kind == "latent" else None
            terms = self.carry_out(phase, chunks, weights, shared)
            zero = terms[names[0]].new_zeros(())
            values += [terms.get(name, zero) for name in names]
            present += [name in terms for name in names]
        return Terms(self.names, torch.stack(values), torch.tensor(present))

    def carry_out(
        self,
        phase: Phase,
        chunks: list[tuple[TrainingBatch, float]],
        weights: dict[str, Tensor],
        shared: tuple[Tensor, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Carry out one update on chunks of a batch, each with its share of the images; returns its terms.

        `shared`: the fake and its style, if they have been made already.
        """
        networks, terms = self._networks(phase), dict[str, Tensor]()
        weights = {name: weights[name] for name in self.terms[phase] if name in weights}
        for chunk, share in chunks:
            with self.autocast():
                fake, style = shared or self._fake(phase, chunk)
                generated = chunk, fake, style, phase.style_kind
                images = Pass(networks, self.held, *generated, self.loss.cycle_norm, self.judge)
                loss, terms_of_chunk = phase.loss(images, weights)
            (loss * share).backward()
            for name, value in terms_of_chunk.items():
                value = share * value.detach()
                terms[name] = terms[name] + value if name in terms else value
        # Training on several GPUs would average the gradients here (all-reduce), and nowhere else.
        for name in phase.steps:
            self.optimizers[name].step()
            self.optimizers[name].zero_grad(set_to_none=True)
        return terms

    def _fake(self, phase: Phase, batch: TrainingBatch) -> tuple[Tensor, Tensor]:
        """Generated images and their styles, with the graph that an update needs."""
        networks = self._networks(phase)
        with self.autocast():
            style = style_of(networks, phase.style_kind, batch)
            return networks["generator"](batch.x_real, style), style

    def _networks(self, phase: Phase) -> dict[str, Forward]:
        """The networks as a phase sees them: those that it steps live, the others held."""
        networks = {name: (self.live if name in phase.steps else self.held)[name] for name in NETWORKS}
        return {**networks, "discriminator_loss": self.live["discriminator_loss"]}
