"""Conversion of image files, judged or not; each result is a file of the same kind as its query.

Threads read queries ahead and write results, while the networks take queries of one size together.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from quac.classifier.judge import Judge
from quac.config.evaluation import Judging
from quac.conversion.engine import Drawn, QueryBatch, TryBatch, convert_batch
from quac.conversion.inputs import (
    InputImage,
    Query,
    Results,
    list_images,
    match_masks,
    read_query,
    read_reference,
    result_paths,
)
from quac.conversion.network import AT_A_TIME, ConversionNetwork
from quac.data.parallel import map_threads
from quac.system.console import log, progress
from quac.system.errors import QuacError, bullet_list
from quac.system.files import write_text
from quac.system.tables import csv_text

COLUMNS = ["query", "digest", "target", "try", "style", "predicted", "p_target", "l1", "best", "file"]
READERS, WRITERS = 4, 4  # threads
# Limits: pixels of the files of waiting queries, their number, and images that a batch becomes.
PIXELS, WAITING, TRIES = 2**25, 256, 64
NOT_FINITE = "the networks, or the classifier, give NaN or infinity for it. Try another checkpoint."

Item = tuple[InputImage, Query]
Draw = Callable[[QueryBatch, str], Drawn]  # queries, target -> the styles of their tries
Faults = dict[InputImage, str | QuacError]
Writing = deque[tuple[InputImage, int, Future[None]]]  # images that are being written, with their pixels


def convert_sources(
    network: ConversionNetwork,
    sources: Iterable[str],
    to: str,
    out: Path,
    *,
    reference: Path | None = None,
    tries: int | None = None,
    classifier: Path | None = None,
    judging: Judging | None = None,
    masks: Path | None = None,
    mask_edge: int = 0,
    native: bool = False,
    seed: int = 0,
) -> None:
    """Convert the images of sources, see `list_images`, into a folder; log what was done.

    Args:
        to: name of a class, or of several, separated by commas.
        reference: image of that class whose style is taken, instead of `tries` drawn ones (left out: 1).
        classifier, judging: with a classifier, the best try is kept, and `tries.csv` lists all.
        masks: folder of masks, see `match_masks`.
        native, mask_edge: see `quac.conversion.inputs.read_query`.
        seed: of the styles.

    Raises QuacError before anything is written if an option cannot be used; and at the end if images could not be
    converted, which it names.
    """
    if reference and tries:
        raise QuacError("--tries: a reference is one style. Leave out --reference or --tries.")
    if out.exists() and not out.is_dir():
        raise QuacError(f"--out: {out} is a file; give a folder")
    if mask_edge and not masks:
        raise QuacError("--mask-edge: needs masks. Give --masks, or leave it out.")
    tries, images = tries or 1, list_images(sources, out, *([masks] if masks else []))
    mask_paths = match_masks(images, masks) if masks else {}
    targets, judge = _targets(to, network), None
    if classifier:
        judging = judging or Judging(img_size=network.description.img_size)
        judge = Judge(classifier, judging, network.description.model, network.classes, network.device)
    inputs = [*mask_paths.values(), *([reference] if reference else [])]
    results = result_paths(images, targets, 1 if judge else tries, out, inputs)
    draw = _draw_reference(network, reference, targets) if reference else _draw_latents(network, tries, seed)

    def read(image: InputImage) -> Query:
        return read_query(image.path, network, native, mask_paths.get(image), mask_edge)

    table, faults = convert_files(network, results, tries, draw, read, judge)
    if masks:
        log.info("%d of %d image(s) have a mask; the others are converted whole", len(mask_paths), len(images))
    if judge:
        write_text(out / "tries.csv", csv_text(table))
        hits = int((table["predicted"] == table["target"])[table["best"]].sum())
        log.info("the classifier calls %d of %d results their target", hits, table["best"].sum())
    converted = len({image for image, _ in results}) - len(faults)
    log.info("%s: %d image(s) converted into %s", out, converted, ", ".join(targets))
    if faults:
        raise QuacError(f"{len(faults)} image(s) could not be converted:\n{bullet_list(faults, None)}")


def _targets(to: str, network: ConversionNetwork) -> list[str]:
    """`--to` as a list of classes; the name of a class may contain a comma itself."""
    names = [to] if to in network.classes else [name.strip() for name in to.split(",") if name.strip()]
    if not names:
        raise QuacError(f"--to: names no class. Choose from {', '.join(network.classes)}.")
    for name in names:
        network.label_of(name)
    return list(dict.fromkeys(names))


def _draw_latents(network: ConversionNetwork, tries: int, seed: int) -> Draw:
    styles = network.latent_styles(seed)
    return lambda queries, target: queries.draw(styles, network.label_of(target), tries)


def _draw_reference(network: ConversionNetwork, path: Path, targets: list[str]) -> Draw:
    """The style of one image for every query."""
    x = read_reference(path, network)
    styles = {target: network.encode(x, target) for target in targets}
    return lambda queries, target: [(styles[target].expand(len(queries.x), -1), [str(path)] * len(queries.x))]


def convert_files(
    network: ConversionNetwork,
    results: Results,
    tries: int,
    draw: Draw,
    read: Callable[[InputImage], Query],
    judge: Judge | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Convert images, and write the results.

    Args:
        results: {(InputImage, target): paths}, see `quac.conversion.inputs.result_paths`: one per try; with a judge a
            single one, for the best try.
        tries: styles for each image and target.

    Returns:
        `(table, faults)`. The table has a row per judged try: `query` (its path), `digest`, `target`, `try`, `style`,
        `predicted`, `p_target`, `l1` (mean absolute difference to the query in the networks' range), `best` (see
        `quac.conversion.engine.TryBatch.best`), `file` (that of the best). Faults: a line for each image that could not
        be converted; the others are.
    """
    images = list(dict.fromkeys(image for image, _ in results))
    targets = list(dict.fromkeys(target for _, target in results))
    rows: dict[InputImage, list[dict]] = {image: [] for image in images}
    faults, transparent, writing = Faults(), set[InputImage](), Writing()
    notes: dict[InputImage, str] = {}  # what files leave open, and how they are read
    with ThreadPoolExecutor(WRITERS) as pool, progress(total=len(images), what="converting", unit="image") as bar:
        for batch in _batches(_readable(read, images, faults), network, tries):
            for image, query, target, generated, judged in _convert(network, batch, targets, draw, judge):
                if generated is None:
                    faults[image] = NOT_FINITE
                    continue
                paths = results[image, target]
                about = {"query": str(image.path), "digest": query.digest, "target": target}
                rows[image] += [{**about, **row, "file": str(paths[0]) if row["best"] else ""} for row in judged]
                for path, pixels in zip(paths, generated, strict=True):
                    writing.append((image, query.area, pool.submit(query.write, path, pixels, network)))
                _finish(writing, faults, most=PIXELS)
            transparent |= {image for image, query in batch if query.decoded.alpha}
            notes |= {image: query.decoded.note for image, query in batch if query.decoded.note}
            bar.update(len(batch))
        _finish(writing, faults)
        bar.update(len(images) - bar.n)
    if count := len(transparent - faults.keys()):
        log.warning("%d image(s) are transparent: blended with the background, and their results are opaque", count)
    for note, count in Counter(note for image, note in notes.items() if image not in faults).items():
        log.warning("%d image(s) of which each %s", count, note)
    converted = [row for image in images if image not in faults for row in rows[image]]
    messages = [f"{image.path}: {faults[image]}" for image in images if image in faults]
    return pd.DataFrame(converted, columns=COLUMNS), messages


