"""Folders of classes on disk: which files are images, and a digest of them all."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from quac.errors import QuacError
from quac.files import digest_of_file, write_text

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"}


def class_folders(source):
    """Names of the class folders in `source`, sorted. Hidden folders are none."""
    folder = Path(source)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise QuacError(f"{source}: {what}; it must hold one folder of images per class")
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    except PermissionError:
        raise QuacError(f"{source}: cannot be read; change its permissions") from None


def list_images(source, classes=None):
    """The image files of a split, and what else lies there.

    Args:
        source: folder that holds a folder per class; deeper folders belong to their class.
        classes: names to look at; None means all.

    Returns:
        `(images, strays)`: images as sorted `(class, path relative to source)`,
        strays as sorted relative paths of files that no class folder holds or
        whose ending is not an image's. Hidden files and folders are in neither.
    """
    present = class_folders(source)
    images, strays = [], []
    for entry in os.scandir(source):
        if entry.is_file() and not entry.name.startswith("."):
            strays.append(entry.name)
    for name in present if classes is None else [name for name in classes if name in present]:
        for path in _walk(os.path.join(source, name)):
            path = os.path.relpath(path, source)
            _refuse_undecodable(path)
            if Path(path).suffix.lower() in IMAGE_SUFFIXES:
                images.append((name, path))
            else:
                strays.append(path)
    return sorted(images), sorted(strays)


def _walk(top):
    """Files below a folder, linked folders included, hidden ones not. Raises QuacError for a folder that is closed."""

    def stop(error):
        raise QuacError(f"{error.filename}: cannot be read ({error.strerror.lower()}); change its permissions")

    seen = set()
    for folder, folders, files in os.walk(top, onerror=stop, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link to a folder above itself
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [inner for inner in folders if not inner.startswith(".")]
        yield from (os.path.join(folder, file) for file in files if not file.startswith("."))


def _refuse_undecodable(path):
    try:
        path.encode()
    except UnicodeEncodeError:
        raise QuacError(f"{path!r}: the file name is not valid UTF-8; rename the file") from None


def tree_digest(source, classes=None, cache=None):
    """SHA-256 (hex) over names and bytes of a split's files; `cache` as in `DigestCache`."""
    images, strays = list_images(source, classes)
    total = hashlib.sha256()
    with DigestCache(cache) as digest_of:
        for path in sorted([path for _, path in images] + strays):
            total.update(f"{path}\0{digest_of(os.path.join(source, path))}\n".encode())
    for name in class_folders(source):  # an empty class folder counts as well
        if classes is None or name in classes:
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
