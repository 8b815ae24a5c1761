"""The training loop. There is one way in: load the newest whole state if there is one, else begin."""

import copy
import signal
import time
from contextlib import contextmanager
from functools import partial

import torch

from quac.config.loss_weights import is_used, weights_at
from quac.data.batches import TrainingBatches
from quac.data.images import write_png
from quac.models.starganv2.checkpoint import host_copy
from quac.models.starganv2.checkpoint_info import KEY, description_of
from quac.models.starganv2.networks import AVERAGED, build_networks
from quac.models.starganv2.samples import sample_grid, step_grids
from quac.models.starganv2.step import TrainingStep, build_optimizers
from quac.models.starganv2.warm_start import initialise, lower_blocks
from quac.system.console import log, progress
from quac.system.device import computing_in, precision_of
from quac.system.errors import QuacError, listing
from quac.system.files import write_json
from quac.training import sizes as summary
from quac.training.background_writer import Writer
from quac.training.compile import compile_step
from quac.training.cuda_graphs import CapturedUpdate
from quac.training.finite import Watch
from quac.training.history import History
from quac.training.throughput import Pace


class Stopped(Exception):
    """Training was asked to stop, and has saved its state."""

    def __init__(self, signum, step):
        super().__init__(
            f"stopped at step {step} by {signal.Signals(signum).name}; the same command goes on from there"
        )
        self.signum = signum


