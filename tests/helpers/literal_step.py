"""The training step as the published code performs it, for comparison.

Every fake is made again where it is used, the second fake is always made,
gradients go into everything, and all of them are cleared before each update.
"""

import torch
from torch.nn import functional as F

from quac.models.starganv2.networks import NETWORKS


class LiteralStep:
    def __init__(self, networks, averages, optimizers, loss, solver, style_weight=1.0):
        self.nets, self.ema, self.optims, self.loss, self.solver = networks, averages, optimizers, loss, solver
        self.style_weight = style_weight

    def __call__(self, b, step):
        terms = {}
        for kind in ("latent", "reference"):
            loss, parts = self.d_loss(b, kind)
            self.reset()
            loss.backward()
            self.optims["discriminator"].step()
            terms |= {f"D/{kind}_{name}": value.item() for name, value in parts.items()}
        for kind, stepped in (("latent", NETWORKS[:3]), ("reference", NETWORKS[:1])):
            loss, parts = self.g_loss(b, kind, step)
            self.reset()
            loss.backward()
            for name in stepped:
                self.optims[name].step()
            terms |= {f"G/{kind}_{name}": value.item() for name, value in parts.items()}
        weight = min(0.999, (1 + step) / (10 + step))
        for name in NETWORKS[:3]:
            for average, new in zip(self.ema[name].parameters(), self.nets[name].parameters(), strict=True):
                average.data = torch.lerp(average.data, new.data, 1 - weight)
        return terms

    def reset(self):
        for optimizer in self.optims.values():
            optimizer.zero_grad()

    def style(self, b, kind, second=False):
        if kind == "latent":
            return self.nets["mapping_network"](b.z_trg2 if second else b.z_trg, b.y_trg)
        return self.nets["style_encoder"](b.x_ref2 if second else b.x_ref, b.y_trg)

    def d_loss(self, b, kind):
        x_real = b.x_real.clone().requires_grad_()
        out = self.nets["discriminator"](x_real, b.y_org)
        real = F.binary_cross_entropy_with_logits(out, torch.ones_like(out))
        (grad,) = torch.autograd.grad(outputs=out.sum(), inputs=x_real, create_graph=True, retain_graph=True)
        reg = 0.5 * grad.pow(2).reshape(len(grad), -1).sum(1).mean(0)
        with torch.no_grad():
            x_fake = self.nets["generator"](b.x_real, self.style(b, kind))
        out = self.nets["discriminator"](x_fake, b.y_trg)
        fake = F.binary_cross_entropy_with_logits(out, torch.zeros_like(out))
        return real + fake + self.loss.lambda_reg * reg, {"real": real, "fake": fake, "reg": reg}

    def g_loss(self, b, kind, step):
        s_trg = self.style(b, kind)
        x_fake = self.nets["generator"](b.x_real, s_trg)
        out = self.nets["discriminator"](x_fake, b.y_trg)
        adv = F.binary_cross_entropy_with_logits(out, torch.ones_like(out))
        sty = torch.mean(torch.abs(self.nets["style_encoder"](x_fake, b.y_trg) - s_trg))
        x_fake2 = self.nets["generator"](b.x_real, self.style(b, kind, second=True)).detach()
        ds = torch.mean(torch.abs(x_fake - x_fake2))
        s_org = self.nets["style_encoder"](b.x_real, b.y_org)
        cyc = torch.mean(torch.abs(self.nets["generator"](x_fake, s_org) - b.x_real))
        lambda_ds = self.loss.lambda_ds * max(0.0, 1 - step / self.loss.ds_iter)
        loss = adv + self.style_weight * self.loss.lambda_sty * sty - lambda_ds * ds + self.loss.lambda_cyc * cyc
        parts = {"adv": adv, "sty": sty, "cyc": cyc}
        return loss, parts | ({"ds": ds} if lambda_ds else {})
