"""Folders of classes on disk: the files in them, and digests of files."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from quac.system.errors import QuacError
from quac.system.files import digest_of_file, write_text

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"}


def class_folders(source):
    """Names of the class folders in `source`, sorted. Hidden folders are none."""
    folder = Path(source)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise QuacError(f"{source}: {what}; it must hold one folder of images per class")
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")]
    except PermissionError:
        raise QuacError(f"{source}: cannot be read; change its permissions") from None
    for name in names:
        _refuse_undecodable(name)
    return sorted(names)


def files_in(folder):
    """Names of the files directly in a folder. Hidden ones are left out."""
    names = [entry.name for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith(".")]
    for name in names:
        _refuse_undecodable(name)
    return names


def files_below(base, inner, without=()):
    """Paths, relative to `base`, of the files at any depth below its folder `inner`.

    Linked folders are followed, hidden files and folders left out, and so are
    the folders directly in `inner` that `without` names. Raises QuacError for a
    folder that is closed and for a name that is no text.
    """

    def stop(error):
        raise QuacError(f"{error.filename}: cannot be read ({error.strerror.lower()}); change its permissions")

    top, start = os.path.join(base, inner), len(os.path.join(base, ""))
    seen = set()
    for folder, folders, files in os.walk(top, onerror=stop, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link to a folder above itself
            folders.clear()
            continue
        seen.add(real)
        # Sorted: of two names of one folder, the same is taken on every machine.
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in without)
        without = ()
        for file in files:
            if not file.startswith("."):
                path = os.path.join(folder, file)[start:]
                _refuse_undecodable(path)
                yield path


def is_image(path):
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES


def _refuse_undecodable(path):
    try:
        path.encode()
    except UnicodeEncodeError:
        raise QuacError(f"{path!r}: the name is not valid UTF-8; rename it") from None


def tree_digest(source, classes=None, cache=None):
    """SHA-256 (hex) over names and bytes of all files of a folder of classes; `cache` as in `DigestCache`."""
    names = [name for name in class_folders(source) if classes is None or name in classes]
    paths = files_in(source) + [path for name in names for path in files_below(source, name)]
    total = hashlib.sha256()
    with DigestCache(cache) as digest_of:
        for path in sorted(paths):
            total.update(f"{path}\0{digest_of(os.path.join(source, path))}\n".encode())
    for name in names:  # an empty class folder counts as well
        total.update(f"{name}/\n".encode())
    return total.hexdigest()


def cached_digest(path, cache):
    """SHA-256 (hex) of a file's bytes; `cache` as in `DigestCache`."""
    with DigestCache(cache) as digest_of:
        return digest_of(path)


class DigestCache:
    """Digests of files, each remembered in a JSON file by size and time of change, so that it is read once.

    A context that gives a function path -> SHA-256 (hex), or "unreadable"
    (why it is, is found when it is used).
    """

    def __init__(self, path):
        self.path, self.fresh = path, {}
        try:
            self.known = json.loads(Path(path).read_text()) if path else {}
        except (OSError, ValueError):
            self.known = {}

    def __call__(self, file):
        file = os.path.abspath(file)
        try:
            status = os.stat(file)
            stamp = [status.st_size, status.st_mtime_ns]
            if self.known.get(file, [])[:2] != stamp:
                self.known[file] = self.fresh[file] = [*stamp, digest_of_file(file)]
            return self.known[file][2]
        except OSError:
            return "unreadable"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.path and self.fresh:
            with suppress(OSError):  # where it cannot be written, files are read again
                write_text(self.path, json.dumps(self.known))
