"""Conversion of a whole split: every query into every other class, judged."""

import numpy as np
import pandas as pd
import torch

from quac.console import progress
from quac.conversion.styles import padded
from quac.data.batches import batches_of, load, to_uint8
from quac.errors import QuacError


@torch.inference_mode()
def convert(generator, judge, store, styles, settings, device, keep=None):
    """Convert all images of a split into all other classes.

    Args:
        generator: the averaged generator.
        judge: see `quac.classifier.judge.Judge`.
        store: the queries, of one size or of many.
        styles: {kind: LatentStyles or ReferenceStyles}.
        settings: `tries` per query and target, `batch_size`, `data` (scale, shift).
        keep: called with (kind, row of the store, target label, uint8 image) for the best try of each
            query and target: one that is called the target before one that is not, then that of the highest
            target probability, then the first.

    Returns:
        DataFrame, one row per try: `query` (path), `digest`, `source`, `target`, `kind`, `try`, `style`
        (name of the latent, or path of the reference), `predicted`, `p_source`, `p_target`, `l1` (mean
        absolute difference to the query in the networks' range), `best`.
    """
    parts, bar = [], progress(total=len(store), what="converting", unit="query")
    for label in range(len(store.classes)):
        for rows in batches_of(store, store.rows_of(label), settings.batch_size):
            parts += _convert_batch(generator, judge, store, styles, settings, device, keep, label, rows)
            bar.update(len(rows))
    bar.close()
    table = pd.concat(parts, ignore_index=True)
    if not np.isfinite(table[["p_source", "p_target", "l1"]].to_numpy()).all():
        raise QuacError("the networks of this checkpoint, or the classifier, give NaN or infinity: it cannot be scored")
    table["best"] = False
    rank = table["p_target"] - (table["predicted"] != table["target"]).astype("float32")
    table.loc[rank.groupby([table["kind"], table["query"], table["target"]]).idxmax(), "best"] = True
    return table


def _convert_batch(generator, judge, store, styles, settings, device, keep, source, rows):
    """All kinds, targets and tries of one batch of queries of one class; numbers are copied from the device once."""
    all_rows = padded(rows, store.batch_size(rows[0], settings.batch_size))
    digests = store.digests[all_rows]
    x = load(store, all_rows, device, settings.data.scale, settings.data.shift)
    features = generator.features(x)
    tries, numbers, best_images = [], [], []
    for kind, kind_styles in styles.items():
        for target in range(len(store.classes)):
            if target == source:
                continue
            best, best_image = torch.full((len(x),), -2.0, device=device), x
            for number in range(settings.tries):
                style, names = kind_styles.draw(digests, target, number)
                image = generator.render(features, style)
                p = judge(image)
                tries.append((kind, target, number, names[: len(rows)]))
                l1 = (image - x).abs().mean((1, 2, 3))
                numbers.append(torch.stack([p.argmax(1).to(p.dtype), p[:, source], p[:, target], l1]))
                rank = p[:, target] - (p.argmax(1) != target).to(p.dtype)  # any hit before any miss
                better = rank > best
                best = torch.where(better, rank, best)
                best_image = torch.where(better[:, None, None, None], image, best_image)
            best_images.append((kind, target, best_image))
    if keep:
        for kind, target, images in best_images:
            pixels = to_uint8(images, settings.data.scale, settings.data.shift).cpu().numpy()
            for row, image in zip(rows, pixels, strict=False):
                keep(kind, row, target, image)
    numbers = torch.stack(numbers).cpu().numpy()[:, :, : len(rows)]
    return [_table(store, source, rows, *one, *values) for one, values in zip(tries, numbers, strict=True)]


def _table(store, source, rows, kind, target, number, names, predicted, p_source, p_target, l1):
    classes = np.array(store.classes, dtype=object)
    return pd.DataFrame(
        {
            "query": store.paths[rows],
            "digest": store.digests[rows],
            "source": store.classes[source],
            "target": store.classes[target],
            "kind": kind,
            "try": number,
            "style": names,
            "predicted": classes[predicted.astype(int)],
            "p_source": p_source,
            "p_target": p_target,
            "l1": l1,
        }
    )
