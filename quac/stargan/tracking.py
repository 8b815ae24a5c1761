"""Trackers: where losses and sample grids are logged as well. Training never depends on one."""

from quac.console import log


def open_tracker(log_type, settings, folder, run_id, config):
    """The tracker that a config asks for; where it cannot start, a warning and none.

    Args:
        log_type: `wandb`, `tensorboard` or `none`.
        settings: a config's `log` section.
        folder: where the tracker's own files lie.
        run_id: keeps a training that goes on one run.
        config: dict shown by the tracker.
    """
    kinds = {"wandb": WandbTracker, "tensorboard": TensorboardTracker, "none": Tracker}
    if settings.mode == "disabled":
        log_type = "none"
    try:
        return kinds[log_type](settings, folder, run_id, config)
    except Exception as error:  # of somebody else's library, whatever it be: the training goes on
        log.warning("%s could not be started, training goes on without it: %s", log_type, error)
        return Tracker(settings, folder, run_id, config)


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
