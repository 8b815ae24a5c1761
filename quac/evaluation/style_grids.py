"""Grids of styles: a few queries, converted into every class by the same few styles of it."""

import numpy as np
import torch

from quac.conversion.masks import paste
from quac.data.batches import batches_of, load, to_pixels
from quac.data.store import spread
from quac.system.console import progress
from quac.system.errors import QuacError

QUERIES = 8  # of a split
STYLES = 6  # of a class and kind


@torch.inference_mode()
def make_grids(generator, judge, store, styles, settings, device, keep, masks=None):
    """Make a grid for each kind and target class: a row is a query of another class, a column a style.

    Args:
        generator, judge, store, styles, masks: see `quac.conversion.engine.convert`.
        settings: `batch_size` and `data` (scale, shift).
        keep: called with (image of the store's depth, kind, target class, number of the query, number of the style)
            for each image.

    Returns:
        `queries`: their `query` (path) and `source`; `grids`: dicts of `kind`, `target`, `styles` (names of the
        latents, or paths of the references), and `rows`, for each its `query` (number), and for each style `p_target`
        and `predicted`, what the judge says.
    """
    rows = few_queries(store)
    grids = []
    for kind, of_kind in styles.items():
        for label in range(len(store.classes)):
            drawn, names = of_kind.fixed(label, STYLES)
            grid = {"kind": kind, "target": store.classes[label], "styles": names, "rows": []}
            grids.append((grid, label, drawn))
    if masks:
        masks.read(rows)
    parts = list(batches_of(store, rows, settings.batch_size))
    bar = progress(total=len(parts) * len(grids), what="converting", unit="row")
    for part in parts:
        x = load(store, part, device, settings.data.scale, settings.data.shift)
        features = generator.features(x)
        inside = torch.from_numpy(masks[part]).to(device) if masks else None
        for grid, label, drawn in grids:
            others = np.flatnonzero(store.labels[part] != label)
            if len(others):
                images = [generator.render(features[others], style.expand(len(others), -1)) for style in drawn]
                if masks:
                    images = [paste(image, x[others], inside[others]) for image in images]
                made = _rows(images, judge, store, settings, label)
                for row, p, called, pixels in zip(part[others], *made, strict=True):
                    query = rows.tolist().index(row)
                    grid["rows"].append(
                        {"query": query, "p_target": p.tolist(), "predicted": [store.classes[c] for c in called]}
                    )
                    for number, image in enumerate(pixels):
                        keep(image, grid["kind"], grid["target"], query, number)
            bar.update()
    bar.close()
    for grid, *_ in grids:
        grid["rows"].sort(key=lambda row: row["query"])
    queries = [{"query": store.paths[row], "source": store.classes[store.labels[row]]} for row in rows]
    return {"queries": queries, "grids": [grid for grid, *_ in grids]}


def few_queries(store):
    """Rows of QUERIES images, one of a class after one of the next: spread over the classes, and over each of them."""
    labels = spread(np.arange(len(store.classes)), QUERIES)
    each = -(-QUERIES // len(labels))
    members = [spread(store.rows_of(label), each) for label in labels]
    in_turn = [rows[number] for number in range(each) for rows in members if number < len(rows)]
    return np.array(in_turn[:QUERIES])


def _rows(images, judge, store, settings, label):
    """Of images by each style: probabilities, called labels and pixels, (queries, styles, ...) each."""
    p = torch.stack([judge(image) for image in images], 1)
    if not p.isfinite().all():
        raise QuacError("the networks of this checkpoint, or the classifier, give NaN or infinity: it cannot be shown")
    depth = torch.uint8 if store.flat.dtype == np.uint8 else torch.uint16
    pixels = torch.stack([to_pixels(image, settings.data.scale, settings.data.shift, depth) for image in images], 1)
    return [found.cpu().numpy() for found in (p[:, :, label], p.argmax(2), pixels)]
