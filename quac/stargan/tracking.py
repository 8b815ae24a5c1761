"""Trackers: where losses and sample grids are logged as well. Training never depends on one."""

from quac.console import log


def open_tracker(log_type, settings, folder, run_id, config):
    """The tracker that a config asks for, guarded.

    Args:
        log_type: `wandb`, `tensorboard` or `none`.
        settings: a config's `log` section.
        folder: where the tracker's own files lie.
        run_id: keeps a training that goes on one run.
        config: dict shown by the tracker.
    """
    kinds = {"wandb": WandbTracker, "tensorboard": TensorboardTracker, "none": Tracker}
    kind = "none" if settings.mode == "disabled" else log_type
    return Guarded(kind, lambda: kinds[kind](settings, folder, run_id, config))


class Guarded:
    """A tracker whose first failure, of whatever kind, ends the tracking, with a warning, and nothing else."""

    def __init__(self, name, start):
        self.name, self.tracker = name, None
        self._try(lambda: setattr(self, "tracker", start()))

    def log(self, step, numbers):
        self._try(lambda: self.tracker.log(step, numbers))

    def image(self, step, name, path):
        self._try(lambda: self.tracker.image(step, name, path))

    def close(self):
        self._try(lambda: self.tracker.close())

    def _try(self, action):
        if self.name is None:
            return
        try:
            action()
        except Exception as error:
            log.warning("%s failed, training goes on without it: %s", self.name, error)
            self.name = None


class Tracker:
    """Tracks nothing."""

    def __init__(self, settings, folder, run_id, config):
        pass

    def log(self, step, numbers):
        """Numbers by name at a step."""

    def image(self, step, name, path):
        """A PNG file by name at a step."""

    def close(self):
        """Hand over what is still held back."""


class WandbTracker(Tracker):
    def __init__(self, settings, folder, run_id, config):
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        self.wandb = wandb
        self.run = wandb.init(
            project=settings.project,
            name=settings.name,
            notes=settings.notes,
            tags=settings.tags,
            mode=settings.mode,
            dir=folder,
            id=run_id,
            resume="allow",
            config=config,
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )

    def log(self, step, numbers):
        self.run.log(numbers, step=step)

    def image(self, step, name, path):
        self.run.log({name: self.wandb.Image(str(path))}, step=step)

    def close(self):
        self.run.finish()


class TensorboardTracker(Tracker):
    def __init__(self, settings, folder, run_id, config):
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(f"{settings.log_dir or folder / 'tensorboard'}{settings.comment}")

    def log(self, step, numbers):
        for name, value in numbers.items():
            self.writer.add_scalar(name, value, step)

    def image(self, step, name, path):
        import numpy as np
        from PIL import Image

        pixels = np.asarray(Image.open(path).convert("RGB"))
        self.writer.add_image(name, pixels, step, dataformats="HWC")

    def close(self):
        self.writer.close()
