"""Which files are converted, and where their results go."""

import glob
import os
from dataclasses import dataclass
from pathlib import Path

from quac.data.folders import IMAGE_SUFFIXES, files_below, is_image
from quac.system.errors import QuacError


@dataclass(frozen=True)
class Place:
    """A file to convert."""

    path: Path
    name: str  # below the folder of the results


def list_places(sources, *others):
    """The images of sources, in order of their names.

    Args:
        sources: files; folders, with all images at any depth; globs, `**` for any depth.
        others: folders of results or masks; where they lie inside a source, what they hold is not converted.

    A file's name is its path below its source: a folder, or the part of a glob before the first wildcard. Raises
    QuacError where a source holds no images.
    """
    places, others = [], [os.path.realpath(other) for other in others]
    for source in sources:
        base, names = _names(source)
        found = [Place(Path(base, name), name) for name in sorted(names) if is_image(name)]
        for other in others:
            if _is_below(other, os.path.realpath(base)):
                found = [place for place in found if not _is_below(os.path.realpath(place.path), other)]
        if not found:
            raise QuacError(f"{source}: holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}) to convert")
        places += found
    return places


def _is_below(path, folder):
    return path.startswith(os.path.join(folder, ""))


def _names(source):
    """The folder of a source, and the paths below it."""
    if not source:
        raise QuacError("a source is empty; name an image, a folder or a glob")
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


def masks_of(places, folder):
    """The masks of images, {place: path}: files at the same paths below a folder, whatever their endings.

    Raises QuacError where no image has one, or one has two.
    """
    if not os.path.isdir(folder):
        raise QuacError(f"--masks: {folder} is no folder; give one that holds masks under the names of their images")
    of_stem, masks = {}, {}
    for name in filter(is_image, sorted(files_below(folder, ""))):
        of_stem.setdefault(os.path.splitext(name)[0], []).append(Path(folder, name))
    sources = {_identity(place.path) for place in places}
    for place in places:
        found = of_stem.get(os.path.splitext(place.name)[0], [])
        found = [path for path in found if _identity(path) not in sources]
        if len(found) > 1:
            raise QuacError(f"--masks: {found[0]} and {found[1]} are both of {place.path}; remove one")
        if found:
            masks[place] = found[0]
    if not masks:
        raise QuacError(
            f"--masks: {folder} holds none of the {len(places)} image(s), such as "
            f"{Path(folder, places[0].name).with_suffix('.png')}; give masks the names of their images"
        )
    return masks


def results_of(places, targets, tries, out, others=()):
    """Where results go: {(place, target): a path per try}.

    Below `out` a result has the name of its query; of several targets each has a folder, of several tries each a number
    before the ending. Raises QuacError where a result would take the place of a source, of one of `others` (masks, a
    reference), or of another result.
    """
    results, of_path = {}, {}
    sources = {_identity(path) for path in (*(place.path for place in places), *others)}
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
                    raise QuacError(f"{path}: is an input, and would be overwritten; choose another folder for --out")
    return results


def _identity(path):
    """What two names of one file have in common; of a file that is not there, nothing."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
