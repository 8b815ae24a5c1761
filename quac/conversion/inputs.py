"""The inputs of `quac convert`: which files are converted, how each becomes a query, and where its results go."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from quac.config.choices import split_mode, without_random_crop
from quac.data.batches import depth_of, to_range
from quac.data.decoded import Decoded, ImageError
from quac.data.folders import IMAGE_SUFFIXES, files_below, is_image, is_never_data, slash_hint
from quac.data.images import encode, read_image, resize, to_8_bit, to_channels, to_depth, to_image
from quac.data.masks import read_mask, soften
from quac.data.preprocess import Sizing, center_crop, crop_of, scaled_size
from quac.models.starganv2.checkpoint_info import CheckpointInfo
from quac.system.console import log
from quac.system.errors import QuacError, bullet_list
from quac.system.file_names import unfit_names
from quac.system.files import file_sha256

if TYPE_CHECKING:
    from quac.conversion.network import ConversionNetwork

Results = dict[tuple["InputImage", str], list[Path]]  # of each image and target class: a path per try


@dataclass(frozen=True)
class InputImage:
    """A file to convert."""

    path: Path
    name: str  # below the folder of the results


def list_images(sources: Iterable[str], *others: str | Path) -> list[InputImage]:
    """The images of sources, in order of their names.

    Args:
        sources: files; folders, with all images at any depth; globs, `**` for any depth.
        others: folders of results or masks; if they lie inside a source, their files are not converted.

    A file's name is its path below its source: a folder, or the part of a glob before the first wildcard. Files that
    are not images are logged. Raises QuacError if a source has no images.
    """
    images, folders = [], [os.path.realpath(other) for other in others]
    strays: list[Path] = []
    passed_over = Counter[str]()
    for source in sources:
        base, names = _names(source, passed_over)
        files = [InputImage(Path(base, name), name) for name in sorted(names)]
        for folder in folders:
            if _is_below(folder, os.path.realpath(base)):
                files = [file for file in files if not _is_below(os.path.realpath(file.path), folder)]
        listed = [file for file in files if is_image(file.name)]
        unused = [file.path for file in files if not is_image(file.name)]
        if not listed:
            found = f", but {_by_ending(unused)}" if unused else ""
            raise QuacError(f"{source}: holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}) to convert{found}")
        images += listed
        strays += unused
    if strays:
        listed_strays = bullet_list([*dict.fromkeys(strays)])
        log.warning("not named as images, and not converted: %s\n%s", _by_ending(strays), listed_strays)
    if passed_over:
        counts = ", ".join(f"{count} x {name}" for name, count in sorted(passed_over.items()))
        log.info("passed over, because these names are never those of data: %s", counts)
    return images


def _by_ending(paths: Sequence[Path]) -> str:
    """How many files of each ending there are."""
    counts = Counter(path.suffix.lower() or "no ending" for path in dict.fromkeys(paths))
    return ", ".join(f"{count} file(s) with {ending}" for ending, count in counts.most_common())


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(os.path.join(folder, ""))


def _names(source: str, passed_over: Counter[str]) -> tuple[Path, list[str]]:
    """The folder of a source, and the paths below it; names that are never data are counted in `passed_over`."""
    if not source:
        raise QuacError("A source is empty. Name an image, a folder or a glob.")
    path = Path(source)
    if path.is_dir():
        return path, list(files_below(source, "", passed_over=passed_over))
    if path.exists() or not glob.has_magic(source):
        if not path.exists():
            raise QuacError(f"{source}: does not exist. Check the path{slash_hint(source)}.")
        return path.parent, [path.name]
    base = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts[:-1]))
    files = (file for file in glob.glob(source, recursive=True) if os.path.isfile(file))
    names = []
    for name in (os.path.relpath(file, base) for file in files):
        system = next(filter(is_never_data, Path(name).parts), None)
        passed_over.update([system] if system else [])
        names += [] if system else [name]
    return base, names


def match_masks(images: Sequence[InputImage], folder: str | Path) -> dict[InputImage, Path]:
    """The masks of images: files at the same paths below a folder, with any ending.

    Raises QuacError if no image has one, or one has two.
    """
    if not os.path.isdir(folder):
        raise QuacError(
            f"--masks: {folder} is not a folder. Give one that holds masks under the names of their images."
        )
    by_stem: dict[str, list[Path]] = {}
    masks: dict[InputImage, Path] = {}
    names, stems = sorted(files_below(folder, "")), {os.path.splitext(image.name)[0] for image in images}
    unused = [Path(folder, name) for name in names if not is_image(name) and os.path.splitext(name)[0] in stems]
    if unused:
        log.warning("not named as images, and no masks: %s\n%s", _by_ending(unused), bullet_list(unused))
    for name in filter(is_image, names):
        by_stem.setdefault(os.path.splitext(name)[0], []).append(Path(folder, name))
    sources = {_identity(image.path) for image in images}
    for image in images:
        paths = by_stem.get(os.path.splitext(image.name)[0], [])
        paths = [path for path in paths if _identity(path) not in sources]
        if len(paths) > 1:
            raise QuacError(f"--masks: {paths[0]} and {paths[1]} are both of {image.path}. Remove one.")
        if paths:
            masks[image] = paths[0]
    if not masks:
        raise QuacError(
            f"--masks: {folder} holds no mask for any of the {len(images)} image(s). Give masks the names of their "
            f"images, such as {Path(folder, images[0].name).with_suffix('.png')}."
        )
    return masks


def result_paths(
    images: Sequence[InputImage], targets: Sequence[str], tries: int, out: str | Path, others: Iterable[Path] = ()
) -> Results:
    """Where results go.

    Below `out` a result has the name of its query; each of several targets has a folder, each of several tries a number
    before the ending. Raises QuacError if a result would lie outside of `out`, cannot be written under its name, or
    would replace a source, one of `others` (masks, a reference), or another result.
    """
    results: Results = {}
    top = os.path.abspath(out)
    taken: dict[Path, tuple[Path, str]] = {}
    real_folder = lru_cache(os.path.realpath)  # folders on the way may not exist yet, as `new` in `photos/new/..`
    sources = {_identity(path) for path in (*(image.path for image in images), *others)}
    for image in images:
        for target in targets:
            folder = Path(out, target.replace(os.sep, "-")) if len(targets) > 1 else Path(out)
            plain = folder / image.name
            numbered = [plain.with_name(f"{plain.stem}_try{number:02d}{plain.suffix}") for number in range(tries)]
            results[image, target] = paths = numbered if tries > 1 else [plain]
            for path in paths:
                if not _is_below(os.path.abspath(path), top):  # by a class, or a name below a glob, that is ".."
                    raise QuacError(
                        f"{path}: would be written outside of {out}, for {image.path} and the class {target!r}. "
                        "Name the images without '..', and use a checkpoint whose classes are names of folders."
                    )
                if path in taken and taken[path] != (image.path, target):
                    both = f"for {taken[path][0]} and for {image.path}"
                    raise QuacError(f"{path}: would be written {both}. Convert them into two folders.")
                taken[path] = (image.path, target)
                real = Path(real_folder(path.parent), path.name)
                if (identity := _identity(real)) and identity in sources:
                    raise QuacError(f"{path}: is an input, and would be overwritten. Choose another folder for --out.")
    shown = {os.path.relpath(os.path.abspath(path), top): path for path in taken}
    for name, fault in unfit_names(out, shown).items():
        raise QuacError(f"{shown[name]}: the result of {taken[shown[name]][0]} {fault}")
    return results


def _identity(path: Path) -> tuple[int, int] | None:
    """What all names of one file share; None if it does not exist."""
    try:
        status = os.stat(path)
        return status.st_dev, status.st_ino
    except OSError:
        return None


@dataclass(frozen=True)
class Query:
    """A query image: as its file holds it, and as the networks take it."""

    decoded: Decoded
    pixels: np.ndarray  # (height, width, 1 or 3), see `quac.data.images.read_image`
    x: torch.Tensor  # (1, C, H, W) in the networks' range, of a size that they take
    digest: str  # SHA-256 of the file, hex
    mask: np.ndarray | None  # (height, width, 1) uint16: the part that is converted; None: all
    inside: torch.Tensor  # (1, 1, H, W), the mask of `x`: 1 inside

    @property
    def area(self) -> int:
        """Its number of pixels."""
        return self.pixels.shape[0] * self.pixels.shape[1]

    @property
    def depth(self) -> torch.dtype:
        """Of the intensities that its result has: 8 bits, or 16 for a deeper file and for one with a range."""
        return depth_of(self.pixels.dtype)

    def restore(self, image: np.ndarray) -> np.ndarray:
        """A generated image (H, W, C) -> pixels of the query's size, both uint16 that span [0, 1].

        Outside of the query's mask they are the query's; a query in colour gives a result in colour.
        """
        pixels = resize(image, *self.pixels.shape[1::-1])
        if self.mask is None:
            return pixels
        channels = max(self.pixels.shape[2], pixels.shape[2])
        both = to_depth(self.pixels, np.uint16), pixels
        query, pixels = (to_channels(each, channels).astype(np.float64) for each in both)
        return (query + (pixels - query) * (self.mask / 65535) + 0.5).astype(np.uint16)

    def write(self, path: Path, image: np.ndarray, network: "ConversionNetwork") -> None:
        """Write a generated image in the size, the format and the depth of the query."""
        outside = None if self.mask is None else self.mask[:, :, 0] == 0
        encode(path, self.restore(image), self.decoded, network.description.range, outside)

    def preview(self, image: np.ndarray) -> Image.Image:
        """A generated image in the size of the query, with 8 bits, for display."""
        return to_image(to_8_bit(self.restore(image)))


def read_query(
    path: str | Path, network: "ConversionNetwork", native: bool = False, mask: Path | None = None, mask_edge: int = 0
) -> Query:
    """Read a query image.

    Args:
        native: keep its size; otherwise it is scaled as the images of the training were, but not cropped.
        mask: file of the mask inside of which it is converted. None: it is converted as a whole.
        mask_edge: see `quac.data.masks.soften`, in pixels of the query.

    Either way sides are rounded to what the networks take. Raises ImageError as `quac.data.images.read_image`.
    """
    info = network.description
    scaling = None if native else split_mode(info.preprocess)[0]
    pixels, decoded = read_image(path, info)
    x = _tensor(_scaled(pixels, scaling or "none", info), network)
    inside, softened = torch.ones_like(x[:, :1]), None
    if mask:
        softened = _mask(mask, pixels, mask_edge, info)
        scaled = resize(softened, x.shape[3], x.shape[2]).transpose(2, 0, 1)[None]
        inside = to_range(torch.from_numpy(scaled.copy()), 1, 0).to(network.device)
    return Query(decoded, pixels, x, file_sha256(path), softened, inside)


def _mask(path: Path, pixels: np.ndarray, edge: int, info: CheckpointInfo) -> np.ndarray:
    height, width = pixels.shape[:2]
    try:
        return soften(resize(read_mask(path, width, height, info), width, height), edge)
    except ImageError as error:
        raise ImageError(f"its mask {path} {error}") from None


def read_reference(path: str | Path, network: "ConversionNetwork") -> torch.Tensor:
    """A reference image, brought to its size as for the training: (1, C, height, width) in the networks' range.

    Raises QuacError if the file cannot be used.
    """
    info = network.description
    mode = without_random_crop(info.preprocess)
    try:
        pixels = _scaled(read_image(path, info)[0], mode, info)
    except ImageError as error:
        raise QuacError(f"--reference: {path} {error}") from None
    if crop_of(mode):
        pixels = center_crop(pixels, min(*pixels.shape[:2], info.img_size))
    return _tensor(pixels, network)


def _scaled(pixels: np.ndarray, mode: str, info: CheckpointInfo) -> np.ndarray:
    sizing = Sizing(mode, info.load_size, info.img_size)
    width, height = scaled_size(pixels.shape[1], pixels.shape[0], sizing)
    if width * height > info.max_pixels:
        raise ImageError(f"would be scaled to {width} x {height} pixels, more than {info.max_pixels:,}. Resize it.")
    return resize(to_channels(pixels, info.channels), width, height)


def _tensor(pixels: np.ndarray, network: "ConversionNetwork") -> torch.Tensor:
    images = torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy())  # Pillow's memory is read-only
    return to_range(images, network.description.scale, network.description.shift).to(network.device)
