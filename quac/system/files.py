"""Files that appear whole or not at all."""

import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from quac.system.errors import QuacError

FilePath = str | os.PathLike[str]


@contextmanager
def atomic_write(path: FilePath) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; on success it is flushed to disk and renamed to `path`.

    A reader sees the old file or the new one, never a part of it. On an error the temporary file is removed and `path`
    stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(path.name.encode()).hexdigest()[:16]  # short, for names of the maximum length
    temporary = path.with_name(f".{name}.{os.getpid()}.part")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder; rename or remove it, or choose another name", str(path))
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        if error.filename in (None, str(temporary)):  # the error of a full disk does not name the file
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):  # if the folder cannot be written, there is no temporary file
            temporary.unlink(missing_ok=True)


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
    if any(Path(out).resolve() == Path(path).resolve() for path in inputs):
        raise QuacError(f"--out: {out} is an input of this command and would be overwritten; choose another name")


def write_text(path: FilePath, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: FilePath, value: Any) -> None:
    """Write a value as indented JSON, whole or not at all. Raises ValueError for NaN and infinity."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: FilePath) -> Any:
    """The value in a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


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