class Trainer:
    """Networks, averages and optimisers at a step."""

    def __init__(self, settings, store, device, judge=None, channels_last="auto", accumulate=1, fresh=True):
        """
        Args:
            settings: the sections `data`, `model`, `loss`, `solver`, `init` of a training's key, and `seed`.
            judge: images -> probabilities (B, classes), for the classifier loss.
            channels_last, accumulate: see the config; they change nothing but the rounding.
            fresh: False where a state will be restored.
        """
        store.require(settings.model, store.classes, squares=True)
        torch.manual_seed(settings.seed)  # the initial weights are the only draw that is not a function of the step
        self.settings, self.store, self.device = settings, store, device
        layout = torch.contiguous_format if channels_last == "never" else torch.channels_last
        self.networks = build_networks(settings.model, len(store.classes))
        if settings.init.checkpoint and fresh:
            initialise(self.networks, settings.init, store.classes)
        self.networks.to(device, memory_format=layout)
        self.averages = copy.deepcopy(self.networks).requires_grad_(False)
        del self.averages["discriminator"]
        self.precision = precision_of(settings.solver.precision, device)
        self.optimizers = build_optimizers(self.networks, settings.solver, settings.loss.r1_every)
        self.train_step = TrainingStep(
            self.networks,
            self.averages,
            self.optimizers,
            settings.loss,
            settings.solver,
            judge,
            accumulate,
            computing_in(self.precision, device),
            lower_blocks(self.networks["discriminator"], settings.init.freeze_d),
        )
        pairs = is_used(settings.loss, "ds")
        self.batches = TrainingBatches(
            store, settings.data, settings.model.latent_dim, settings.seed, device, pairs, layout
        )
        self.step, self.waited = 0, 0.0  # seconds of waiting for images since the last row of the history
        self.sums, self.counts = {}, {}  # of the terms since then
        self.batch = None  # of the last step
        self.watch = Watch()

    def advance(self):
        """One training step."""
        start = time.perf_counter()
        self.batch = self.batches[self.step]
        self.waited += time.perf_counter() - start
        terms = self.train_step(self.batch, self.step)
        self.step += 1
        self.watch.look(terms, self.step)
        for name, value in terms.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1

    def work(self):
        """What the next step works out: the terms that have a weight."""
        return tuple(weights_at(self.settings.loss, self.step))

    def means(self):
        """Means of the terms since the last call, as floats (waits for the device), and a new beginning."""
        means = {name: value.item() / self.counts[name] for name, value in self.sums.items()}
        self.sums, self.counts, self.waited = {}, {}, 0.0
        return means

    def grids(self, level):
        """Image grids by name, as many as `log.level` asks for."""
        found = {}
        if level >= 1:
            found["samples"] = sample_grid(self.averages, self.store, self.settings, self.device)
        if level >= 2:
            found |= step_grids(self.networks, self.averages, self.batch, self.settings.data)
        return found

    def require_finite(self):
        """Stop before a state that holds NaN or infinity replaces a good one (waits for the device)."""
        step, bad = self.watch.found() or (self.step, [])
        for name, network in self.networks.items():
            if not torch.stack(torch._foreach_norm(list(network.parameters()))).isfinite().all():
                bad.append(f"the weights of the {name.replace('_', ' ')}")
        if bad:
            raise QuacError(
                f"training diverged at step {step}: not finite: {', '.join(bad)}. The states before it are kept. Lower "
                "solver.lr, or look for blank or odd images among those of that step:\n"
                + listing([str(path) for path in self.batches.paths(step - 1)], 20)
            )

    def checkpoint(self):
        """What a checkpoint holds: {network: state_dict, "quac": what it says of itself}, copied to host memory."""
        weights = host_copy({name: self.averages[name].state_dict() for name in AVERAGED})
        return {**weights, KEY: description_of(self.settings, self.store.classes, self.step).as_dict()}

    def state(self):
        """Everything that the next step depends on, copied to host memory."""
        return host_copy(
            {
                "step": self.step,
                "precision": self.precision,
                "networks": self.networks.state_dict(),
                "averages": self.averages.state_dict(),
                "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
                "sums": self.sums,
                "counts": self.counts,
            }
        )

    def restore(self, state):
        self.step = state["step"]
        if state["precision"] != self.precision:
            log.warning("going on in %s what was begun in %s (solver.precision)", self.precision, state["precision"])
        self.networks.load_state_dict(state["networks"])
        self.averages.load_state_dict(state["averages"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
            for parameter, moments in optimizer.state.items():  # in the layout of the weights, as the fused Adam wants
                for moment in ("exp_avg", "exp_avg_sq"):
                    moments[moment] = torch.empty_like(parameter).copy_(moments[moment])
        self.sums = {name: value.to(self.device) for name, value in state["sums"].items()}
        self.counts = dict(state["counts"])


def train(settings, store, folder, plan, device, tracker, record, judge=None, evaluate=None):
    """Train up to a step, going on from the newest whole state in `folder`.

    Args:
        settings: what the training depends on, see Trainer.
        store: the training split.
        folder: StateFolder, locked by the caller.
        plan: `end`, the step up to which to train; `steps` at which checkpoints are saved; `looks`, steps that are
            evaluated; `log_every`, `state_every`, `state_minutes`, `channels_last`, `compile`, `accumulate` as in the
            config; `log_level`: its `log.level`.
        tracker: see `quac.training.tracking.base`.
        record: gives what `StateFolder.save_session` takes, as of now.
        judge: see Trainer.
        evaluate: the averages -> ({name: number}, the same of the class pairs), for the row of a step of `plan.looks`.
            Nothing of the training depends on it.

    When it returns, every checkpoint of `plan.steps` lies in the folder.
    Raises Stopped on SIGTERM, SIGINT or SIGUSR1, after saving.
    """
    saves, looks, history = set(plan.steps), set(plan.looks), History(folder.history)
    missing = folder.missing(plan.steps)
    if not missing and (plan.end in saves or folder.newest_step() >= plan.end):
        log.info("trained up to step %d already", plan.end)
        tracker.catch_up(folder.logged(history, plan.end))
        return

    state = folder.load_state(at_most=min([*missing, plan.end]))
    trainer = Trainer(settings, store, device, judge, plan.channels_last, plan.accumulate, fresh=not state)
    if state:
        trainer.restore(state)
        tracker.catch_up(folder.logged(history, trainer.step))
        log.info("going on from step %d", trainer.step)
    if trainer.step in missing:
        folder.save_checkpoint(trainer.step, trainer.checkpoint())

    summary.describe(trainer, plan, folder.keep)
    if plan.compile == "always" or (plan.compile == "auto" and device.type == "cuda"):
        compile_step(trainer.train_step, trainer.batches[trainer.step], trainer.step, trainer.precision)
        if device.type == "cuda":
            trainer.train_step.captured = CapturedUpdate(trainer.train_step, trainer.precision)
    first, pace, flops, told = trainer.step, Pace(trainer.step), {}, False
    bar = progress(total=plan.end, initial=first, what="training", unit="step")
    writer = Writer()
    with _asked_to_stop(writer) as asked, writer, bar:  # signals are heeded until the last file is written
        while trainer.step < plan.end:
            if (work := trainer.work()) not in flops:
                if captured := trainer.train_step.captured:
                    captured.release()
                flops[work] = summary.flops_of_next(trainer)
            trainer.advance()
            pace.flops += flops[work]
            bar.update()
            step, stop = trainer.step, bool(asked)
            save_due = step in saves
            log_due = save_due or step in looks or step % plan.log_every == 0
            state_due = (
                stop or step == plan.end or step % plan.state_every == 0 or pace.is_state_due(plan.state_minutes)
            )
            if log_due or state_due:
                trainer.require_finite()
            if log_due:
                row = {"step": step, **pace.row(step, settings.data.batch_size, trainer.waited)}
                row |= trainer.means()
                if not told and step - first >= min(plan.log_every, 20) and step < plan.end:
                    summary.outlook(trainer, plan.end, row["images_per_second"])
                    told = True
                rates, of_pairs = evaluate(trainer.averages) if step in looks and not stop else ({}, {})
                row |= rates
                if rates:
                    said = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in rates.items())
                    log.info("step %d: %s", step, said)
                writer.patiently(
                    partial(_log_step, row, of_pairs, folder, history, trainer, plan.log_level, tracker, bar)
                )
                pace.go_on()
            jobs = []
            if step in missing:  # others are published, and on a GPU this one would not be the same to the last bit
                jobs.append(partial(folder.save_checkpoint, step, trainer.checkpoint()))
            if state_due:
                jobs += [partial(folder.save_state, trainer.state()), partial(folder.save_session, record())]
                jobs.append(partial(tracker.release, step))
                pace.state_saved()
            if jobs:
                writer.submit(*jobs)
            if stop:
                raise Stopped(asked[0], step)


def _log_step(row, of_pairs, folder, history, trainer, level, tracker, bar):
    step, rate = row["step"], row["images_per_second"]
    if of_pairs:
        write_json(folder.rates(step), of_pairs)
    history.append(row)
    bar.set_postfix_str(f"{rate:.0f} img/s, D {_total(row, 'D/'):.2f}, G {_total(row, 'G/'):.2f}", refresh=False)
    log.debug("step %d: %s", step, ", ".join(f"{name} {value:.4f}" for name, value in row.items() if "/" in name))
    grids = trainer.grids(level)
    for name, pixels in grids.items():
        write_png(folder.image(step, name), pixels)
    numbers = {name: value for name, value in row.items() if name != "step"} | of_pairs
    tracker.log(step, numbers, {name: folder.image(step, name) for name in grids})


def _total(row, prefix):
    return sum(value for name, value in row.items() if name.startswith(prefix))


@contextmanager
def _asked_to_stop(writer):
    """A list that holds the number of a signal once one has come; then the writer does not wait for room any more.

    SIGTERM and SIGINT end a job; SIGUSR1 is what batch systems are told to send ahead of the time limit.
    """
    asked = []

    def ask(signum, _):
        asked.append(signum)
        writer.give_up = True

    before = {signum: signal.signal(signum, ask) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    try:
        yield asked
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
