"""Which files are converted, and where their results go."""

import glob
import os
from dataclasses import dataclass
from pathlib import Path

from quac.data.folders import IMAGE_SUFFIXES, files_below, is_image
from quac.errors import QuacError


@dataclass(frozen=True)
class Place:
    """A file to convert."""

    path: Path
    name: str  # below the folder of the results


def list_places(sources, out):
    """The images of sources, in order of their names.

    Args:
        sources: files; folders, with all images at any depth; globs, `**` for any depth.
        out: folder of the results; where it lies inside a source, what it holds is not converted again.

    A file's name is its path below its source: a folder, or the part of a glob before the first wildcard. Raises
    QuacError where a source holds no images.
    """
    places, out = [], os.path.realpath(out)
    for source in sources:
        base, names = _names(source)
        found = [Place(Path(base, name), name) for name in sorted(names) if is_image(name)]
        if _is_below(out, os.path.realpath(base)):
            found = [place for place in found if not _is_below(os.path.realpath(place.path), out)]
        if not found:
            raise QuacError(f"{source}: holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}) to convert")
        places += found
    return places


def _is_below(path, folder):
    return path.startswith(os.path.join(folder, ""))


def _names(source):
    """The folder of a source, and the paths below it."""
    path = Path(source)
    if path.is_dir():
        return path, list(files_below(source, ""))
    if path.exists() or not glob.has_magic(source):
        if not path.exists():
            raise QuacError(f"{source}: does not exist; correct the path")
        return path.parent, [path.name]
    fixed = []
    for part in path.parts[:-1]:
        if glob.has_magic(part):
            break
        fixed.append(part)
    base = Path(*fixed)
    found = [file for file in glob.glob(source, recursive=True) if os.path.isfile(file)]
    return base, [os.path.relpath(file, base) for file in found]


def results_of(places, targets, tries, out):
    """Where results go: {(place, target): a path per try}.

    Below `out` a result has the name of its query; of several targets each has a folder, of several tries each a number
    before the ending. Raises QuacError where a result would take the place of a source, or of another result.
    """
    results, of_path = {}, {}
    sources = {_identity(place.path) for place in places}
    for place in places:
        for target in targets:
            folder = Path(out, target.replace(os.sep, "-")) if len(targets) > 1 else Path(out)
            plain = folder / place.name
            numbered = [plain.with_name(f"{plain.stem}_try{number:02d}{plain.suffix}") for number in range(tries)]
            results[place, target] = paths = numbered if tries > 1 else [plain]
            for path in paths:
                if path in of_path and of_path[path] != (place.path, target):
                    raise QuacError(
                        f"{path}: would be written for {of_path[path][0]} and for {place.path}; convert them into "
                        "two folders"
                    )
                of_path[path] = (place.path, target)
                if path.exists() and _identity(path) in sources:
                    raise QuacError(f"{path}: is a source, and would be overwritten; choose another folder for --out")
    return results


def _identity(path):
    """What two names of one file have in common; of a file that is not there, nothing."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
