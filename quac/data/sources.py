"""Where the images of a split come from: a folder of classes, a manifest, or several folders per class."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass

from quac.data.folders import DigestCache, class_folders, files_below, files_in, is_image
from quac.data.manifest import SPLIT_NAMES, is_manifest, read_manifest
from quac.system.errors import QuacError, listing
from quac.system.files import digest_of


@dataclass(frozen=True)
class Listing:
    """The files of a split. All paths but absolute ones of a manifest are relative to `base`.

    `source` says where they come from, for messages. `classes` are names in
    their order. `images` has a dict per image, sorted by the position of its
    class and path: `path`, `class`, `group` and `mask` ("" where there is
    none), `weight` (its share of its class's draws; the mean of a class is 1),
    and `manifest.<column>` (text) for each further column of a manifest.
    `strays` are paths of files that are not used, `files` of those that belong
    to the split besides its images; both are sorted.
    """

    source: str
    base: str
    classes: list
    images: list
    strays: list
    files: list


def list_source(source, split, layout="split_first", classes=None):
    """The images of a split. No image is opened: whether a manifest's exist is for the index to find.

    Args:
        source: a folder, a manifest (.csv, .json, .yaml, .yml), or
            {class: [{"path": folder, "weight": number}, ...]}.
        split: train, validation or test; None means all images of a manifest, and of a folder.
        layout: how a folder is laid out. split_first: `<source>/<class>/**` is
            the split. class_first: `<source>/<class>/` holds the training
            images, and those of the others in folders `validation` (or `val`)
            and `test`; without the former, `test` is the validation split too.
        classes: names in their order; None means all, sorted.
    """
    if isinstance(source, Mapping):
        return _list_mapping(source, classes)
    source = os.fspath(source)
    if not source:
        raise QuacError("the source is empty; name a folder or a list of images")
    if is_manifest(source):
        return _list_manifest(source, split, classes)
    return _list_folder(source, split, layout, classes)


def names_masks(source, split, layout="split_first", classes=None):
    """Whether a source names a mask for any image of a split. The arguments are those of `list_source`."""
    if isinstance(source, Mapping) or not is_manifest(source):
        return False
    return any(image["mask"] for image in list_source(source, split, layout, classes).images)


def source_digest(source, split, layout="split_first", classes=None, cache=None):
    """SHA-256 (hex) over all that a split's listing says and the bytes of all its files.

    The first arguments are those of `list_source`; `cache` is as in `DigestCache`.
    """
    found = list_source(source, split, layout, classes)
    base = os.path.abspath(found.base)
    with DigestCache(cache) as file_digest:
        images = [[*image.values(), file_digest(os.path.join(base, image["path"]))] for image in found.images]
        others = [[path, file_digest(os.path.join(base, path))] for path in [*found.strays, *found.files]]
    columns = list(found.images[0]) if found.images else []
    return digest_of([found.classes, columns, images, others])


def _image(path, name, weight=1.0):
    return {"path": path, "class": name, "group": "", "mask": "", "weight": weight}


def _listing(source, base, classes, images, strays=(), files=()):
    odd = [name for name in classes if name in ("", ".", "..") or "/" in name or "\0" in name]
    if odd:
        raise QuacError(f"{source}: {odd[0]!r} cannot be the name of a class, since folders are named so; rename it")
    position = {name: place for place, name in enumerate(classes)}
    images = sorted(images, key=lambda image: (position[image["class"]], image["path"]))
    return Listing(source, base, list(classes), images, sorted(strays), sorted(files))


def _list_folder(source, split, layout, classes):
    present = class_folders(source)
    chosen = present if classes is None else [name for name in classes if name in present]
    images, strays = [], files_in(source)
    for name, folder, without in _places(source, chosen, split, layout):
        for path in files_below(source, folder, without):
            if is_image(path):
                images.append(_image(path, name))
            else:
                strays.append(path)
    return _listing(source, source, present if classes is None else classes, images, strays)


def _places(source, classes, split, layout):
    """Where a split lies in a folder: (class, folder relative to source, names of folders in it that are left out)."""
    if layout == "split_first" or split is None:
        return [(name, name, ()) for name in classes]
    if split == "train":
        return [(name, name, _inner_splits(source, name, SPLIT_NAMES.keys() - {"train"})) for name in classes]
    choices = [("validation", "val"), ("test",)] if split == "validation" else [("test",)]
    for choice in choices:
        places = [
            (name, os.path.join(name, folder), ()) for name in classes for folder in _inner_splits(source, name, choice)
        ]
        if places:
            return places
    wanted = "validation, val or test" if split == "validation" else "test"
    raise QuacError(
        f"{source}: no class folder holds a folder {wanted} for the {split} split; add it, or correct the layout"
    )


def _inner_splits(source, name, wanted):
    """The folders of a class folder that are called as splits, in any letter case."""
    with os.scandir(os.path.join(source, name)) as entries:
        return sorted(entry.name for entry in entries if entry.name.lower() in wanted and entry.is_dir())


def _list_manifest(source, split, classes):
    present, images = read_manifest(source, split)
    names = present if classes is None else classes
    images = [image | {"weight": 1.0} for image in images if image["class"] in names]
    masks = {image["mask"] for image in images} - {""}
    return _listing(source, os.path.dirname(source) or ".", names, images, files=masks)


def _list_mapping(source, classes):
    found, faults, taken = {}, [], {}
    for name, folders in source.items():
        for entry in folders:
            folder, weight = entry["path"], entry.get("weight", 1.0)
            real = os.path.realpath(folder)
            if not 0 < weight < math.inf:
                faults.append(f"{name}: {folder}: weight is {weight}, but must be a number above 0")
            if not os.path.isdir(folder):
                what = "is not a folder" if os.path.exists(folder) else "does not exist"
                faults.append(f"{name}: {folder}: {what}; correct the path")
                continue
            for other, place in taken.items():
                if real == other:
                    faults.append(f"{name}: {folder}: is named twice (as {place}); name it once")
                elif os.path.commonpath([real, other]) in (real, other):
                    faults.append(f"{name}: {folder}: overlaps with {place}; name folders that lie side by side")
            taken.setdefault(real, f"{name}: {folder}")
            found.setdefault(name, []).append((folder, weight))
    if faults:
        raise QuacError("the folders of the classes have faults:\n" + listing(faults, 30))
    if not found:
        raise QuacError("no class names a folder; name at least one for each class")
    folders = [folder for places in found.values() for folder, _ in places]
    if any(os.path.isabs(folder) for folder in folders):
        folders = [os.path.abspath(folder) for folder in folders]
    base = os.path.commonpath([os.path.normpath(folder) for folder in folders]) or "."
    classes = sorted(found) if classes is None else classes
    images, strays = [], []
    for name in classes:
        weighted = []
        for folder, weight in found.get(name, []):
            inner = os.path.relpath(folder, base)
            paths = list(files_below(base, "" if inner == "." else inner))
            inside = [path for path in paths if is_image(path)]
            if not inside:
                raise QuacError(f"{name}: {folder}: holds no images; correct the path, or leave the folder out")
            strays += [path for path in paths if not is_image(path)]
            weighted.append((inside, weight))
        count = sum(len(inside) for inside, _ in weighted)
        total = sum(weight for _, weight in weighted)
        for inside, weight in weighted:
            images += [_image(path, name, weight=weight / total * count / len(inside)) for path in inside]
    return _listing("data.sources", base, classes, images, strays)
