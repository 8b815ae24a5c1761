"""The training loop. There is one way in: load the newest whole state if there is one, else start."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from quac.config import Config
from quac.data.images import write_png
from quac.data.store import Store
from quac.models.starganv2.checkpoint import UNREADABLE
from quac.system.console import log, progress
from quac.system.errors import reason_of
from quac.system.files import write_json
from quac.training.background_writer import Writer
from quac.training.compile import compile_step
from quac.training.history import History
from quac.training.plan import Plan
from quac.training.sizes import log_eta, log_sizes
from quac.training.state import StateFolder
from quac.training.throughput import Throughput
from quac.training.tracking.base import Tracker
from quac.training.trainer import Trainer

Rates = dict[str, float]
Evaluate = Callable[[nn.ModuleDict, Callable[[], bool]], tuple[Rates, Rates]]


class Stopped(Exception):
    """Training was stopped by a signal, and has saved its state."""

    def __init__(self, signum: int, step: int):
        super().__init__(f"stopped at step {step} by {signal.Signals(signum).name}; run the workflow again to continue")
        self.signum = signum


def train(
    config: Config,
    store: Store,
    folder: StateFolder,
    plan: Plan,
    device: torch.device,
    tracker: Tracker,
    record: Callable[[], dict[str, Any]],
    judge: Callable[[torch.Tensor], torch.Tensor] | None = None,
    evaluate: Evaluate | None = None,
    init: Path | None = None,
    threads: Callable[[], int] = torch.get_num_threads,
) -> None:
    """Train up to a step, continuing from the newest whole state in `folder`, which is locked by the caller.

    Args:
        config, store, judge, init: see Trainer.
        record: returns the current record of this session, see `StateFolder.save_session`.
        evaluate: averaged networks, and whether to stop -> ({name: number}, {name of a class pair: number}), for the
            row of a step of `plan.evaluations`. The training does not depend on it.
        threads: how many CPU threads to use for the next step.

    When it returns, every checkpoint of `plan.steps` is in the folder. Raises Stopped on SIGTERM, SIGINT or SIGUSR1,
    after saving.
    """
    history, missing = History(folder.history), folder.missing(plan.steps)
    if not missing and (plan.end in plan.steps or folder.newest_step() >= plan.end):
        log.info("already trained up to step %d", plan.end)
        tracker.backfill(folder.logged(history, plan.end))
        return

    options = plan.options

    def new(init: Path | None = None) -> Trainer:
        return Trainer(config, store, device, judge, init, options.accumulate, options.device_cache)

    continued = _continued(new, folder, at_most=min([*missing, plan.end]))
    trainer = continued or new(init)
    if continued:
        if evaluate and trainer.steps_done in plan.evaluations:
            _evaluate_if_missed(evaluate, trainer, folder, history)
        tracker.backfill(folder.logged(history, trainer.steps_done))
        log.info("continuing from step %d", trainer.steps_done)
    log_sizes(trainer, plan)
    if options.compile == "always" or (options.compile == "auto" and device.type == "cuda"):
        batch = trainer.batches[trainer.steps_done]
        compile_step(trainer.train_step, batch, trainer.precision)

    first, eta_logged, state_saved = trainer.steps_done, False, time.monotonic()
    throughput, writer = Throughput(first), Writer()
    bar = progress(total=plan.end, initial=first, what="training", unit="step")
    with _stop_signals(writer) as signals, writer, bar:  # signals are handled until the last file is written
        while True:
            step, stop, jobs = trainer.steps_done, bool(signals), []
            is_new = step > first  # else its row and its state are on disk already
            row_due = is_new and (step in plan.steps or step in plan.evaluations or due(step, options.log_every))
            too_old = time.monotonic() - state_saved > 60 * options.state_minutes
            state_due = is_new and (stop or step == plan.end or due(step, options.state_every) or too_old)
            if row_due or state_due:
                trainer.require_finite()
            if row_due:
                row = throughput.row(step, config.data.batch_size, trainer.data_wait) | trainer.pop_means()
                if not eta_logged and step - first >= min(options.log_every, 20) and step < plan.end:
                    log_eta(trainer, plan.end, row["images_per_second"])
                    eta_logged = True
                is_evaluated = step in plan.evaluations and (not stop or step == plan.end)  # else at the next start
                rates, pair_rates = Rates(), Rates()
                if evaluate and is_evaluated:  # a signal ends it, but for that of the last step, which is not made up
                    stopped = (lambda: False) if step == plan.end else (lambda: bool(signals))
                    rates, pair_rates = evaluate(trainer.averages, stopped)
                    stop = bool(signals)
                    state_due = state_due or stop
                row = {"step": step, **row, **rates}
                grids = trainer.grids(options.level)
                writer.retry_when_full(partial(_write_row, row, pair_rates, grids, folder, history, tracker))
                _show_row(row, rates, bar)
                throughput.restart_clock()
            if step in missing:  # others are published, and on a GPU a new one would differ in the last bits
                jobs.append(partial(folder.save_checkpoint, step, trainer.checkpoint()))
            if state_due:
                jobs += [partial(folder.save_state, trainer.state()), partial(folder.save_session, record())]
                jobs.append(partial(tracker.flush_until, step))
                state_saved = time.monotonic()
            if jobs:
                writer.submit(*jobs)
            if stop:
                raise Stopped(signals[0], step)
            if step == plan.end:
                return
            torch.set_num_threads(threads())
            trainer.step()
            bar.update()


def _continued(new: Callable[[], Trainer], folder: StateFolder, at_most: int) -> Trainer | None:
    """A trainer that continues from the newest whole state up to a step; None if there is none that it can use."""
    for path, state in folder.load_states(at_most):
        trainer = new()
        try:
            trainer.restore(state)
        except torch.OutOfMemoryError:
            raise
        except (*UNREADABLE, AttributeError) as error:
            reason = reason_of(error)
            log.warning("%s is not of this version (%s); continuing from the state before it", path, reason)
        else:
            return trainer
    return None


def due(step: int, every: int) -> bool:
    """Whether a step is one of every so many."""
    return step % every == 0


def _write_row(
    row: Rates, pair_rates: Rates, grids: dict[str, np.ndarray], folder: StateFolder, history: History, tracker: Tracker
) -> None:
    """Write a row of the history, its image grids and the rates of the class pairs; log them to the tracker."""
    step = int(row["step"])
    if pair_rates:
        write_json(folder.rates(step), pair_rates)
    history.append(row)
    for name, pixels in grids.items():
        write_png(folder.image(step, name), pixels)
    numbers = {name: value for name, value in row.items() if name != "step"} | pair_rates
    tracker.log(step, numbers, {name: folder.image(step, name) for name in grids})


def _evaluate_if_missed(evaluate: Evaluate, trainer: Trainer, folder: StateFolder, history: History) -> None:
    """Add the rates to the row of the current step if the training was stopped before it was evaluated."""
    step = trainer.steps_done
    if not folder.rates(step).is_file():
        rates, pair_rates = evaluate(trainer.averages, lambda: False)
        write_json(folder.rates(step), pair_rates)
        row = dict(history.numbers(step)).get(step, {})
        history.append({"step": step, **row, **rates})


def _show_row(row: Rates, rates: Rates, bar: tqdm) -> None:
    if rates:
        log.info(
            "step %d: %s", row["step"], ", ".join(f"{n.replace('_', ' ')} {rate:.3f}" for n, rate in rates.items())
        )
    losses = {name: sum(value for term, value in row.items() if term.startswith(f"{name}/")) for name in "DG"}
    speed = f"{row['images_per_second']:.0f} img/s"
    bar.set_postfix_str(f"{speed}, D {losses['D']:.2f}, G {losses['G']:.2f}", refresh=False)
    terms = ", ".join(f"{name} {value:.4f}" for name, value in row.items() if "/" in name)
    log.debug("step %d: %s", row["step"], terms)


@contextmanager
def _stop_signals(writer: Writer) -> Iterator[list[int]]:
    """Yield a list that holds the number of a signal once one has come; then the writer stops waiting for room.

    SIGTERM and SIGINT end a job; batch systems can send SIGUSR1 ahead of the time limit.
    """
    signals: list[int] = []

    def stop(signum: int, _: object) -> None:
        signals.append(signum)
        writer.stop_waiting = True

    before = {signum: signal.signal(signum, stop) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    try:
        yield signals
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
