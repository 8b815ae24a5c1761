"""Where losses and image grids are logged as well. Training neither waits for a tracker nor depends on one."""

import queue
import threading
from functools import partial

from quac.system.console import log
from quac.system.files import digest_of

CLOSE_SECONDS = 600  # a tracker's own limits are shorter; this is for one that hangs


def is_tracked(log_type, mode):
    """Whether a config asks for a tracker: its `log_type`, and `log.mode`."""
    return log_type != "none" and mode != "disabled"


def id_of(training, root):
    """What a tracker knows a run by: one training in two folders, of runs that are judged differently, is two runs.

    Args:
        training: see `quac.training.stale_states.training_id`.
        root: the run's `solver.root_dir`.
    """
    return digest_of([training, root])[:16]


def open_tracker(log_type, settings, folder, run_id, config):
    """The tracker that a config asks for.

    Args:
        log_type: `wandb`, `tensorboard` or `none`.
        settings: a config's `log` section.
        folder: where the tracker's own files lie.
        run_id: keeps a training that goes on one run.
        config: the resolved config as a dict, which the tracker shows.
    """
    if not is_tracked(log_type, settings.mode):
        return Tracker()
    return Beside(log_type, partial(open_run, log_type, settings, folder, run_id, config))


def open_run(log_type, settings, folder, run_id, config):
    """A run of wandb or tensorboard, not guarded; see `open_tracker`."""
    if log_type == "wandb":
        from quac.training.tracking.wandb_run import WandbRun

        return WandbRun(settings, folder, run_id, config)
    from quac.training.tracking.tensorboard_run import TensorboardRun

    return TensorboardRun(settings, folder, config)


def add_results(results, rows, *of_run):
    """Add Results to the run of a training; returns whether they were. What fails is said.

    Args:
        results: see `quac.report.tracker_results`.
        rows: of the whole training, see `Tracker.catch_up`; it may have been tracked by another tracker, or by none.
        of_run: see `open_tracker`.
    """
    try:
        run = open_run(*of_run)
        run.send(rows)
        run.add_results(results)
        run.close()
    except Exception as error:
        log.warning("%s failed, the results are not added: %s", of_run[0], _said(error))
        return False
    return True


class Tracker:
    """Tracks nothing."""

    def catch_up(self, rows):
        """Rows (step, numbers, images) of the training so far, see `log`; a kill may have come before some were handed
        over."""

    def log(self, step, numbers, images):
        """Numbers by name, and paths of PNG files by name, at a step."""

    def release(self, step):
        """A whole state of this step is on disk: what was logged up to it will not be trained again."""

    def close(self):
        """Wait until what was released has been handed over; what was not is dropped."""


class Beside(Tracker):
    """Hands over to a run of a tracker, in a thread beside the training.

    What is logged is held back until it is released: so what a kill makes
    train twice is handed over once. What a run has already it passes over.

    The first failure, of whatever kind, ends the tracking until the next
    start, with a warning, and nothing else.
    """

    def __init__(self, name, start):
        """`start()` gives the run: `send(rows)`, rows being (step, numbers, images), and `close()`."""
        self.name, self.start, self.inbox = name, start, queue.SimpleQueue()
        self.thread = threading.Thread(target=self._guarded, daemon=True)
        self.thread.start()

    def catch_up(self, rows):
        self.inbox.put(list(rows))

    def log(self, step, numbers, images):
        self.inbox.put((step, numbers, images))

    def release(self, step):
        self.inbox.put(step)

    def close(self):
        self.inbox.put(None)
        self.thread.join(CLOSE_SECONDS)
        if self.thread.is_alive():
            log.warning("%s does not answer; the next start sends what is missing", self.name)

    def _guarded(self):
        try:
            self._hand_over()
        except Exception as error:
            what = "training goes on, and the next start sends what is missing"
            log.warning("%s failed, %s: %s", self.name, what, _said(error))

    def _hand_over(self):
        run, held = self.start(), []
        while (item := self.inbox.get()) is not None:
            if isinstance(item, list):
                run.send(item)
            elif isinstance(item, tuple):
                held.append(item)
            else:
                run.send([row for row in held if row[0] <= item])
                held = [row for row in held if row[0] > item]
        run.close()


def _said(error):
    return str(error).strip() or type(error).__name__
