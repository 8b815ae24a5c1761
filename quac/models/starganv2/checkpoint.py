"""What a training leaves on disk: whole states to go on from, and checkpoints in the published format.

A checkpoint is `{network: state_dict}` of the averaged generator, mapping
network and style encoder, as StarGAN v2 and QuAC write it. A whole state
holds everything that the next step depends on.
"""

import io
import pickle
import re
import warnings
import zipfile

import torch

from quac.models.starganv2.checkpoint_info import KEY, read_description, require_same
from quac.models.starganv2.networks import AVERAGED, build_networks
from quac.models.starganv2.samples import GRIDS
from quac.system.console import log
from quac.system.errors import QuacError, lines_of
from quac.system.files import digest_of_file, read_json, whole, write_json, write_text

# What torch.load raises for files that are damaged, or no checkpoints at all.
UNREADABLE = (OSError, RuntimeError, ValueError, EOFError, LookupError, TypeError)
UNREADABLE += (pickle.UnpicklingError, zipfile.BadZipFile)


class StateFolder:
    """The folder of one training setting: `state_<step>.pt`, `<step>_nets_ema.ckpt`, `history.csv`, `samples/`,
    `rates/`."""

    def __init__(self, path, keep=2):
        """`keep`: whole states that are kept, the newest ones."""
        self.path, self.keep = path, keep

    @property
    def history(self):
        return self.path / "history.csv"

    def image(self, step, name):
        """Where an image grid of a step lies: the sample grid in `samples/`, others below it, in `<name>/`."""
        return self.path / "samples" / ("" if name == "samples" else name) / f"{step:06d}.png"

    def rates(self, step):
        """Where the rates of the class pairs lie that were evaluated at a step, {name: number} as JSON."""
        return self.path / "rates" / f"{step:06d}.json"

    def logged(self, history, end):
        """Rows (step, numbers, {name: path of a grid}) of a History up to step `end`, as a tracker takes them."""
        for step, numbers in history.numbers(end):
            images, rates = {name: self.image(step, name) for name in GRIDS}, self.rates(step)
            numbers |= read_json(rates) if rates.is_file() else {}
            yield step, numbers, {name: path for name, path in images.items() if path.is_file()}

    @property
    def sessions(self):
        """What has trained here: a list of records (commit, versions, device, started, seconds), oldest first."""
        path = self.path / "sessions.json"
        return read_json(path) if path.is_file() else []

    def save_session(self, record):
        """Add a session, or its newer record; one that was killed has the time up to its last state."""
        earlier = [session for session in self.sessions if session["started"] != record["started"]]
        write_json(self.path / "sessions.json", [*earlier, record])

    def checkpoint(self, step):
        return self.path / f"{step:06d}_nets_ema.ckpt"

    def missing(self, steps):
        """Those of `steps` that have no checkpoint yet."""
        return [step for step in steps if not _is_complete(self.checkpoint(step))]

    def digest(self, step):
        """SHA-256 (hex) of the checkpoint of a step, as it was written."""
        return _digest_file(self.checkpoint(step)).read_text()

    def save_checkpoint(self, step, content):
        """Write {network: state_dict, "quac": what it says of itself}, in host memory."""
        _save(self.checkpoint(step), content)

    def save_state(self, state):
        """Write a whole state (a dict with its `step`, in host memory), then let go of older ones."""
        _save(self._state(state["step"]), state)
        # The last ones by age: where a training goes back for a lost checkpoint, its own states come last. And the
        # highest step, so that going back costs no progress.
        by_age = sorted(self._steps(), key=lambda step: self._state(step).stat().st_mtime_ns)
        for step in set(by_age[: -self.keep]) - {self.newest_step()}:
            _digest_file(self._state(step)).unlink(missing_ok=True)
            self._state(step).unlink()

    def load_state(self, at_most):
        """The newest whole state of a step up to `at_most`, or None. A damaged one is passed over, and said so."""
        for step in reversed([step for step in self._steps() if step <= at_most]):
            path = self._state(step)
            if _is_complete(path) and _digest_file(path).read_text() == digest_of_file(path):
                return torch.load(path, map_location="cpu", weights_only=True)
            log.warning("%s is damaged; going on from the state before it", path)
        return None

    def newest_step(self):
        """The highest step that has a state, or 0."""
        return max(self._steps(), default=0)

    def _state(self, step):
        return self.path / f"state_{step:06d}.pt"

    def _steps(self):
        names = (re.fullmatch(r"state_(\d+)\.pt", file.name) for file in self.path.glob("state_*.pt"))
        return sorted(int(name[1]) for name in names if name)


