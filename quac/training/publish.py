"""From the training's own folder to the place where others look for a checkpoint. (Starts without torch.)"""

import re
import shutil
from pathlib import Path

from quac.system.errors import QuacError
from quac.system.files import digest_of_file, read_json, whole


def step_of(path):
    """The step of a checkpoint, by its published name `<step>_nets_ema.ckpt`."""
    name = re.match(r"(\d+)_nets_ema\.ckpt$", Path(path).name)
    if not name:
        raise QuacError(f"{path}: is not named as a checkpoint; expected <step>_nets_ema.ckpt")
    return int(name[1])


def publish(marker, step, path):
    """Link a checkpoint out of the state folder to `path` (copied where the file system has no links).

    Args:
        marker: what `quac train` wrote of the segment; `checkpoints` says {step: file and its digest}.

    Raises QuacError where the checkpoint is not the one that was trained.
    """
    trained = read_json(marker)["checkpoints"][str(step)]
    source = Path(trained["file"])
    if not source.is_file() or digest_of_file(source) != trained["sha256"]:
        source.unlink(missing_ok=True)  # so that training makes it again
        raise QuacError(f"{source}: was damaged or lost; delete {marker} and run the same command again")
    path.unlink(missing_ok=True)
    try:
        path.hardlink_to(source)
    except OSError:
        with whole(path) as temporary:
            shutil.copyfile(source, temporary)
    path.touch()
