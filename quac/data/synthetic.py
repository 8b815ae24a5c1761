"""Synthetic images with known truth: cells whose nucleus alone makes their class.

Whatever a class does not determine (position, size, direction, hue, background, illumination, debris, noise) is drawn
from the same distributions for all classes, so it tells nothing about them.
"""

import colorsys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from quac.data.demo import SHARES
from quac.data.images import write_png
from quac.system.errors import QuacError
from quac.system.files import write_json
from quac.system.keyed_random import generator_of

RADIUS = (0.12, 0.15)  # of a round nucleus, relative to the side of the image: least, most
REACH = 1.6  # radii from its centre that a nucleus of any class stays within
MIN_IMAGES = 10  # of a class, so that every split has some


@dataclass(frozen=True)
class Nucleus:
    """What a class determines. Lengths are relative to the radius of the round nucleus."""

    elongation: float = 1.0  # longer axis / shorter axis; the area stays the same
    scale: float = 1.0
    spots: int = 0  # dark discs in it
    hole: float = 0.0  # radius of a hole in its centre
    stripes: float = 0.0  # period of dark stripes across it; 0: none


CLASSES = {
    "round": Nucleus(),
    "long": Nucleus(elongation=2.4),
    "spotted": Nucleus(spots=4),
    "ring": Nucleus(hole=0.5),
    "small": Nucleus(scale=0.65),
    "striped": Nucleus(stripes=0.55),
}


@dataclass(frozen=True)
class Nuisance:
    """What tells nothing about the class of an image. Lengths are in pixels, angles in radians, hues from 0 to 1."""

    x: float  # centre of the nucleus: columns from the left
    y: float  # rows from the top
    radius: float  # of the round nucleus
    angle: float  # of its longer axis, clockwise from the columns' direction
    hue: float  # of nucleus and debris
    body_hue: float
    body_x: float  # centre of the cell, from that of the nucleus
    body_y: float
    body_radius: float
    background: float  # intensity
    illumination: float  # factor of all intensities
    gradient: float  # relative change of the illumination from the centre to a side
    gradient_angle: float
    noise: float  # standard deviation, of intensities from 0 to 1
    debris: tuple[tuple[float, float, float], ...]  # x, y and radius of each

    @classmethod
    def draw(cls, rng: np.random.Generator, size: int) -> "Nuisance":
        """Drawn for an image of `size` x `size` pixels."""
        radius = size * rng.uniform(*RADIUS)
        x, y = rng.uniform(REACH * radius + 1, size - REACH * radius - 1, 2)
        body_x, body_y = rng.uniform(-0.3, 0.3, 2) * radius
        debris: list[tuple[float, float, float]] = []
        for _ in range(rng.integers(4)):
            part = radius * rng.uniform(0.2, 0.35)
            angle, distance = rng.uniform(0, 2 * np.pi), REACH * radius + part + 1 + radius * rng.uniform(0, 2)
            debris.append((x + distance * np.cos(angle), y + distance * np.sin(angle), part))
        return cls(
            x=x,
            y=y,
            radius=radius,
            angle=rng.uniform(0, np.pi),
            hue=rng.uniform(),
            body_hue=rng.uniform(),
            body_x=body_x,
            body_y=body_y,
            body_radius=radius * rng.uniform(2, 2.6),
            background=rng.uniform(0.06, 0.18),
            illumination=rng.uniform(0.7, 1.1),
            gradient=rng.uniform(0.2, 0.6),
            gradient_angle=rng.uniform(0, 2 * np.pi),
            noise=rng.uniform(0.01, 0.03),
            debris=tuple(debris),
        )


def draw_cell(nuisance: Nuisance, nucleus: Nucleus, noise: np.ndarray) -> np.ndarray:
    """The image of a cell: uint8 (size, size, 3); `noise`: (size, size, 3), standard normal.

    Images with equal nuisance and noise are equal outside of `truth`, whatever their nucleus.
    """
    size = len(noise)
    x, y = _coordinates(nuisance, size)
    image = np.full((size, size, 3), nuisance.background)
    body = _disc(x - nuisance.body_x, y - nuisance.body_y, nuisance.body_radius)
    image += (0.14 * body)[:, :, None] * _colour(nuisance.body_hue)
    for debris_x, debris_y, radius in nuisance.debris:
        image += (0.15 * _disc(x + nuisance.x - debris_x, y + nuisance.y - debris_y, radius))[:, :, None] * _colour(
            nuisance.hue
        )
    share = _coverage(x, y, nuisance, nucleus)[:, :, None]
    image = image * (1 - share) + 0.8 * _colour(nuisance.hue) * share
    # Relative to the centre of the image, from -1 to 1.
    across, down = ((2 * (values + centre) / size - 1) for values, centre in ((x, nuisance.x), (y, nuisance.y)))
    slope = across * np.cos(nuisance.gradient_angle) + down * np.sin(nuisance.gradient_angle)
    image *= nuisance.illumination * (1 + nuisance.gradient * slope)[:, :, None]
    return ((image + nuisance.noise * noise).clip(0, 1) * 255 + 0.5).astype(np.uint8)


