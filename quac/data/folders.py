"""Folders of classes on disk: the files in them, and digests of files."""

import hashlib
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from quac.system.errors import QuacError
from quac.system.files import FilePath, file_sha256, write_text

SURROGATE = re.compile("[\ud800-\udfff]")
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"}
# Files and folders that systems, NAS and file managers write next to the data, by their names in lower case. (Hidden
# files are left out anyway; these are named to be counted.)
_NEVER_DATA = re.compile(
    r"@.*|\.@.*"  # Synology, QNAP: @eaDir, @Recycle, @Recently-Snapshot, .@__thumb
    r"|#(recycle|snapshot|trash)|\.recycle|~snapshot|\.snapshots?|\.zfs"  # recycle bins and snapshots
    r"|\$recycle\.bin|system volume information|(eh)?thumbs\.db|thumbs\.db:.*|desktop\.ini"
    r"|__macosx|\._.*|\.appledouble|\.ds_store|\.(trashes|spotlight-v100|fseventsd|temporaryitems|documentrevisions-v100)"
    r"|network trash folder|temporary items|thevolumesettingsfolder|icon\r"
    r"|lost\+found|\.trash.*|\.nfs.*|\.fuse_hidden.*"
    r"|\.(thumb(nail)?s?|sh_thumbnails|xvpics|pics|comments|picasaoriginals|dtrash|ipynb_checkpoints)"
    r"|zbthumbnail\.info|picasa\.ini|__pycache__",
    re.DOTALL,
)


def is_never_data(name: str) -> bool:
    """Whether a file or folder of this name is a system's and not data: a thumbnail, a recycle bin, and so on."""
    return bool(_NEVER_DATA.fullmatch(name.lower()))


def _is_passed_over(name: str, counts: Counter[str] | None) -> bool:
    """Whether a name is hidden or never data; the latter are counted by their names, `._*` together."""
    if is_never_data(name):
        if counts is not None:
            counts["._*" if name.startswith("._") else name] += 1
        return True
    return name.startswith(".")


def class_folders(source: FilePath, passed_over: Counter[str] | None = None) -> list[str]:
    """Names of the class folders in `source`, sorted. Hidden folders and names that are never data are left out; the
    latter, of files too, are counted in `passed_over`."""
    folder = Path(source)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise QuacError(f"{source}: {what}; it must hold one folder of images per class{slash_hint(source)}")
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not _is_passed_over(entry.name, passed_over) and entry.is_dir()]
    except PermissionError:
        raise QuacError(f"{source}: cannot be read; change its permissions") from None
    return sorted(map(_decodable, names))


def files_in(folder: FilePath) -> list[str]:
    """Names of the files directly in a folder; hidden files and names that are never data are left out."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not _is_passed_over(entry.name, None) and entry.is_file()]
    return list(map(_decodable, names))


def slash_hint(path: FilePath) -> str:
    """What to do about a path of Windows, to be added to a message."""
    return r" (write / for \)" if "\\" in os.fspath(path) else ""


def files_below(
    base: FilePath, inner: str, without: Iterable[str] = (), passed_over: Counter[str] | None = None
) -> Iterator[str]:
    """Yield the paths, relative to `base`, of the files at any depth below its folder `inner`.

    Linked folders are followed; hidden files and folders are left out, names that are never data (counted in
    `passed_over`), and the folders directly in `inner` that `without` names. Raises QuacError for a folder that cannot
    be read and a name that is not valid text.
    """

    def stop(error: OSError) -> None:
        raise QuacError(f"{error.filename}: cannot be read ({str(error.strerror).lower()}); change its permissions")

    top, start = os.path.join(base, inner), len(os.path.join(base, ""))
    seen = set()
    skipped = set(without)
    for folder, folders, files in os.walk(top, onerror=stop, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link to a folder above itself
            folders.clear()
            continue
        seen.add(real)
        # Sorted, so that of two links to one folder the same is followed on every machine.
        folders[:] = sorted(name for name in folders if name not in skipped and not _is_passed_over(name, passed_over))
        skipped = set()
        files = [file for file in files if not _is_passed_over(file, passed_over)]
        yield from (_decodable(os.path.join(folder, file)[start:]) for file in files)


def is_image(path: str) -> bool:
    """Whether a file is named as an image."""
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES


def is_utf8(text: str) -> bool:
    """Whether a text holds no half of a surrogate pair, as file names and JSON may."""
    return not SURROGATE.search(text)


def _decodable(path: str) -> str:
    if not is_utf8(path):
        raise QuacError(f"{path!r}: the name is not valid UTF-8; rename it")
    return path


def tree_digest(source: FilePath, classes: Collection[str] | None = None, cache: FilePath | None = None) -> str:
    """SHA-256 (hex) over names and bytes of all files of a folder of classes; `cache` as in `DigestCache`."""
    names = [name for name in class_folders(source) if classes is None or name in classes]
    paths = files_in(source) + [path for name in names for path in files_below(source, name)]
    total = hashlib.sha256()
    with DigestCache(cache) as file_digest:
        for path in sorted(paths):
            total.update(f"{path}\0{file_digest(os.path.join(source, path))}\n".encode())
    for name in names:  # an empty class folder counts, too
        total.update(f"{name}/\n".encode())
    return total.hexdigest()


def cached_digest(path: FilePath, cache: FilePath | None) -> str:
    """SHA-256 (hex) of a file's bytes; `cache` as in `DigestCache`."""
    with DigestCache(cache) as file_digest:
        return file_digest(path)


class DigestCache:
    """Digests of files, cached in a JSON file, so that a file is read once.

    A file is known by its size, its times of modification and change, and its inode: two files that are swapped may
    have the same size and time of modification.

    A context that gives a function path -> SHA-256 (hex), or "unreadable" (the stage that reads the file reports why).
    """

    # {path of a JSON file: its stamp, and its content}: a workflow of many runs opens a large one again and again.
    opened: ClassVar[dict[str, tuple[list[int], dict[str, list[Any]]]]] = {}

    def __init__(self, path: FilePath | None):
        """`path` of the JSON file; None: nothing is cached."""
        self.path, self.changed = path, False
        self.known: dict[str, list[Any]] = {}  # the stamp, see `_stamp`, and the SHA-256
        with suppress(OSError, ValueError):
            if path:
                stamp, (last, known) = _stamp(os.stat(path)), self.opened.get(os.path.abspath(path), ([], {}))
                self.known = known if stamp == last else json.loads(Path(path).read_text())
                self.opened[os.path.abspath(path)] = stamp, self.known

    def __call__(self, file: FilePath) -> str:
        file = os.path.abspath(file)
        try:
            status = os.stat(file)
            if not stat.S_ISREG(status.st_mode):  # a pipe would block, a device may never end
                return "unreadable"
            stamp = _stamp(status)
            if self.known.get(file, [])[:-1] != stamp:
                self.known[file], self.changed = [*stamp, file_sha256(file)], True
            return self.known[file][-1]
        except OSError:
            return "unreadable"

    def __enter__(self) -> "DigestCache":
        return self

    def __exit__(self, *error: object) -> None:
        if self.path and self.changed:
            with suppress(OSError):  # if it cannot be written, files are read again next time
                write_text(self.path, json.dumps(self.known))
                self.opened[os.path.abspath(self.path)] = _stamp(os.stat(self.path)), self.known


def _stamp(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