def load_checkpoint(path, model, num_domains, device):
    """The averaged networks of a checkpoint, in evaluation mode.

    Args:
        path: file in the published format.
        model: a config's `model` section.

    Raises QuacError where the file is damaged, or holds networks of another
    shape, or says of itself that it is of other networks or classes.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if description := read_description(content, path):
            require_same(description, path, model, num_domains)
        return _networks(content, model, num_domains, device)
    except FileNotFoundError:
        raise QuacError(f"{path}: does not exist; run the same command again to publish it") from None
    except UNREADABLE as error:
        raise QuacError(
            f"{path}: cannot be used as a checkpoint of these networks ({_reason(error)}); "
            "if it is damaged, delete it and run the same command again"
        ) from None


def open_checkpoint(path, device):
    """A checkpoint that describes itself: `(Description, the averaged networks, in evaluation mode)`."""
    content = read_checkpoint(path)
    description = require_description(content, path)
    try:
        return description, _networks(content, description.model, len(description.classes), device)
    except UNREADABLE as error:
        raise QuacError(f"{path}: holds other networks than it says ({_reason(error)}); give another file") from None


def read_checkpoint(path):
    """What a checkpoint holds, {network: state_dict} and more. Raises QuacError where it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that are something else
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise QuacError(f"{path}: does not exist; correct the path") from None
    except UNREADABLE as error:
        raise QuacError(f"{path}: cannot be read as a checkpoint ({_reason(error)}); {_WANTED}") from None
    found = content if isinstance(content, dict) else {}
    if missing := [name.replace("_", " ") for name in AVERAGED if not isinstance(found.get(name), dict)]:
        raise QuacError(f"{path}: holds no {', '.join(missing)}; {_WANTED}")
    return content


_WANTED = "give a file with the weights of generator, mapping network and style encoder: <step>_nets_ema.ckpt"


def require_description(content, path):
    """The Description of a checkpoint that must have one."""
    if description := read_description(content, path):
        return description
    raise QuacError(
        f"{path}: does not say what its classes and ranges are; `quac import {path} --classes ...` makes of it a "
        "checkpoint that does"
    )


def write_checkpoint(path, weights, description=None):
    """Write {network: state_dict} and what it says of itself; without a description, the published format alone."""
    content = {name: dict(weights[name]) for name in AVERAGED}
    _write(path, content | ({KEY: description.as_dict()} if description else {}))


def _networks(content, model, num_domains, device):
    networks = build_networks(model, num_domains)
    for name in AVERAGED:
        networks[name].load_state_dict(content[name])
    del networks["discriminator"]
    return networks.to(device).eval().requires_grad_(False)


def _reason(error):
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return lines_of(error)[0].split(". In PyTorch")[0]  # what follows is advice to load any file, whatever it would run


def _save(path, value):
    """Write a value and then its digest: a file that has none is not complete."""
    _digest_file(path).unlink(missing_ok=True)
    _write(path, value)
    write_text(_digest_file(path), digest_of_file(path))


def _write(path, value):
    buffer = io.BytesIO()  # torch's own writer aborts on a full disk, and hides why
    torch.save(value, buffer)
    with whole(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def _digest_file(path):
    return path.with_suffix(".sha256")


def _is_complete(path):
    return path.is_file() and _digest_file(path).is_file()


def host_copy(value):
    """Copies, in host memory, of the tensors of a nested dict or list: a file of them needs no GPU to be read."""
    if isinstance(value, torch.Tensor):
        copy = torch.empty(value.shape, dtype=value.dtype)  # whatever the memory layout was
        return copy.copy_(value.detach())
    if isinstance(value, dict):
        return {name: host_copy(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [host_copy(inner) for inner in value]
    return value
