"""Conversion of a whole split: every query into every other class, judged."""

import hashlib

import numpy as np
import pandas as pd
import torch

from quac.conversion.masks import Pasting
from quac.data.batches import batches_of, load, to_pixels
from quac.models.starganv2.styles import padded
from quac.system.console import progress
from quac.system.errors import QuacError


@torch.inference_mode()
def convert(
    generator, judge, store, styles, settings, device, keep=None, details=None, shard=(0, 1), masks=None, quiet=False
):
    """Convert the images of a split into all other classes.

    Args:
        generator: the averaged generator.
        judge: see `quac.classifier.judge.Judge`.
        store: the queries, of one size or of many.
        styles: {kind: LatentStyles or ReferenceStyles}.
        settings: `tries` per query and target, `batch_size`, `data` (scale, shift), `seed`, and `max_per_class`, the
            number of queries of a class at most, or None.
        keep: called with (kind, row of the store, target label, image of the store's depth) for the best try of each
            query and target: one that is called the target before one that is not, then that of the highest
            target probability, then the first.
        details: Details, to measure more than the choice of a checkpoint needs.
        shard: (i, n): only every n-th batch, from the i-th on. The n tables together are the whole one;
            where there are fewer batches, some have no rows.
        masks: see `quac.data.masks.Masks`: what lies outside is that of the query, before anything is measured.
        quiet: without progress bars.

    Returns:
        DataFrame, one row per try: `query` (path), `digest`, `source`, `target`, `kind`, `try`, `style`
        (name of the latent, or path of the reference), `predicted`, `p_source`, `p_target`, `l1` (mean
        absolute difference to the query in the networks' range), `query_predicted`, `query_p_source` and
        `query_p_target` (what the judge says of the query), the columns of `details`, `best`, and `batch`, a number.
        With `details` also a row for each query with its own class as the target and its own style (`own`).
    """
    batches = [
        (number, label, rows)
        for number, (label, rows) in enumerate(
            (label, rows)
            for label in range(len(store.classes))
            for rows in batches_of(store, chosen_queries(store, label, settings), settings.batch_size)
        )
    ][shard[0] :: shard[1]]
    if masks:
        masks.read([row for *_, rows in batches for row in rows], quiet)
    total = sum(len(rows) for *_, rows in batches)
    parts, bar = [], progress(total=total, what="converting", unit="query", disable=quiet)
    for number, label, rows in batches:
        part = _convert_batch(generator, judge, store, styles, settings, device, keep, details, masks, label, rows)
        parts.append(part.assign(batch=number))
        bar.update(len(rows))
    bar.close()
    if not parts:  # more shards than batches
        return pd.DataFrame({"batch": pd.Series(dtype=int)})
    table = pd.concat(parts, ignore_index=True)
    numbers = table.select_dtypes("number").drop(columns="diversity", errors="ignore")  # which one try has not
    if not np.isfinite(numbers.to_numpy()).all():
        raise QuacError("the networks of this checkpoint, or a classifier, give NaN or infinity: it cannot be scored")
    table["best"] = False
    rank = table["p_target"] - (table["predicted"] != table["target"]).astype("float32")
    table.loc[rank.groupby([table["kind"], table["query"], table["target"]]).idxmax(), "best"] = True
    return table


def chosen_queries(store, label, settings):
    """Rows of the queries of a class: all, or `settings.max_per_class` of them, drawn by the seed and their digests."""
    rows = store.rows_of(label)
    if settings.max_per_class is None or len(rows) <= settings.max_per_class:
        return rows
    draws = [hashlib.sha256(f"{settings.seed}\0{store.digests[row]}".encode()).digest() for row in rows]
    return np.sort(rows[sorted(range(len(rows)), key=lambda i: (draws[i], i))[: settings.max_per_class]])


def _convert_batch(generator, judge, store, styles, settings, device, keep, details, masks, source, rows):
    """All kinds, targets and tries of one batch of queries of one class; numbers are copied from the device once."""
    all_rows = padded(rows, store.batch_size(rows[0], settings.batch_size))
    digests = store.digests[all_rows]
    x = load(store, all_rows, device, settings.data.scale, settings.data.shift)
    if masks:
        generator = Pasting(generator, torch.from_numpy(masks[all_rows]).to(device))
    features, of_query = generator.features(x), judge(x)
    own = details.own_style(x, source) if details else None
    tries, measured, best_images = [], [], []
    for kind, kind_styles in styles.items():
        for target in range(len(store.classes)):
            if target != source:
                drawn = (kind_styles.draw(digests, target, number) for number in range(settings.tries))
            elif details:
                drawn = [(own, ["own"] * len(x))]
            else:
                continue
            best, best_image, images = torch.full((len(x),), -2.0, device=device), x, []
            for number, (style, names) in enumerate(drawn):
                image = generator.render(features, style)
                logits = judge.logits(image)
                p, called = logits.softmax(1), logits.argmax(1)
                tries.append(
                    {"target": store.classes[target], "kind": kind, "try": number, "style": names[: len(rows)]}
                )
                measured.append(
                    {
                        "predicted": called,
                        "p_source": p[:, source],
                        "p_target": p[:, target],
                        "l1": (image - x).abs().mean((1, 2, 3)),
                        "query_predicted": of_query.argmax(1),
                        "query_p_source": of_query[:, source],
                        "query_p_target": of_query[:, target],
                    }
                )
                rank = p[:, target] - (called != target).to(p.dtype)  # any hit before any miss
                better = rank > best
                best = torch.where(better, rank, best)
                best_image = torch.where(better[:, None, None, None], image, best_image)
                if details:
                    measured[-1] |= details.of(generator, image, x, own, logits, target)
                    images.append(image)
            if details:
                for row, apart in zip(measured[-len(images) :], details.apart(images), strict=True):
                    row["diversity"] = apart
            if target != source:
                best_images.append((kind, target, best_image))
    if keep:
        depth = torch.uint8 if store.flat.dtype == np.uint8 else torch.uint16
        for kind, target, images in best_images:
            pixels = to_pixels(images, settings.data.scale, settings.data.shift, depth).cpu().numpy()
            for row, image in zip(rows, pixels, strict=False):
                keep(kind, row, target, image)
    names = list(measured[0])
    numbers = torch.stack([torch.stack([row[name].float() for name in names]) for row in measured])
    numbers = numbers.cpu().numpy()[:, :, : len(rows)]
    return _table(store, source, rows, tries, names, numbers)


def _table(store, source, rows, tries, names, numbers):
    """The rows of a batch, try by try; `numbers` are (tries, names, queries)."""
    classes = np.array(store.classes, dtype=object)
    columns = dict(zip(names, numbers.transpose(1, 0, 2).reshape(len(names), -1), strict=True))
    for name in columns:
        if name in ("predicted", "query_predicted") or name.startswith("predicted_by_"):
            columns[name] = classes[columns[name].astype(int)]
    return pd.DataFrame(
        {
            "query": np.tile(store.paths[rows], len(tries)),
            "digest": np.tile(store.digests[rows], len(tries)),
            "source": store.classes[source],
            **{name: np.repeat([one[name] for one in tries], len(rows)) for name in ("target", "kind", "try")},
            "style": [style for one in tries for style in one["style"]],
            **columns,
        }
    )
