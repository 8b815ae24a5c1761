"""The files of a split: from a folder of classes, a manifest, or several folders per class."""

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from quac.data.folders import DigestCache, class_folders, files_below, files_in, is_image, slash_hint
from quac.data.manifest import ENDINGS, SPLIT_NAMES, is_manifest, read_manifest
from quac.system.errors import QuacError, bullet_list
from quac.system.files import FilePath, json_sha256

Source = FilePath | Mapping[str, Sequence[Mapping[str, Any]]]
Names = Sequence[str] | None  # of classes, in their order; None: all, sorted
Image = dict[str, Any]  # see `Listing`


@dataclass(frozen=True)
class Listing:
    """The files of a split. All paths but absolute ones of a manifest are relative to `base`.

    An image is a dict: `path`, `class`, `group` and `mask` ("" if there is none), `weight` (sampling weight; the mean
    of a class is 1), and `manifest.<column>` (text) for each further column of a manifest.
    """

    source: str  # where they come from, for messages
    base: str
    classes: list[str]  # names, in their order
    images: list[Image]  # sorted by the position of the class and by path
    strays: list[str]  # paths of files that are not used, sorted
    passed_over: dict[str, int] = field(default_factory=dict)  # names that are never data, and how often they occur


def list_source(source: Source, split: str | None, layout: str = "split_first", classes: Names = None) -> Listing:
    """The images of a split. No image is opened: the index finds out whether those of a manifest exist.

    Args:
        source: a folder, a manifest (.csv, .tsv, .json, .jsonl, .yaml, .yml), or
            {class: [{"path": folder, "weight": number}, ...]}.
        split: train, validation or test; None means all images of a manifest, and of a folder.
        layout: of a folder. split_first: `<source>/<class>/**` is the split. class_first: `<source>/<class>/` holds the
            training images, and those of the other splits in folders `validation` (or `val`) and `test`; without the
            former, `test` is the validation split too.
    """
    if isinstance(source, Mapping):
        return _list_mapping(source, classes)
    source = os.fspath(source)
    if not source:
        raise QuacError("the source is empty; name a folder or a list of images")
    if is_manifest(source):
        return _list_manifest(source, split, classes)
    if os.path.exists(source) and not os.path.isdir(source):
        endings = ", ".join(sorted(ENDINGS))
        raise QuacError(f"{source}: is not a folder, and not a list, which ends in one of {endings}; save it as one")
    return _list_folder(source, split, layout, classes)


def listing_digest(listing: Listing, cache: FilePath | None = None) -> str:
    """SHA-256 (hex) over the listing of a split and the bytes of all its files; `cache` is as in `DigestCache`."""
    base = os.path.abspath(listing.base)
    masks = sorted({image["mask"] for image in listing.images} - {""})
    with DigestCache(cache) as file_digest:
        images = [[*image.values(), file_digest(os.path.join(base, image["path"]))] for image in listing.images]
        others = [[path, file_digest(os.path.join(base, path))] for path in [*listing.strays, *masks]]
    columns = list(listing.images[0]) if listing.images else []
    return json_sha256([listing.classes, columns, images, others])


def _image(path: str, name: str, weight: float = 1.0) -> Image:
    return {"path": path, "class": name, "group": "", "mask": "", "weight": weight}


def _listing(
    source: str,
    base: str,
    classes: Sequence[str],
    images: list[Image],
    strays: Iterable[str],
    passed_over: Mapping[str, int] | None = None,
) -> Listing:
    odd = [name for name in classes if name in ("", ".", "..") or "/" in name or "\0" in name]
    if odd:
        raise QuacError(f"{source}: {odd[0]!r} cannot be the name of a class, which is a folder name, too; rename it")
    position = {name: number for number, name in enumerate(classes)}
    images = sorted(images, key=lambda image: (position[image["class"]], image["path"]))
    return Listing(source, base, list(classes), images, sorted(strays), dict(sorted((passed_over or {}).items())))


_Folder = tuple[str, str, Iterable[str]]  # class, folder relative to the source, names of folders in it to leave out


def _list_folder(source: str, split: str | None, layout: str, classes: Names) -> Listing:
    passed_over = Counter[str]()
    present = class_folders(source, passed_over)
    chosen = present if classes is None else [name for name in classes if name in present]
    images, strays = [], files_in(source)
    for name, folder, without in _folders_of(source, chosen, split, layout):
        paths = list(files_below(source, folder, without, passed_over))
        images += [_image(path, name) for path in paths if is_image(path)]
        strays += [path for path in paths if not is_image(path)]
    return _listing(source, source, present if classes is None else classes, images, strays, passed_over)


