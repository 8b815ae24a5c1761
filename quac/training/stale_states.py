"""Training states that nothing uses any more. (Starts without torch.)"""

import fcntl
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from quac.data.index import content_digest
from quac.system.errors import QuacError
from quac.system.files import digest_of, digest_of_file, read_json

CURRENT = "current.json"  # beside the folders of states: which one was trained last


def training_id(settings, index, classifier=None):
    """The name of the folder in which a training keeps its states: a digest of all that it depends on.

    Args:
        settings: those of its key file, and its digests.
        index: of the training split.
        classifier: file, where the training has a loss of it.
    """
    belongs = {"settings": settings, "data": content_digest(index)}
    if classifier:
        belongs["classifier"] = digest_of_file(classifier)
    return digest_of(belongs)[:16]


@dataclass(frozen=True)
class Unused:
    """A folder of training states: its size in bytes, its last step, and the settings in which it differs from now."""

    path: Path
    size: int
    step: int
    differs: list

    def remove(self):
        shutil.rmtree(self.path)


def unused(root):
    """The folders of states below a run's root that belong neither to its last training nor to its results.

    Raises QuacError where it has not begun to train.
    """
    states = Path(root, "training/state")
    if not (states / CURRENT).is_file():
        raise QuacError(
            f"{states / CURRENT}: does not exist; is {root} the folder of a run (solver.root_dir, or with `runs` one "
            "in it), and has it begun to train?"
        )
    current = read_json(states / CURRENT)["training"]
    markers = [read_json(path) for path in sorted(Path(root, "training").glob("*.json"))]
    kept = {Path(made["file"]).parent.name for marker in markers for made in marker["checkpoints"].values()} | {current}
    folders = [path for path in sorted(states.glob("*")) if path.is_dir() and path.name not in kept]
    settings = _settings(states / current)
    return [_describe(path, settings) for path in folders if not _is_training(path)]


def _settings(folder):
    path = folder / "settings.json"
    return read_json(path) if path.is_file() else {}


def _describe(path, settings):
    steps = [int(name[1]) for file in path.iterdir() if (name := re.match(r"(?:state_)?(\d+)[._]", file.name))]
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and file.stat().st_nlink == 1)
    return Unused(path, size, max(steps, default=0), sorted(_differences(_settings(path), settings)))


def _differences(one, other, name=""):
    if isinstance(one, dict) and isinstance(other, dict):
        for part in one.keys() | other.keys():
            yield from _differences(one.get(part), other.get(part), f"{name}.{part}" if name else part)
    elif one != other:
        yield name


def _is_training(path):
    lock = path / "lock"
    if not lock.is_file():
        return False
    with open(lock, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
