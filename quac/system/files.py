"""Files that appear whole or not at all."""

import errno
import hashlib
import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path

from quac.system.errors import QuacError


@contextmanager
def whole(path):
    """Yield a temporary path beside `path`; on success it is flushed to disk and takes its name.

    A reader sees the old file or the new one, never a part of it. On an error
    the temporary file is removed and `path` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(path.name.encode()).hexdigest()[:16]  # fits where the name itself only just does
    temporary = path.with_name(f".{name}.{os.getpid()}.part")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder; rename or remove it, or choose another name", str(path))
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        if error.filename in (None, str(temporary)):  # a full disk does not say which file it was
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):  # where nothing can be written, nothing was
            temporary.unlink(missing_ok=True)


def sync_folder(folder):
    """Make a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_other(out, *inputs):
    """Stop where a command would write over what it reads, or to no name."""
    if not Path(out).name:
        raise QuacError(f"--out: {str(out)!r} is no name of a file; give one")
    if any(Path(out).resolve() == Path(path).resolve() for path in inputs):
        raise QuacError(f"--out: {out} would be overwritten by what is made of it; choose another name")


def write_text(path, text):
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path, value):
    """Readable JSON; NaN and infinity are refused, since JSON has no words for them."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def canonical(value):
    """JSON text that is equal for equal values: keys sorted, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(value):
    """SHA-256 (hex) of a value's canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def digest_of_file(path):
    """SHA-256 (hex) of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