def _folders_of(source: str, classes: Sequence[str], split: str | None, layout: str) -> list[_Folder]:
    """The folders of a split."""
    if layout == "split_first" or split is None:
        return [(name, name, ()) for name in classes]
    if split == "train":
        return [(name, name, _inner_splits(source, name, SPLIT_NAMES.keys() - {"train"})) for name in classes]
    choices = [("validation", "val"), ("test",)] if split == "validation" else [("test",)]
    for choice in choices:
        folders = [(name, folder) for name in classes for folder in _inner_splits(source, name, choice)]
        if folders:
            return [(name, os.path.join(name, folder), ()) for name, folder in folders]
    wanted = "validation, val or test" if split == "validation" else "test"
    raise QuacError(
        f"{source}: no class folder holds a folder {wanted} for the {split} split; add it, or correct data.layout"
    )


def _inner_splits(source: str, name: str, wanted: Iterable[str]) -> list[str]:
    """The folders of a class folder with one of these names, in any letter case."""
    with os.scandir(os.path.join(source, name)) as entries:
        return sorted(entry.name for entry in entries if entry.name.lower() in wanted and entry.is_dir())


def _list_manifest(source: str, split: str | None, classes: Names) -> Listing:
    present, images = read_manifest(source, split)
    names = present if classes is None else classes
    chosen: list[Image] = [{**image, "weight": 1.0} for image in images if image["class"] in names]
    return _listing(source, os.path.dirname(source) or ".", names, chosen, strays=())


def _list_mapping(source: Mapping[str, Sequence[Mapping[str, Any]]], classes: Names) -> Listing:
    weighted_folders: dict[str, list[tuple[str, float]]] = {}  # by class
    taken: dict[str, str] = {}  # real path of a folder -> its class and name
    faults = []
    for name, folders in source.items():
        for entry in folders:
            folder, weight = entry["path"], entry.get("weight", 1.0)
            real = os.path.realpath(folder)
            if not 0 < weight < math.inf:
                faults.append(f"{name}: {folder}: weight is {weight}, but must be a number above 0")
            if not os.path.isdir(folder):
                what = "is not a folder" if os.path.exists(folder) else "does not exist"
                faults.append(f"{name}: {folder}: {what}; correct the path{slash_hint(folder)}")
                continue
            for other, place in taken.items():
                if real == other:
                    faults.append(f"{name}: {folder}: is named twice (as {place}); name it once")
                elif os.path.commonpath([real, other]) in (real, other):
                    faults.append(f"{name}: {folder}: overlaps with {place}; name separate folders")
            taken.setdefault(real, f"{name}: {folder}")
            weighted_folders.setdefault(name, []).append((folder, weight))
    if faults:
        raise QuacError("the folders of the classes have faults:\n" + bullet_list(faults, 30))
    if not weighted_folders:
        raise QuacError("no class names a folder; name at least one for each class")
    paths = [folder for listed in weighted_folders.values() for folder, _ in listed]
    if any(os.path.isabs(path) for path in paths):
        paths = [os.path.abspath(path) for path in paths]
    base = os.path.commonpath([os.path.normpath(path) for path in paths]) or "."
    classes = sorted(weighted_folders) if classes is None else classes
    images: list[Image] = []
    strays: list[str] = []
    passed_over = Counter[str]()
    for name in classes:
        weighted = []
        for folder, weight in weighted_folders.get(name, []):
            inner = os.path.relpath(folder, base)
            files = list(files_below(base, "" if inner == "." else inner, passed_over=passed_over))
            inside = [path for path in files if is_image(path)]
            if not inside:
                raise QuacError(f"{name}: {folder}: holds no images; correct the path, or leave the folder out")
            strays += [path for path in files if not is_image(path)]
            weighted.append((inside, weight))
        count = sum(len(inside) for inside, _ in weighted)
        total = sum(weight for _, weight in weighted)
        for inside, weight in weighted:
            images += [_image(path, name, weight=weight / total * count / len(inside)) for path in inside]
    return _listing("data.sources", base, classes, images, strays, passed_over)
