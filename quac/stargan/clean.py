"""Training states that nothing uses any more. (Starts without torch.)"""

import fcntl
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from quac.data.index import content_digest
from quac.errors import QuacError
from quac.files import digest_of, digest_of_file, read_json
from quac.tables import read_table


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
    """The folders of states below a run's root that belong neither to its settings of now nor to its results.

    Raises QuacError where the run has not come so far that this can be told.
    """
    root = Path(root)
    key, index, check = root / "keys/train.json", root / "data/train.parquet", root / "classifier/check.json"
    _require(root, key, index)
    settings = {**read_json(key)["settings"], "digests": read_json(key)["digests"]}
    if settings["judge"]:  # the classifier is part of what the training depends on
        _require(root, check)
    classifier = read_json(check)["classifier"] if settings["judge"] else None
    markers = [read_json(path) for path in sorted((root / "training").glob("*.json"))]
    kept = {Path(made["file"]).parent.name for marker in markers for made in marker["checkpoints"].values()}
    kept.add(training_id(settings, read_table(index), classifier))
    folders = [path for path in sorted((root / "training/state").glob("*")) if path.is_dir() and path.name not in kept]
    return [_describe(path, settings) for path in folders if not _is_training(path)]


def _require(root, *files):
    for file in files:
        if not file.is_file():
            raise QuacError(
                f"{file}: does not exist; is {root} the folder of a run (solver.root_dir), and how far is it?"
            )


def _describe(path, settings):
    steps = [int(name[1]) for file in path.iterdir() if (name := re.match(r"(?:state_)?(\d+)[._]", file.name))]
    before = read_json(path / "settings.json") if (path / "settings.json").is_file() else {}
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and file.stat().st_nlink == 1)
    return Unused(path, size, max(steps, default=0), sorted(_differences(before, settings)))


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
