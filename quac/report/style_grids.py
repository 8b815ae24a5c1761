"""Grids of styles for the report: a few queries, converted by the same styles of each class."""

from collections.abc import Callable
from functools import partial
from typing import Any

from quac.report.pictures import Picture, Pictures, fit_pictures
from quac.report.schema import StyleGrids

MAX_BYTES = 4_000_000  # of all pictures together
SIDES = (96, 64, 32)  # of a picture, at most


def show_grids(
    made: dict[str, Any], query: Callable[..., str], reference: Callable[..., str], generated: Callable[..., str]
) -> tuple[StyleGrids, Pictures]:
    """The grids of the queries whose pictures fit into MAX_BYTES, made smaller if not all would, and their pictures.

    Args:
        made: see `quac.evaluation.style_grids.make_grids`, and `references`, the split of the reference images.
        query, reference: called with (path, largest side), give a picture.
        generated: called with (style kind, target, number of the query, number of the style, largest side), gives a
            picture.

    Returns:
        `(grids, pictures)`. Pictures: `queries`, a list; `references`, {path: data URI}; `generated`, for each grid a
        list of the lists of each row.
    """
    grids = made["grids"]
    references = (path for grid in grids if grid["kind"] == "reference" for path in grid["styles"])
    heads: dict[Any, Picture] = {path: partial(reference, path) for path in references}
    groups = [heads | {number: partial(query, shown["query"])} for number, shown in enumerate(made["queries"])]
    for grid in grids:
        for row in grid["rows"]:
            groups[row["query"]] |= {place: partial(generated, *place) for place in _places(grid, row)}
    count, side, pictures = fit_pictures(groups, SIDES, MAX_BYTES, needed=len(groups))
    grids = [{**grid, "rows": [row for row in grid["rows"] if row["query"] < count]} for grid in grids]
    shown = made | {"queries": made["queries"][:count], "grids": grids, "chosen": len(groups), "side": side}
    return StyleGrids.model_validate(shown), {
        "queries": [pictures[number] for number in range(count)],
        "references": {path: pictures[path] for path in heads},
        "generated": [[[pictures[place] for place in _places(grid, row)] for row in grid["rows"]] for grid in grids],
    }


def _places(grid: dict[str, Any], row: dict[str, Any]) -> list[tuple[str, str, int, int]]:
    """What `generated` is called with for the images of a row."""
    return [(grid["kind"], grid["target"], row["query"], style) for style in range(len(grid["styles"]))]
