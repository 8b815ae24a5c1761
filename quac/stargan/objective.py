"""The objective of StarGAN v2 (arXiv 1912.01865, section 2.2) and one training step: four updates.

Every term is the mean over its elements. Legend: x image, y class, s style,
G generator, F mapping network, E style encoder, D discriminator.
"""

import torch
import torch.nn.functional as F

from quac.stargan.networks import AVERAGED, NETWORKS, update_average


def adversarial_loss(logits, real):
    """-log D for images that should pass as real, -log(1 - D) for others; logits (B,) (eq. 1, non-saturating)."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def r1_penalty(logits, images):
    """1/2 E |grad_x D(x)|^2 on real images (arXiv 1801.04406, eq. 9); images must require gradients."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return 0.5 * gradient.square().flatten(1).sum(1).mean()


def style_loss(predicted, style):
    """|E(G(x, s)) - s|_1: the generated image shows the style it was asked for (eq. 2)."""
    return (predicted - style).abs().mean()


def diversity_loss(image, other):
    """|G(x, s1) - G(x, s2)|_1, to be maximised (eq. 3); the second image is held fixed."""
    return (image - other.detach()).abs().mean()


def cycle_loss(reconstruction, image):
    """|G(G(x, s), E(x)) - x|_1: what is not style is preserved (eq. 4)."""
    return (reconstruction - image).abs().mean()


def diversity_weight(loss, step):
    """lambda_ds, falling linearly from its full value at step 0 to 0 at step ds_iter."""
    return loss.lambda_ds * max(0.0, 1 - step / loss.ds_iter)


def average_weight(solver, step):
    """Weight of the past in the moving average after `step` (from 0) is done."""
    return min(solver.ema, (1 + step) / (10 + step)) if solver.ema_warmup else solver.ema


def build_optimizers(networks, solver):
    """Adam for each network; the mapping network has a learning rate of its own."""
    return {
        name: torch.optim.Adam(
            networks[name].parameters(),
            lr=solver.f_lr if name == "mapping_network" else solver.lr,
            betas=(solver.beta1, solver.beta2),
            weight_decay=solver.weight_decay,
            fused=True,
        )
        for name in NETWORKS
    }


class TrainingStep:
    """Discriminator with latent and with reference style, then generator with latent and with reference style.

    The lean form of the published step: the latent fake is made once for both
    its updates, networks that are not stepped get no gradients, and a second
    fake is made for the diversity loss only where that has a weight.
    """

    def __init__(self, networks, averages, optimizers, loss, solver):
        """`loss` and `solver` are sections of a config."""
        self.networks, self.averages, self.optimizers = networks, averages, optimizers
        self.loss, self.solver = loss, solver

    def __call__(self, batch, step):
        """Train on a TrainingBatch. Returns {metric: 0-d tensor on the device}, unweighted terms."""
        G, F_, E = (self.networks[name] for name in AVERAGED)

        self._train_only("generator", "mapping_network", "style_encoder")
        s_latent = F_(batch.z_trg, batch.y_trg)
        x_latent = G(batch.x_real, s_latent)
        with torch.no_grad():
            x_reference = G(batch.x_real, E(batch.x_ref, batch.y_trg))

        metrics = self._update_discriminator("latent", batch, x_latent.detach())
        metrics |= self._update_discriminator("ref", batch, x_reference)

        self._train_only("generator", "mapping_network", "style_encoder")
        metrics |= self._update_generator("latent", batch, step, x_latent, s_latent)

        # The style encoder is not stepped here: training it with this pass degrades it (stargan-v2, issue 44).
        self._train_only("generator")
        s_reference = E(batch.x_ref, batch.y_trg)
        metrics |= self._update_generator("ref", batch, step, G(batch.x_real, s_reference), s_reference)

        update_average(self.averages, self.networks, average_weight(self.solver, step))
        return metrics

    def _update_discriminator(self, kind, batch, x_fake):
        D = self.networks["discriminator"]
        self._train_only("discriminator")
        x_real = batch.x_real.detach().requires_grad_()
        logits = D(x_real, batch.y_org)
        real = adversarial_loss(logits, real=True)
        reg = r1_penalty(logits, x_real)
        fake = adversarial_loss(D(x_fake, batch.y_trg), real=False)
        self._descend(real + fake + self.loss.lambda_reg * reg, "discriminator")
        return {f"D/{kind}_real": real.detach(), f"D/{kind}_fake": fake.detach(), f"D/{kind}_reg": reg.detach()}

    def _update_generator(self, kind, batch, step, x_fake, style):
        G, F_, E, D = (self.networks[name] for name in NETWORKS)
        terms = {
            "adv": adversarial_loss(D(x_fake, batch.y_trg), real=True),
            "sty": style_loss(E(x_fake, batch.y_trg), style),
            "cyc": cycle_loss(G(x_fake, E(batch.x_real, batch.y_org)), batch.x_real),
        }
        total = terms["adv"] + self.loss.lambda_sty * terms["sty"] + self.loss.lambda_cyc * terms["cyc"]
        if weight := diversity_weight(self.loss, step):
            with torch.no_grad():
                other = F_(batch.z_trg2, batch.y_trg) if kind == "latent" else E(batch.x_ref2, batch.y_trg)
                x_other = G(batch.x_real, other)
            terms["ds"] = diversity_loss(x_fake, x_other)
            total = total - weight * terms["ds"]
        self._descend(total, *(AVERAGED if kind == "latent" else ("generator",)))
        return {f"G/{kind}_{name}": term.detach() for name, term in terms.items()}

    def _train_only(self, *names):
        """Freezing is structural: gradients are made for the networks about to be stepped, and for no other."""
        for name in NETWORKS:
            self.networks[name].requires_grad_(name in names)

    def _descend(self, loss, *names):
        loss.backward()
        for name in names:
            self.optimizers[name].step()
            self.optimizers[name].zero_grad(set_to_none=True)
