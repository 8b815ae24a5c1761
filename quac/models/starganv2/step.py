"""One training step: discriminator, then generator, by images with a latent and with a reference style."""

from contextlib import nullcontext
from functools import partial

import torch

from quac.config.loss_weights import weights_at
from quac.models.starganv2.losses import (
    adversarial_loss,
    classifier_loss,
    cycle_loss,
    diversity_loss,
    full,
    identity_loss,
    r1_penalty,
    style_loss,
)
from quac.models.starganv2.networks import AVERAGED, NETWORKS, update_average

KINDS = ("latent", "ref")
# What the generator's update steps. The style encoder is not among them with references: training it with this pass
# degrades it (stargan-v2, issue 44).
STEPPED = {"latent": AVERAGED, "ref": ("generator",)}


def average_weight(solver, step):
    """Weight of the past in the moving average after `step` (from 0) is done."""
    return min(solver.ema, (1 + step) / (10 + step)) if solver.ema_warmup else solver.ema


def build_optimizers(networks, solver, r1_every=1):
    """Adam for each network; the mapping network has a learning rate of its own.

    Where the R1 penalty is taken every n steps, the discriminator's learning rate and decay rates are corrected as
    in StyleGAN2 (arXiv 1912.04958, appendix B): by c = n / (n + 1), to c * lr and beta ** c.
    """
    lazy = r1_every / (r1_every + 1) if r1_every > 1 else 1.0

    def adam(name):
        c = lazy if name == "discriminator" else 1.0
        return torch.optim.Adam(
            networks[name].parameters(),
            lr=c * (solver.f_lr if name == "mapping_network" else solver.lr),
            betas=(solver.beta1**c, solver.beta2**c),
            weight_decay=solver.weight_decay,
            fused=True,
        )

    return {name: adam(name) for name in NETWORKS}


def discriminate(D, x_real, y_org, fakes, y_trg, penalty, share, autocast):
    """Gradients of the discriminator's loss on real images and fakes, for their `share` of a batch.

    `penalty`: weight of the R1 penalty, a 0-d tensor, or None. Returns its terms, without their graphs: real, one for
    each of `fakes`, and the R1 penalty where it has a weight.
    """
    with autocast():
        x_real = x_real.detach().requires_grad_(penalty is not None)
        logits = D(x_real, y_org)
        terms = [adversarial_loss(logits, real=True)]
        total = terms[0]
        for fake in fakes:
            terms.append(adversarial_loss(D(fake, y_trg), real=False))
            total = total + terms[-1] / len(fakes)
        if penalty is not None:
            terms.append(r1_penalty(logits, x_real))
            total = total + penalty * terms[-1]
    (total * share).backward()
    return [term.detach() for term in terms]


def passes_of(networks):
    """What a step runs, {name: function}: the networks, the two halves of the generator, and `discriminate`."""
    G = networks["generator"]
    halves = {"features": G.features, "render": G.render}
    return {**dict(networks.items()), **halves, "discriminate": partial(discriminate, networks["discriminator"])}


