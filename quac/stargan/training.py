"""The training loop. There is one way in: load the newest whole state if there is one, else begin."""

import copy
import math
import signal
import time
from contextlib import contextmanager

import torch

from quac.console import log, progress
from quac.data.batches import TrainingBatches
from quac.data.images import write_png
from quac.errors import QuacError
from quac.stargan.history import History
from quac.stargan.networks import build_networks
from quac.stargan.objective import TrainingStep, build_optimizers
from quac.stargan.samples import sample_grid


class Stopped(Exception):
    """Training was asked to stop, and has saved its state."""

    def __init__(self, signum, step):
        super().__init__(
            f"stopped at step {step} by {signal.Signals(signum).name}; the same command goes on from there"
        )
        self.signum = signum


class Trainer:
    """Networks, averages and optimisers at a step."""

    def __init__(self, settings, store, device):
        """`settings` has the sections `data`, `model`, `loss`, `solver` of a config, and `seed`."""
        store.require(settings.model, store.classes, squares=True)
        torch.manual_seed(settings.seed)  # the initial weights are the only draw that is not a function of the step
        self.settings, self.store, self.device = settings, store, device
        self.networks = build_networks(settings.model, len(store.classes)).to(device)
        self.averages = copy.deepcopy(self.networks).requires_grad_(False)
        del self.averages["discriminator"]
        self.optimizers = build_optimizers(self.networks, settings.solver)
        self.train_step = TrainingStep(self.networks, self.averages, self.optimizers, settings.loss, settings.solver)
        self.batches = TrainingBatches(
            store, settings.data, settings.model.latent_dim, settings.seed, device, pairs=settings.loss.lambda_ds > 0
        )
        self.step = 0
        self.sums, self.summed = {}, 0  # of the terms since the last row of the history

    def advance(self):
        """One training step."""
        terms = self.train_step(self.batches[self.step], self.step)
        for name, value in terms.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.summed += 1
        self.step += 1

    def means(self):
        """Means of the terms since the last call, as floats (waits for the device), and a new beginning."""
        means = {name: value.item() / self.summed for name, value in self.sums.items()}
        self.sums, self.summed = {}, 0
        return means

    def require_finite(self):
        """Stop before a state that holds NaN or infinity replaces a good one (waits for the device)."""
        bad = [name for name, value in self.sums.items() if not math.isfinite(value.item())]
        for name, network in self.networks.items():
            if not torch.stack(torch._foreach_norm(list(network.parameters()))).isfinite().all():
                bad.append(f"the {name.replace('_', ' ')}")
        if bad:
            raise QuacError(
                f"training diverged by step {self.step}: not finite: {', '.join(bad)}. The states before it are "
                "kept. Lower solver.lr, or look for blank images in the data"
            )

    def state(self):
        """Everything that the next step depends on."""
        return {
            "step": self.step,
            "networks": self.networks.state_dict(),
            "averages": self.averages.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "sums": self.sums,
            "summed": self.summed,
        }

    def restore(self, state):
        self.step = state["step"]
        self.networks.load_state_dict(state["networks"])
        self.averages.load_state_dict(state["averages"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.sums = {name: value.to(self.device) for name, value in state["sums"].items()}
        self.summed = state["summed"]


def train(settings, store, folder, plan, device, tracker, record):
    """Train up to a step, going on from the newest whole state in `folder`.

    Args:
        settings: what the training depends on, see Trainer.
        store: the training split.
        folder: StateFolder, locked by the caller.
        plan: `end`, the step up to which to train; `steps` at which checkpoints are saved; `log_every`, `state_every`.
        tracker: see `quac.stargan.tracking`.
        record: gives what `StateFolder.save_session` takes, as of now.

    When it returns, every checkpoint of `plan.steps` lies in the folder.
    Raises Stopped on SIGTERM or SIGINT, after saving.
    """
    saves, missing = set(plan.steps), folder.missing(plan.steps)
    if not missing and (plan.end in saves or folder.newest_step() >= plan.end):
        log.info("trained up to step %d already", plan.end)
        return

    trainer, history = Trainer(settings, store, device), History(folder.history)
    if state := folder.load_state(at_most=min([*missing, plan.end])):
        trainer.restore(state)
        log.info("going on from step %d", trainer.step)
    if trainer.step in missing:
        folder.save_checkpoint(trainer.step, trainer.averages)

    with _asked_to_stop() as asked, progress(total=plan.end, initial=trainer.step, what="training", unit="step") as bar:
        since, clock = trainer.step, time.perf_counter()
        while trainer.step < plan.end:
            trainer.advance()
            bar.update()
            step, stop = trainer.step, bool(asked)
            save_due = step in saves
            log_due = save_due or step % plan.log_every == 0
            state_due = stop or step == plan.end or step % plan.state_every == 0
            if log_due or state_due:
                trainer.require_finite()
            if log_due:
                row = trainer.means()
                now = time.perf_counter()
                rate, since, clock = (step - since) * settings.data.batch_size / (now - clock), step, now
                _log_step(step, row, rate, folder, history, trainer, tracker, bar)
            if save_due:
                folder.save_checkpoint(step, trainer.averages)
            if state_due:
                folder.save_state(trainer.state())
                folder.save_session(record())
            if stop:
                raise Stopped(asked[0], step)


def _log_step(step, row, rate, folder, history, trainer, tracker, bar):
    history.append({"step": step, "images_per_second": round(rate, 2), **row})
    bar.set_postfix_str(f"{rate:.0f} img/s, D {_total(row, 'D/'):.2f}, G {_total(row, 'G/'):.2f}", refresh=False)
    log.debug("step %d: %s", step, ", ".join(f"{name} {value:.4f}" for name, value in row.items()))
    pixels = sample_grid(trainer.averages, trainer.store, trainer.settings, trainer.device)
    write_png(folder.sample(step), pixels)
    tracker.log(step, {"images_per_second": rate, **row})
    tracker.image(step, "samples", folder.sample(step))


def _total(row, prefix):
    return sum(value for name, value in row.items() if name.startswith(prefix))


@contextmanager
def _asked_to_stop():
    """A list that holds the number of a signal once SIGTERM or SIGINT has come."""
    asked = []
    before = {signum: signal.signal(signum, lambda n, _: asked.append(n)) for signum in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
