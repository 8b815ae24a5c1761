"""The explorer: one page with every explanation of a run, to filter, sort and look at."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_float_dtype, is_integer_dtype

from quac.data.parallel import map_threads
from quac.data.store import evenly_spaced
from quac.report.explained_conversions import ExplainedConversions
from quac.report.page import TEMPLATES
from quac.report.sprites import Sprite, sprite_of
from quac.system.console import log, progress
from quac.system.errors import QuacError
from quac.system.files import write_text

MB = 1_000_000
CURVE_POINTS = 21  # of the 101 mask sizes
MAX_SHARE = 5000  # bytes of the page that an explanation takes at most, on average
# (Longer side in pixels, quality of WebP) of the pictures: the first with which every explanation fits, or the last.
SETTINGS = ((256, 80), (128, 80), (64, 80), (64, 50))
SAMPLE = 12  # sprites by which that is decided
# Columns of the table that differ between the methods, besides those of the counterfactual.
OF_METHOD = ("mask_size", "threshold", "quac_score", "best")
APART = ("digest", "method", "curve")  # columns that the page does not have, or in another form

Part = tuple[ExplainedConversions, np.ndarray]  # rows of the conversions that are in a sprite


def write_explorer(tables: Sequence[Path], split: str, report: str, out: Path, max_mb: float, threads: int = 1) -> None:
    """Write the page, of at most `max_mb` megabytes: what does not fit is left out, of each pair about as much.

    Args:
        tables: of explanations, one of each style kind, see `quac.explanation.split_explanation.explain_split`.
        split: their split.
        report: the file name of the run's report, which is beside the page.
        threads: that compress the pictures.

    Raises QuacError if there are no tables, or one of them, an image or a mask is missing or damaged.
    """
    if not tables:
        raise QuacError(f"{out}: explanation.methods is [], so there are no explanations to show. Give some methods.")
    kinds = [ExplainedConversions(Path(path)) for path in tables]
    if any(kind.methods != kinds[0].methods or kind.classes != kinds[0].classes for kind in kinds):
        raise QuacError(f"{tables[0]}: has other methods or classes than {tables[-1]}. Run the workflow again.")
    starts = [(start, kind, rows) for kind in kinds for start, rows in kind.parts()]
    parts: list[Part] = [(kind, rows) for _, kind, rows in sorted(starts, key=lambda part: part[0])]
    room = max_mb * MB
    side, quality = _settings(parts, room)
    about = _about(kinds, split, Path(report).stem, side, max_mb)
    sprites = list(_sprites(parts, side, quality, room, threads))
    text = _page(about, parts, sprites, report)
    while sprites and len(text.encode()) > max_mb * MB:  # the numbers take more than was expected
        room -= len(text.encode()) - max_mb * MB
        while sprites and sum(_bytes(sprite, part) for sprite, part in zip(sprites, parts, strict=False)) > room:
            sprites.pop()
        text = _page(about, parts, sprites, report)
    write_text(out, text)
    shown = sum(len(sprite.sizes) for sprite in sprites)
    log.info("%s: %d of %d conversions, %.1f MB", out, shown, sum(map(len, kinds)), out.stat().st_size / MB)


def _settings(parts: list[Part], room: float) -> tuple[int, int]:
    """Of SETTINGS the first with which all sprites fit, by a sample of them."""
    sample = [parts[number] for number in evenly_spaced(np.arange(len(parts)), SAMPLE)] if parts else []
    explanations = sum(len(rows) * len(kind.methods) for kind, rows in parts)
    of_sample = sum(len(rows) * len(kind.methods) for kind, rows in sample)
    for setting in SETTINGS if sample else SETTINGS[:1]:
        size = sum(_bytes(_sprite(part, *setting), part) for part in sample)
        share = size / max(1, of_sample)
        if share <= MAX_SHARE and share * explanations <= room:
            break
    return setting


def _sprites(parts: list[Part], side: int, quality: int, room: float, threads: int) -> Iterator[Sprite]:
    """The sprites of the first parts: as many as fit."""
    made = map_threads(lambda part: _sprite(part, side, quality), parts, threads, ahead=lambda _: threads)
    for sprite, part in zip(progress(made, "explorer", total=len(parts)), parts, strict=False):
        room -= _bytes(sprite, part)
        if room < 0:
            return
        yield sprite


def _sprite(part: Part, side: int, quality: int) -> Sprite:
    kind, rows = part
    return sprite_of([kind.tiles(row) for row in rows], side, quality)


def _bytes(sprite: Sprite, part: Part) -> int:
    """What a sprite and the numbers of its conversions take in the page, about."""
    kind, rows = part
    names = kind.conversions.iloc[rows][["query", "file"]].map(len).to_numpy().sum()
    return len(sprite.images) + len(sprite.masks) + int(names) + len(rows) * (100 + 130 * len(kind.methods))


def _about(kinds: list[ExplainedConversions], split: str, run: str, side: int, max_mb: float) -> dict[str, Any]:
    """What the page says of the run."""
    first = kinds[0]
    totals = [
        [kind.conversions["kind"].iloc[0], source, target, len(rows)]
        for kind in kinds
        for (source, target), rows in kind.pairs().items()
    ]
    marker = "counterfactual_predicted_by_"
    named = dict.fromkeys(name for kind in kinds for name in map(str, kind.explanations) if name.startswith(marker))
    return {
        "run": run,
        "split": split,
        "classes": first.classes,
        "methods": first.methods,
        "oracles": [name.removeprefix(marker) for name in named],
        "totals": totals,
        "total": len(first.methods) * sum(map(len, kinds)),
        "side": side,
        "max_mb": max_mb,
    }


def _page(about: dict[str, Any], parts: list[Part], sprites: list[Sprite], report: str) -> str:
    """The text of the page. In its numbers conversions are ordered as in the sprites."""
    shown = parts[: len(sprites)]
    conversions = [kind.conversions.iloc[rows] for kind, rows in shown]
    methods = len(about["methods"])
    places = [(rows[:, None] * methods + np.arange(methods)).ravel() for _, rows in shown]
    explanations = [kind.explanations.iloc[at] for (kind, _), at in zip(shown, places, strict=True)]
    numbers: dict[str, Any] = {"conversions": {}, "explanations": {}, "curves": [], "tiles": []}
    if shown:
        each, every = (pd.concat(frames, ignore_index=True) for frames in (conversions, explanations))
        own = [name for name in map(str, every) if name.startswith("counterfactual_") or name in OF_METHOD]
        numbers["explanations"] = {name: _column(every[name]) for name in own}
        numbers["conversions"] = {name: _column(each[name]) for name in each if name not in (*own, *APART)}
        curves = np.stack(every["curve"].to_list())[:, :: 100 // (CURVE_POINTS - 1)]
        numbers["curves"] = (100 * curves).round().astype(int).ravel().tolist()
        numbers["tiles"] = [
            [number, column, *size] for number, sprite in enumerate(sprites) for column, size in enumerate(sprite.sizes)
        ]
    pictures = [[sprite.images, sprite.masks, *sprite.cell] for sprite in sprites]
    embedded = {
        **about,
        "points": CURVE_POINTS,
        "order": [*numbers["conversions"], "method", *numbers["explanations"]],
        **numbers,
    }
    left_out = about["total"] - methods * len(numbers["tiles"])
    variables = {**about, "report": report, "left_out": left_out, "embedded": embedded, "sprites": pictures}
    return TEMPLATES.get_template("explorer.html").render(variables)


def _column(values: pd.Series) -> Any:
    """A column as JSON: numbers of four digits, None where there is none; texts once each, and their places."""
    if is_bool_dtype(values) or is_integer_dtype(values):
        return values.tolist()
    if is_float_dtype(values):
        return [None if np.isnan(value) else value for value in values.astype(float).round(4).tolist()]
    codes, texts = pd.factorize(values.fillna("").astype(str))
    return {"texts": texts.tolist(), "codes": codes.tolist()}