class TrainingStep:
    """The updates of a step, by `solver.schedule`.

    `paper`: four updates, as published: discriminator with latent and with reference styles, generator (with mapping
    network and style encoder) with latent styles, generator alone with reference styles. In a lean form: the latent
    fake is made once for both its updates, networks that are not stepped get no gradients, and what has no weight is
    not worked out.

    `merged`: two updates. The discriminator sees the real images once, beside both fakes, whose terms count half; for
    the generator the gradients of both kinds are added up. The query's features and its own style are made once.
    """

    def __init__(
        self, networks, averages, optimizers, loss, solver, judge=None, accumulate=1, autocast=nullcontext, frozen=()
    ):
        """
        Args:
            loss, solver: sections of a config.
            judge: images -> probabilities (B, classes), for the classifier loss.
            accumulate: parts in which a batch is worked off, one after the other, with gradients added up. No norm
                crosses samples, so the step is the same but for rounding.
            autocast: gives the context in which the networks compute.
            frozen: parameters that are not trained.
        """
        self.networks, self.averages, self.optimizers = networks, averages, optimizers
        self.loss, self.solver, self.judge = loss, solver, judge
        self.accumulate, self.autocast, self.frozen = accumulate, autocast, frozen
        self.passes = passes_of(networks)
        self.captured = None  # what does the same as `update`, see CapturedUpdate

    def __call__(self, batch, step):
        """Train on a TrainingBatch. Returns {metric: 0-d tensor on the device}, unweighted terms."""
        metrics = (self.captured or self.update)(batch, self.weights_at(step))
        update_average(self.averages, self.networks, average_weight(self.solver, step))
        return metrics

    def weights_at(self, step):
        """{term: 0-d tensor} of the terms that have a weight. (What is compiled or captured holds numbers for ever.)"""
        like = next(self.networks.parameters())
        return {name: like.new_full((), value) for name, value in weights_at(self.loss, step).items()}

    def update(self, batch, weights):
        """The updates alone, without those of the moving averages. `weights`: see `weights_at`."""
        update = self._merged if self.solver.schedule == "merged" else self._paper
        return update(batch.parts(self.accumulate), weights)

    def _paper(self, parts, weights):
        metrics = {}
        # The latent fake, made once; but not where a graph would have to be kept for every part.
        kept = self._fake("latent", parts[0][0]) if len(parts) == 1 else None
        for kind in KINDS:
            for part, share in parts:
                fake = kept[0].detach() if kept and kind == "latent" else self._fake_alone(kind, part)
                _add(metrics, share, self._discriminate(part, share, weights, {kind: fake}, f"{kind}_"))
            self._descend("discriminator")
        for kind in KINDS:
            for part, share in parts:
                fake, style = kept if kept and kind == "latent" else self._fake(kind, part)
                with self.autocast():
                    self._train_only(*STEPPED[kind])
                    total, terms = self._generator_terms(kind, part, weights, fake, style)
                (total * share).backward()
                _add(metrics, share, terms)
            self._descend(*STEPPED[kind])
        return metrics

    def _merged(self, parts, weights):
        metrics = {}
        kept = self._both_fakes(parts[0][0]) if len(parts) == 1 else None
        for part, share in parts:
            with torch.no_grad():
                fakes = kept or self._both_fakes(part)
            fakes = {kind: fakes[kind][0].detach() for kind in KINDS}
            _add(metrics, share, self._discriminate(part, share, weights, fakes, ""))
        self._descend("discriminator")
        for part, share in parts:
            fakes, total = kept or self._both_fakes(part), 0.0
            with self.autocast():
                self._train_only(*AVERAGED)
                own_style = self.passes["style_encoder"](part.x_real, part.y_org)
                for kind in KINDS:
                    self._train_only(*STEPPED[kind])
                    own = own_style if kind == "latent" else own_style.detach()
                    of_kind, terms = self._generator_terms(kind, part, weights, *fakes[kind], own)
                    total = total + of_kind
                    _add(metrics, share, terms)
            self._train_only(*AVERAGED)  # (gradients are kept only for what is to be trained when they are made)
            (total * share).backward()
        self._descend(*AVERAGED)
        return metrics

    def _fake(self, kind, part):
        """A fake and its style, with the graph that the generator's update needs."""
        with self.autocast():
            self._train_only(*STEPPED[kind])
            style = self._style(kind, part)
            return self.passes["generator"](part.x_real, style), style

    @torch.no_grad()
    def _fake_alone(self, kind, part):
        with self.autocast():
            return self.passes["generator"](part.x_real, self._style(kind, part))

    def _both_fakes(self, part):
        """{kind: (fake, style)} of one pass of the query through the generator's encoder."""
        fakes = {}
        with self.autocast():
            self._train_only("generator")
            features = self.passes["features"](part.x_real)
            for kind in KINDS:
                self._train_only(*STEPPED[kind])
                style = self._style(kind, part)
                fakes[kind] = (self.passes["render"](features, style), style)
        return fakes

    def _style(self, kind, part, second=False):
        if kind == "latent":
            return self.passes["mapping_network"](part.z_trg2 if second else part.z_trg, part.y_trg)
        return self.passes["style_encoder"](part.x_ref2 if second else part.x_ref, part.y_trg)

    def _discriminate(self, part, share, weights, fakes, prefix):
        """Gradients of the discriminator's loss for one part; {metric: value}."""
        self._train_only("discriminator")
        terms = self.passes["discriminate"](
            part.x_real, part.y_org, list(fakes.values()), part.y_trg, weights.get("reg"), share, self.autocast
        )
        names = [f"D/{prefix}real", *(f"D/{kind}_fake" for kind in fakes), f"D/{prefix}reg"]
        return dict(zip(names, terms, strict=False))  # (without a penalty there is no last term)

    def _generator_terms(self, kind, part, weights, fake, style, own_style=None):
        """The generator's weighted loss for a kind, and its terms {metric: value}."""
        G, _, E, D = (self.passes[name] for name in NETWORKS)
        terms = {"adv": adversarial_loss(D(fake, part.y_trg), real=True)}
        if "sty" in weights:
            terms["sty"] = style_loss(E(fake, part.y_trg), style)
        if own_style is None and ("cyc" in weights or ("id" in weights and kind == "latent")):
            own_style = E(part.x_real, part.y_org)
        if "cyc" in weights:
            terms["cyc"] = cycle_loss(G(fake, own_style), part.x_real, self.loss.cycle_norm)
        if "ds" in weights:
            with torch.no_grad():
                other = G(part.x_real, self._style(kind, part, second=True))
            terms["ds"] = diversity_loss(fake, other)
        if "id" in weights and kind == "latent":  # no style of the kind is in it, so once a step
            terms["id"] = identity_loss(G(part.x_real, own_style), part.x_real)
        if "cls" in weights:
            with torch.autocast(fake.device.type, enabled=False):
                terms["cls"] = classifier_loss(self.judge(full(fake)), part.y_trg)
        total = terms["adv"]
        for name, term in list(terms.items())[1:]:
            total = total + (-weights[name] if name == "ds" else weights[name]) * term
        return total, {f"G/{kind}_{name}": term.detach() for name, term in terms.items()}

    def _train_only(self, *names):
        """Freezing is structural: gradients are made for the networks about to be stepped, and for no other."""
        for name in NETWORKS:
            self.networks[name].requires_grad_(name in names)
        for parameter in self.frozen:
            parameter.requires_grad_(False)

    def _descend(self, *names):
        for name in names:
            self.optimizers[name].step()
            self.optimizers[name].zero_grad(set_to_none=True)


def _add(metrics, share, terms):
    for name, value in terms.items():
        metrics[name] = metrics[name] + share * value if name in metrics else share * value
