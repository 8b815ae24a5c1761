"""Conversion of image files, judged or not; each result is a file of its query's kind.

Threads read queries ahead, and write results, while the networks take those of one size together.
"""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pandas as pd
import torch

from quac.conversion.masks import paste
from quac.conversion.network import AT_A_TIME
from quac.conversion.query import read_query
from quac.data.parallel import in_threads
from quac.system.console import log, progress
from quac.system.errors import QuacError

COLUMNS = ["query", "digest", "target", "try", "style", "predicted", "p_target", "l1", "best", "file"]
READERS, WRITERS = 4, 4  # threads
# At most: pixels of the files of queries that wait, their number, and images that a batch becomes.
PIXELS, WAITING, TRIES = 2**25, 256, 64
NO_NUMBERS = "the networks, or the classifier, give NaN or infinity for it; try another checkpoint"


class OneStyle:
    """The style of a reference image, in the place of `LatentStyles`."""

    def __init__(self, style, name):
        """`style` is (1, style_dim)."""
        self.style, self.name = style, name

    def draw(self, digests, label, number):
        return self.style.expand(len(digests), -1), [self.name] * len(digests)


def convert_files(network, results, tries, styles, judge=None, native=False, masks=None, mask_edge=0):
    """Convert images, and write the results.

    Args:
        network: ConversionNetwork.
        results: {(place, target): paths}, see `quac.conversion.places.results_of`: one per try; with a judge one in
            all, for the best try.
        tries: styles for each image and target.
        styles: {target: LatentStyles or OneStyle}.
        judge: see `quac.classifier.judge.Judge`.
        native, mask_edge: see `quac.conversion.query.read_query`.
        masks: {place: path} of the images that are converted only inside of a mask.

    Returns:
        `(table, faults)`. The table has a row per try that was judged: `query` (its path), `digest`, `target`, `try`,
        `style`, `predicted`, `p_target`, `l1` (mean absolute difference to the query in the networks' range), `best` (a
        try called the target before others, then by the probability), `file` (that of the best). Faults: a line for
        each image that could not be converted; the others are.
    """
    places = list(dict.fromkeys(place for place, _ in results))
    read = partial(_read, network, native, masks or {}, mask_edge)
    rows, faults, opaque, writing = {place: [] for place in places}, {}, set(), deque()
    with ThreadPoolExecutor(WRITERS) as pool, progress(total=len(places), what="converting", unit="image") as bar:
        for batch in _batches(_readable(read, places, faults), network, tries):
            for place, query, target, images, judged in _convert(network, batch, tries, styles, judge):
                if images is None:
                    faults[place] = NO_NUMBERS
                    continue
                paths = results[place, target]
                of_query = {"query": str(place.path), "digest": query.digest, "target": target}
                rows[place] += [{**of_query, **row, "file": str(paths[0]) if row["best"] else ""} for row in judged]
                for path, image in zip(paths, images, strict=True):
                    writing.append((place, query.width * query.height, pool.submit(query.write, path, image, network)))
                _finish(writing, faults, most=PIXELS)
            opaque |= {place for place, query in batch if query.decoded.alpha}
            bar.update(len(batch))
        _finish(writing, faults)
        bar.update(len(places) - bar.n)
    if count := len(opaque - faults.keys()):
        log.warning("%d image(s) have an opacity: they were laid on a background, and their results have none", count)
    converted = [row for place in places if place not in faults for row in rows[place]]
    said = [f"{place.path}: {faults[place]}" for place in places if place in faults]
    return pd.DataFrame(converted, columns=COLUMNS), said


def _read(network, native, masks, mask_edge, place):
    """(place, its query, None), or (place, None, why it cannot be read)."""
    try:
        return place, read_query(place.path, network, native, masks.get(place), mask_edge), None
    except QuacError as error:
        return place, None, error


def _readable(read, places, faults):
    """Yield (place, query) of those that can be read, and add the others to `faults`."""
    for place, query, error in in_threads(read, places, READERS, _ahead):
        if error:
            faults[place] = error
        else:
            yield place, query


def _ahead(found):
    """How many queries are read ahead where they are as large as the one that was found."""
    _, query, _ = found
    return min(AT_A_TIME, PIXELS // (query.width * query.height)) if query else READERS


def _batches(queries, network, tries):
    """(place, query) -> lists of them, whose queries the networks take together: of one size."""
    waiting, pixels, count = {}, 0, 0
    for place, query in queries:
        size = query.x.shape[2:]
        waiting.setdefault(size, []).append((place, query))
        pixels, count = pixels + query.width * query.height, count + 1
        full = len(waiting[size]) >= min(network.at_a_time(*size), max(1, TRIES // tries))
        while full or pixels > PIXELS or count > WAITING:
            batch = waiting.pop(size if full else max(waiting, key=lambda size: _pixels(waiting[size])))
            full, pixels, count = False, pixels - _pixels(batch), count - len(batch)
            yield batch
    yield from waiting.values()


def _pixels(batch):
    return sum(query.width * query.height for _, query in batch)


@torch.no_grad()
def _convert(network, batch, tries, styles, judge):
    """Yield (place, query, target, images, judged) of queries of one size.

    Images are (height, width, channels) uint16 of that size, of every try, or of the best where there is a judge; None
    where there are values that are no numbers. `judged` has a dict per try.
    """
    queries = [query for _, query in batch]
    digests, x = [query.digest for query in queries], torch.cat([query.x for query in queries])
    features = network.features(x)
    for target, of_target in styles.items():
        label = network.label_of(target)
        drawn = [of_target.draw(digests, label, number) for number in range(tries)]
        images = network.render(features, torch.stack([style for style, _ in drawn]))
        finite, rows = images.isfinite().flatten(2).all(2).all(0), [[] for _ in batch]
        if judge:
            shown = paste(images, x, torch.cat([query.inside for query in queries]))
            p = torch.cat([judge(part) for part in shown.flatten(0, 1).split(AT_A_TIME)]).unflatten(0, shown.shape[:2])
            finite &= p.isfinite().all(2).all(0)
            best = (p[:, :, label] - (p.argmax(2) != label).float()).argmax(0)  # any hit before any miss
            rows = _rows(network.classes, label, [names for _, names in drawn], p, (shown - x).abs(), best)
            images = images[best, torch.arange(len(batch), device=best.device)][None]
        pixels = network.to_pixels(images.flatten(0, 1))
        for i, (place, query) in enumerate(batch):
            yield place, query, target, pixels[i :: len(batch)] if finite[i] else None, rows[i]


def _rows(classes, label, names, p, differences, best):
    """Dicts per query and try; `p` is (tries, B, classes), `differences` (tries, B, C, H, W), `best` (B,)."""
    called, of_target, l1 = (values.T.tolist() for values in (p.argmax(2), p[:, :, label], differences.mean((2, 3, 4))))
    return [
        [
            {
                "try": number,
                "style": names[number][i],
                "predicted": classes[called[i][number]],
                "p_target": of_target[i][number],
                "l1": l1[i][number],
                "best": number == chosen,
            }
            for number in range(len(names))
        ]
        for i, chosen in enumerate(best.tolist())
    ]


def _finish(writing, faults, most=0):
    """Wait for results that are being written, the oldest first, until they have `most` pixels together."""
    while sum(pixels for _, pixels, _ in writing) > most:
        place, _, job = writing.popleft()
        try:
            job.result()
        except QuacError as error:
            faults[place] = error
