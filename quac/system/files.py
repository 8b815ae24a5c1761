"""Files that appear whole or not at all."""

import errno
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from quac.system.errors import QuacError, reason_of
from quac.system.paths import is_same_file

FilePath = str | os.PathLike[str]


PART = r"\.[0-9a-f]{16}(\.\d+)?\.part"  # name of a file that is being written


@contextmanager
def atomic_write(path: FilePath) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success it is flushed to disk and renamed to `path`.

    A reader sees the old file or the new one, never a part of it. On an error the temporary file is removed and `path`
    stays as it was. What a kill has left is used by the next one who writes `path`; two of them wait for each other.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(path.name.encode()).hexdigest()[:16]  # short, for names of the maximum length
    temporary, descriptor = path.with_name(f".{name}.part"), None
    try:
        descriptor = _create_locked(temporary)
        if descriptor is None:
            temporary = path.with_name(f".{name}.{os.getpid()}.part")
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder; rename or remove it, or choose another name", str(path))
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):  # if the folder cannot be written, there is no temporary file
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename = str(path)  # the error of a full disk does not name the file
        raise
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _create_locked(path: Path) -> int | None:
    """An empty file that only this process writes, locked until it is closed; None if the file system has no locks."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            os.close(descriptor)
            os.unlink(path)
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                os.ftruncate(descriptor, 0)
                return descriptor
        os.close(descriptor)  # its writer has renamed it while this one waited


def parts_below(folder: FilePath) -> list[Path]:
    """The files below a folder that a kill has left while they were written, sorted."""
    return sorted(path for path in Path(folder).rglob(".*.part") if re.fullmatch(PART, path.name) and _is_left(path))


def _is_left(path: Path) -> bool:
    """Whether nobody writes a file any more."""
    try:
        with open(path, "rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # it is being written, or there are no locks to tell
        return False
    return True


def remove_own(path: FilePath, folder: FilePath, form: str) -> bool:
    """Remove a file or folder that a run has written; True if it is gone.

    Everything that is deleted is deleted here: only what lies below `folder`, the run's own, and is named as what we
    write there (`form`, a regular expression of its whole path below `folder`). A link is no such thing, nor is what
    lies behind one: a results folder from elsewhere may contain any.
    """
    path, folder = os.path.abspath(path), os.path.abspath(folder)
    inner = os.path.relpath(path, folder)
    if not re.fullmatch(form, Path(inner).as_posix()) or os.path.islink(path):
        return False
    if os.path.realpath(path) != os.path.join(os.path.realpath(folder), inner):
        return False
    if os.path.isdir(path):
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            os.unlink(path)
    return True


def _flush_folder(folder: Path) -> None:
    """Make a rename survive a power cut. Some file systems (VirtualBox, old CIFS) cannot: nothing is lost then."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def refuse_overwrite(out: FilePath, *inputs: FilePath) -> None:
    """Raise QuacError if a command would overwrite one of its inputs, or `out` is not the name of a file."""
    if not Path(out).name:
        raise QuacError(f"--out: {str(out)!r} is not the name of a file; give one")
    if any(is_same_file(out, path) for path in inputs):
        raise QuacError(f"--out: {out} is an input of this command and would be overwritten; choose another name")


def write_text(path: FilePath, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: FilePath, value: Any) -> None:
    """Write a value as indented JSON, whole or not at all. Raises ValueError for NaN and infinity."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: FilePath, keys: Collection[str] | None = None) -> Any:
    """The value in a JSON file; `keys`: those that it must have, as a mapping (None: anything).

    Raises QuacError that names a file that is damaged.
    """
    with whole(path):
        value = json.loads(Path(path).read_bytes())
        if keys is not None:
            if not isinstance(value, dict):
                raise TypeError("it is not a mapping")
            if missing := [key for key in keys if key not in value]:
                raise LookupError(f"it has no {', '.join(missing)}")
        return value


@contextmanager
def whole(path: FilePath, remedy: str = "Delete it and run the workflow again.") -> Iterator[None]:
    """A context in which the content of a file of ours is read, and taken for what it should be.

    Raises QuacError that names the file, and the remedy, where that fails: because the file is damaged, as after a
    power cut, a full disk or an edit by hand.
    """
    try:
        yield
    except FileNotFoundError:
        raise QuacError(f"{path}: file not found. Check the path, or run the workflow again.") from None
    except DAMAGED as error:
        raise QuacError(f"{path}: damaged ({reason_of(error)}). {remedy}") from None


# What reading the content of a damaged file raises, from wherever.
DAMAGED = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, EOFError, NotImplementedError)


def json_sha256(value: Any) -> str:
    """SHA-256 (hex) of a value as canonical JSON: keys sorted, no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: FilePath) -> str:
    """SHA-256 (hex) of the bytes of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(paths: Iterable[FilePath]) -> str:
    """SHA-256 (hex) of the digests of files, in their order."""
    return json_sha256([file_sha256(path) for path in paths])


def require_writable(folder: str, name: str) -> None:
    """Raise QuacError, which names the config key `name`, if `folder` cannot be made or written."""
    existing = os.path.abspath(folder)
    while not os.path.exists(existing):
        existing = os.path.dirname(existing)
    if not (os.path.isdir(existing) and os.access(existing, os.W_OK)):
        raise QuacError(f"{name}: {folder} cannot be written; make {existing} writable, or choose another folder")


def yaml_text(value: object) -> str:
    """Readable YAML, in the order of the keys."""
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


def link_or_copy(source: FilePath, target: FilePath) -> None:
    """Make `target` a hard link to `source`, or a copy if the file system has no links. Replaces `target`."""
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        with atomic_write(target) as temporary:
            shutil.copyfile(source, temporary)


def save_torch(path: FilePath, value: Any, save: Callable[[Any, io.BytesIO], object] | None = None) -> None:
    """Write a value with `torch.save`, or with another function of torch that takes a buffer."""
    import torch

    buffer = io.BytesIO()  # torch's own writer aborts on a full disk, and hides the reason
    (save or torch.save)(value, buffer)
    with atomic_write(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())