def truth(nuisance: Nuisance, size: int) -> np.ndarray:
    """The mask of what may change between classes: uint8 (size, size, 1), 255 where a nucleus of any may lie."""
    x, y = _coordinates(nuisance, size)
    return np.where(np.hypot(x, y) <= REACH * nuisance.radius + 1, 255, 0).astype(np.uint8)[:, :, None]


def _coordinates(nuisance: Nuisance, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows (size, size) of the centres of the pixels, from that of the nucleus."""
    rows, columns = np.mgrid[:size, :size] + 0.5
    return columns - nuisance.x, rows - nuisance.y


def _coverage(x: np.ndarray, y: np.ndarray, nuisance: Nuisance, nucleus: Nucleus) -> np.ndarray:
    """How much of each pixel is nucleus, from 0 to 1."""
    cos, sin, radius = np.cos(nuisance.angle), np.sin(nuisance.angle), nuisance.radius
    along, across = x * cos + y * sin, y * cos - x * sin
    longer, stretch = nucleus.scale * radius * np.sqrt(nucleus.elongation), nucleus.elongation
    share = _disc(along / stretch, across, longer / stretch)
    for spot in range(nucleus.spots):
        angle = 2 * np.pi * spot / nucleus.spots
        share *= 1 - 0.8 * _disc(
            along - 0.55 * radius * np.cos(angle), across - 0.55 * radius * np.sin(angle), radius / 4
        )
    share *= 1 - _disc(x, y, nucleus.hole * radius)
    if nucleus.stripes:
        share *= 0.7 + 0.3 * np.cos(2 * np.pi * along / (nucleus.stripes * radius))
    return share


def _disc(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """How much of each pixel is within a disc, from 0 to 1; exact to the width of its antialiased border."""
    return (radius - np.hypot(x, y) + 0.5).clip(0, 1) if radius else np.zeros_like(x)


def _colour(hue: float) -> np.ndarray:
    return np.array(colorsys.hsv_to_rgb(hue, 0.4, 1.0))


def write_synthetic(out: Path, classes: int, size: int, images: int, seed: int) -> None:
    """Write images of the first so many of CLASSES, with their truth.

    Files below `out`: `{train,validation,test}/<class>/<number>.png`, images of `size` x `size` in colour;
    `masks/<the same path>`, see `truth`; `parameters/<class>.json`, what each image was drawn from; `synthetic.json`,
    last: what makes each class, and the arguments. Equal arguments give equal files.

    Args:
        images: of each class, in all splits.

    Raises QuacError if there are other files below `out`.
    """
    chosen = dict(list(CLASSES.items())[:classes])
    files = {name: list(_files(name, images)) for name in chosen}
    _refuse_others(out, [file for of_class in files.values() for _, file in of_class], list(chosen))
    for name, nucleus in chosen.items():
        records = []
        for number, (split, file) in enumerate(files[name]):
            rng = generator_of("synthetic", seed, name, number)
            nuisance = Nuisance.draw(rng, size)
            write_png(out / file, draw_cell(nuisance, nucleus, rng.standard_normal((size, size, 3))))
            write_png(out / "masks" / file, truth(nuisance, size))
            records.append(
                {"path": str(file), "split": split, "nucleus": asdict(nucleus), "nuisance": asdict(nuisance)}
            )
        write_json(out / f"parameters/{name}.json", records)
    about = {"size": size, "images": images, "seed": seed}
    write_json(out / "synthetic.json", {**about, "classes": {name: asdict(chosen[name]) for name in chosen}})


def _files(name: str, images: int) -> Iterator[tuple[str, PurePosixPath]]:
    """Split and path of each image of a class."""
    ends = np.cumsum([round(share * images) for share in SHARES.values()])[:-1]
    for number in range(images):
        split = list(SHARES)[int(np.searchsorted(ends, number, side="right"))]
        yield split, PurePosixPath(split, name, f"{number:04d}.png")


def _refuse_others(out: Path, files: list[PurePosixPath], classes: list[str]) -> None:
    """Raise QuacError if a folder has files that would not be written: they would be taken for images of the set."""
    own = {*files, *(PurePosixPath("masks") / file for file in files), PurePosixPath("synthetic.json")}
    own |= {PurePosixPath(f"parameters/{name}.json") for name in classes}
    found = (PurePosixPath(path.relative_to(out).as_posix()) for path in sorted(out.rglob("*")) if path.is_file())
    if other := next((path for path in found if path not in own and path.suffix != ".part"), None):
        raise QuacError(f"{out}: has other files, such as {other}; choose another folder, or delete this one")
