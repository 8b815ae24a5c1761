"""Grids of styles: a few queries, converted into every class by the same few styles of it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from quac.classifier.judge import Judge
from quac.conversion.engine import convert_batch, load_queries, pixels_for, require_finite
from quac.data.batches import batches_of
from quac.data.masks import Masks
from quac.data.store import Store, evenly_spaced
from quac.models.base import Converter, Styles
from quac.system.console import progress

QUERIES = 8  # of a split
STYLES = 6  # of a class and kind


@torch.inference_mode()
def make_grids(
    converter: Converter,
    judge: Judge,
    store: Store,
    styles: dict[str, Styles],
    *,
    batch_size: int,
    on_image: Callable[[np.ndarray, str, str, int, int], None],
    masks: Masks | None = None,
) -> dict[str, Any]:
    """Make a grid for each style kind and target class: a row is a query of another class, a column a style.

    Args:
        converter, judge, store, styles, batch_size, masks: see `quac.conversion.engine.convert`.
        on_image: called with (image (C, H, W) of the store's depth, style kind, target class, number of the query,
            number of the style) for each image.

    Returns:
        `queries`: their `query` (path) and `source`; `grids`: dicts of `kind`, `target`, `styles` (names of the
        latents, or paths of the references), and `rows`, for each its `query` (number), and for each style `p_target`
        and `predicted`, the classifier's verdict. Raises QuacError if a number is NaN or infinite.
    """
    rows = few_queries(store)
    grids: list[tuple[dict[str, Any], int, torch.Tensor]] = []
    for style_kind, kind_styles in styles.items():
        for label, target in enumerate(store.classes):
            drawn, names = kind_styles.shared(label, STYLES)
            grids.append(({"kind": style_kind, "target": target, "styles": names, "rows": []}, label, drawn))
    if masks:
        masks.read(rows)
    parts = list(batches_of(store, rows, batch_size))
    bar = progress(total=len(parts) * len(grids), what="converting", unit="row")
    for part in parts:
        queries = load_queries(converter, store, part, masks)
        for grid, label, drawn in grids:
            others = np.flatnonzero(store.labels[part] != label)
            if len(others):
                expanded = [(style.expand(len(others), -1), grid["styles"]) for style in drawn]
                tries = convert_batch(queries.select(others), label, expanded, judge)
                p_target = [p[:, label] for p in tries.probabilities]
                pixels = [pixels_for(store, converter, image) for image in tries.images]
                columns = (p_target, tries.predicted, pixels)
                p, predicted, images = (torch.stack(values, 1).cpu().numpy() for values in columns)
                require_finite(p)
                for i, row in enumerate(part[others]):
                    query = rows.tolist().index(row)
                    called = [store.classes[number] for number in predicted[i]]
                    grid["rows"].append({"query": query, "p_target": p[i].tolist(), "predicted": called})
                    for number, image in enumerate(images[i]):
                        on_image(image, grid["kind"], grid["target"], query, number)
            bar.update()
    bar.close()
    for grid, *_ in grids:
        grid["rows"].sort(key=lambda row: row["query"])
    queries_of_grids = [{"query": store.paths[row], "source": store.classes[store.labels[row]]} for row in rows]
    return {"queries": queries_of_grids, "grids": [grid for grid, *_ in grids]}


def few_queries(store: Store) -> np.ndarray:
    """Rows of QUERIES images, spread over the classes, which take turns, and over each of them."""
    labels = evenly_spaced(np.arange(len(store.classes)), QUERIES)
    each = -(-QUERIES // len(labels))
    members = [evenly_spaced(store.rows_of(label), each) for label in labels]
    in_turn = [rows[number] for number in range(each) for rows in members if number < len(rows)]
    return np.array(in_turn[:QUERIES])