def _readable(read: Callable[[InputImage], Query], images: list[InputImage], faults: Faults) -> Iterator[Item]:
    """Yield (image, query) of those that can be read, and add the others to `faults`."""

    def attempt(image: InputImage) -> tuple[InputImage, Query | QuacError]:
        try:
            return image, read(image)
        except QuacError as error:
            return image, error

    def ahead(result: tuple[InputImage, Query | QuacError]) -> int:
        """How many queries are read ahead if they are as large as this one."""
        return min(AT_A_TIME, PIXELS // result[1].area) if isinstance(result[1], Query) else READERS

    for image, query in map_threads(attempt, images, READERS, ahead):
        if isinstance(query, Query):
            yield image, query
        else:
            faults[image] = query


def _batches(items: Iterable[Item], network: ConversionNetwork, tries: int) -> Iterator[list[Item]]:
    """Batches of queries of one size and depth, which the networks take together."""
    waiting: dict[tuple[int, int, torch.dtype], list[Item]] = {}
    pixels, count = 0, 0
    for image, query in items:
        height, width = query.x.shape[2:]
        kind = height, width, query.depth
        waiting.setdefault(kind, []).append((image, query))
        pixels, count = pixels + query.area, count + 1
        full = len(waiting[kind]) >= min(network.at_a_time(height, width), max(1, TRIES // tries))
        while full or pixels > PIXELS or count > WAITING:
            batch = waiting.pop(kind if full else max(waiting, key=lambda kind: _pixels(waiting[kind])))
            full, pixels, count = False, pixels - _pixels(batch), count - len(batch)
            yield batch
    yield from waiting.values()


def _pixels(batch: list[Item]) -> int:
    return sum(query.area for _, query in batch)


@torch.no_grad()
def _convert(
    network: ConversionNetwork, batch: list[Item], targets: list[str], draw: Draw, judge: Judge | None
) -> Iterator[tuple[InputImage, Query, str, np.ndarray | None, list[dict]]]:
    """Yield (image, query, target, generated, judged) of queries of one size and depth.

    `generated` is (tries, height, width, channels) uint16 of that size, of every try, or with a judge of the best one;
    None if there is NaN or infinity. `judged` has a dict per try.
    """
    x, digests = torch.cat([query.x for _, query in batch]), [query.digest for _, query in batch]
    # Masks count for the judge; in the files they are applied at the size of the query, see `Query.restore`.
    mask = torch.cat([query.inside for _, query in batch]) if judge else None
    queries = QueryBatch(network.converter, x, digests, mask=mask, depth=batch[0][1].depth)
    at_a_time = network.at_a_time(*x.shape[2:])
    for target in targets:
        tries = convert_batch(queries, network.label_of(target), draw(queries, target), judge, at_a_time)
        rows = _rows(tries, network.classes) if judge else [[] for _ in batch]
        images = [tries.of_best(tries.generated)] if judge else tries.generated
        pixels, finite = network.to_pixels(torch.cat(images)), tries.finite.tolist()
        for i, (image, query) in enumerate(batch):
            yield image, query, target, pixels[i :: len(batch)] if finite[i] else None, rows[i]


def _rows(tries: TryBatch, classes: list[str]) -> list[list[dict]]:
    """Dicts per query and try."""
    predicted, l1 = torch.stack(tries.predicted).tolist(), torch.stack(tries.l1).tolist()
    p = torch.stack([p[:, tries.target] for p in tries.probabilities]).tolist()
    rows: list[list[dict]] = []
    for i, best in enumerate(tries.best.tolist()):
        rows.append([])
        for n, names in enumerate(tries.names):
            verdict = {"predicted": classes[predicted[n][i]], "p_target": p[n][i], "l1": l1[n][i]}
            rows[i].append({"try": n, "style": names[i], **verdict, "best": n == best})
    return rows


def _finish(writing: Writing, faults: Faults, most: int = 0) -> None:
    """Wait for results that are being written, the oldest first, until they have at most `most` pixels together."""
    while sum(pixels for _, pixels, _ in writing) > most:
        image, _, job = writing.popleft()
        try:
            job.result()
        except QuacError as error:
            faults[image] = error
