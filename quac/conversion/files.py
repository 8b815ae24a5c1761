"""Conversion of image files, judged or not; each result is a file of its query's kind."""

import pandas as pd
import torch

from quac.console import log, progress
from quac.conversion.query import read_query
from quac.errors import QuacError

COLUMNS = ["query", "digest", "target", "try", "style", "predicted", "p_target", "l1", "best", "file"]


class OneStyle:
    """The style of a reference image, in the place of `LatentStyles`."""

    def __init__(self, style, name):
        """`style` is (1, style_dim)."""
        self.style, self.name = style, name

    def draw(self, digests, label, number):
        return self.style.expand(len(digests), -1), [self.name] * len(digests)


@torch.no_grad()
def convert_files(network, results, tries, styles, judge=None, native=False):
    """Convert images, and write the results.

    Args:
        network: ConversionNetwork.
        results: {(place, target): paths}, see `quac.conversion.places.results_of`: one per try; with a judge one in
            all, for the best try.
        tries: styles for each image and target.
        styles: {target: LatentStyles or OneStyle}.
        judge: see `quac.classifier.judge.Judge`.
        native: see `quac.conversion.query.read_query`.

    Returns:
        `(table, faults)`. The table has a row per try that was judged: `query` (its path), `digest`, `target`, `try`,
        `style`, `predicted`, `p_target`, `l1` (mean absolute difference to the query in the networks' range), `best` (a
        try called the target before others, then by the probability), `file` (that of the best). Faults: a line for
        each image that could not be converted; the others are.
    """
    rows, faults, opaque = [], [], 0
    targets_of = {}
    for place, target in results:
        targets_of.setdefault(place, []).append(target)
    for place, targets in progress(list(targets_of.items()), "converting", unit="image"):
        try:
            query = read_query(place.path, network, native)
            found = []
            for target in targets:
                found += _convert(network, query, place, target, results[place, target], tries, styles[target], judge)
            rows += found
            opaque += query.decoded.alpha
        except QuacError as error:
            faults.append(f"{place.path}: {error}")
    if opaque:
        log.warning("%d image(s) have an opacity: they were laid on a background, and their results have none", opaque)
    return pd.DataFrame(rows, columns=COLUMNS), faults


def _convert(network, query, place, target, paths, tries, styles, judge):
    """Write an image's results of a target; returns rows of the table."""
    label = network.label_of(target)
    drawn = [styles.draw([query.digest], label, number) for number in range(tries)]
    images = network.render(query.x, torch.cat([style for style, _ in drawn]))
    rows = []
    if judge:
        p = judge(images).cpu()
        if not p.isfinite().all():
            raise QuacError("the networks, or the classifier, give NaN or infinity for it; try another checkpoint")
        hit, l1 = p.argmax(1) == label, (images - query.x).abs().mean((1, 2, 3)).tolist()
        best = int((p[:, label] - (~hit).float()).argmax())  # any hit before any miss
        for number, (_, names) in enumerate(drawn):
            rows.append(
                {
                    "query": str(place.path),
                    "digest": query.digest,
                    "target": target,
                    "try": number,
                    "style": names[0],
                    "predicted": network.classes[p[number].argmax()],
                    "p_target": float(p[number, label]),
                    "l1": l1[number],
                    "best": number == best,
                    "file": str(paths[0]) if number == best else "",
                }
            )
        images = images[best : best + 1]
    for image, path in zip(images, paths, strict=True):
        query.write(path, query.restore(image, network), network)
    return rows
