"""The conversion engine: converts queries into other classes, judges the tries and decides which is the best.

It serves the conversion of a split, of image files, style grids, the evaluation in training and the Python API.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from quac.classifier.judge import Judge
from quac.conversion.chosen import chosen_queries
from quac.data.batches import as_written, batches_of, depth_of, load, pad_rows, to_pixels
from quac.data.masks import Masks
from quac.data.store import Store
from quac.models.base import Converter, Styles
from quac.system.console import progress
from quac.system.errors import QuacError

Drawn = Sequence[tuple[Tensor, list[str]]]  # of each try: styles (B, style_dim), and their names
OnBest = Callable[[str, int, int, np.ndarray], None]
Measure = Callable[["TryBatch"], list[dict[str, Tensor]]]  # {column: (B,)} of each try


class QueryBatch:
    """Query images of one size (B, C, H, W), in the networks' range, prepared for conversion into any class.

    Attributes:
        digests: of each query, by which its styles are drawn.
        label: the class of them all; -1 if it is not known.
        mask: (B, 1, H, W), 1 inside: outside, a generated image is its query. None: it is generated as a whole.
        depth: torch.uint8 or torch.uint16, of the files that generated images are written to.
    """

    def __init__(
        self,
        converter: Converter,
        x: Tensor,
        digests: Sequence[str] = (),
        label: int = -1,
        mask: Tensor | None = None,
        depth: torch.dtype = torch.uint16,
    ):
        self.converter, self.x, self.digests, self.label, self.mask = converter, x, digests, label, mask
        self.depth, self.prepared = depth, converter.prepare(x)

    @cached_property
    def own_style(self) -> Tensor:
        """The style of each query itself, see `Converter.own_style`."""
        return self.converter.own_style(self.x, self.label)

    def draw(self, styles: Styles, target: int, count: int) -> Drawn:
        """The first styles that are drawn for each query."""
        return [styles.draw(self.digests, target, number) for number in range(count)]

    def select(self, rows: np.ndarray) -> "QueryBatch":
        """Some of the queries."""
        batch = copy.copy(self)
        batch.__dict__.pop("own_style", None)
        batch.x, batch.prepared, batch.digests = self.x[rows], self.prepared[rows], [self.digests[row] for row in rows]
        batch.mask = None if self.mask is None else self.mask[rows]
        return batch

    def as_written(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) as they are in a file, see `quac.data.batches.as_written`; NaN where not finite."""
        return as_written(images, self.converter.info.scale, self.converter.info.shift, self.depth)

    def masked(self, images: Tensor) -> Tensor:
        """Blend generated images (B, C, H, W), as written, into their queries by the mask: also as written."""
        return images if self.mask is None else self.as_written(torch.lerp(self.x, images, self.mask))


@dataclass(frozen=True)
class TryBatch:
    """Tries of a batch of queries to one class: lists with an entry for each try."""

    queries: QueryBatch
    target: int  # label of the class
    names: list[list[str]]  # of the styles, of each query
    generated: list[Tensor]  # images (B, C, H, W), clamped and rounded, see `QueryBatch.as_written`
    images: list[Tensor]  # the same with the mask applied; these are judged, measured and written
    logits: list[Tensor]  # (B, classes), the classifier's; empty without one
    judge: Judge | None = None

    @cached_property
    def probabilities(self) -> list[Tensor]:
        """(B, classes) of each try."""
        return [self.judge.probabilities(logits) for logits in self.logits] if self.judge else []

    @cached_property
    def predicted(self) -> list[Tensor]:
        """(B,) int64 of each try: the label that the classifier gives to the image."""
        return [logits.argmax(1) for logits in self.logits]

    @cached_property
    def l1(self) -> list[Tensor]:
        """(B,) of each try: mean absolute difference to the query, in the networks' range."""
        return [(image - self.queries.x).abs().mean((1, 2, 3)) for image in self.images]

    @cached_property
    def best(self) -> Tensor:
        """(B,) int64, each query's best try: one that is called the target before one that is not, then that of the
        highest target probability, then the first."""
        verdicts = zip(self.probabilities, self.predicted, strict=True)
        ranks = [p[:, self.target] - (predicted != self.target).to(p.dtype) for p, predicted in verdicts]
        return torch.stack(ranks).argmax(0)

    def of_best(self, images: list[Tensor]) -> Tensor:
        """The image (B, C, H, W) of each query's best try."""
        chosen = images[0]
        for number, image in enumerate(images[1:], 1):
            chosen = torch.where((self.best == number)[:, None, None, None], image, chosen)
        return chosen

    def convert_back(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) of a try, converted back into the class of the queries with each query's own style."""
        converter, label = self.queries.converter, self.queries.label
        back = QueryBatch(converter, images, mask=self.queries.mask, depth=self.queries.depth)
        return back.masked(back.as_written(converter.render(back.prepared, self.queries.own_style, label)))

    @cached_property
    def finite(self) -> Tensor:
        """(B,) bool: whether no try of a query has NaN or infinity, in its image or its probabilities."""
        values = [image.isfinite().flatten(1).all(1) for image in self.generated]
        return torch.stack([*values, *(p.isfinite().all(1) for p in self.probabilities)]).all(0)


def convert_batch(
    queries: QueryBatch, target: int, drawn: Drawn, judge: Judge | None = None, at_a_time: int | None = None
) -> TryBatch:
    """Convert queries into a class, once for each style that `QueryBatch.draw` gives, and judge the images.

    `at_a_time`: images that are rendered together at most, if these are several tries; None: one try after another.
    """
    generated, images, logits = [], [], []
    size = len(queries.x)
    step = max(1, (at_a_time or size) // size)  # tries
    for start in range(0, len(drawn), step):
        styles = [style for style, _ in drawn[start : start + step]]
        prepared = queries.prepared if len(styles) == 1 else torch.cat([queries.prepared] * len(styles))
        style = styles[0] if len(styles) == 1 else torch.cat(styles)
        # A file holds no more than this: what is judged and measured is literally what is written.
        rendered = queries.as_written(queries.converter.render(prepared, style, target)).split(size)
        masked = [queries.masked(image) for image in rendered]
        generated += rendered
        images += masked
        if judge:
            logits += judge.logits(masked[0] if len(masked) == 1 else torch.cat(masked)).split(size)
    return TryBatch(queries, target, [names for _, names in drawn], generated, images, logits, judge)


@dataclass(frozen=True)
class Drawing:
    """The tries of a style kind into a class: how many, and by which styles."""

    kind: str
    styles: Styles
    target: int  # label
    tries: int
    own: bool = False  # by the query's own style, if styles of this kind are taken from images; no image is kept

    def draw(self, queries: QueryBatch) -> Drawn:
        """The styles for a batch."""
        if self.own and self.kind != "latent":
            return [(queries.own_style, ["own"] * len(queries.x))]
        return queries.draw(self.styles, self.target, self.tries)


@torch.inference_mode()
def convert(
    converter: Converter,
    judge: Judge,
    store: Store,
    styles: dict[str, Styles],
    *,
    tries: int,
    batch_size: int,
    seed: int = 0,
    max_per_class: int | None = None,
    targets: Sequence[Sequence[int]] | None = None,
    shard: tuple[int, int] = (0, 1),
    masks: Masks | None = None,
    measure: Measure | None = None,
    diagonal: bool = False,
    on_best: OnBest | None = None,
    quiet: bool = False,
) -> pd.DataFrame:
    """Convert the images of a split into all other classes.

    Args:
        store: the queries, of one size or of many.
        styles: {style kind: Styles}.
        tries: per query and target.
        batch_size: queries at a time.
        seed, max_per_class: see `chosen_queries`.
        targets: of each class, the labels of those that it is converted into; None: all others.
        shard: (i, n): only every n-th batch, from the i-th on. The n tables together are the whole one; if there are
            fewer batches, some have no rows.
        masks: what lies outside of them is that of the query, before anything is measured.
        measure: measures more of each try, see `quac.evaluation.tries.measure_tries`.
        diagonal: convert each query into its own class, too; and those that the classifier gets wrong, with all tries.
        on_best: called with (style kind, row of the store, target label, image (C, H, W) of the store's depth) for the
            best try of each query and target, see `TryBatch.best`.
        quiet: without progress bars.

    Returns:
        DataFrame, one row per try: `query` (path), `digest`, `source`, `target`, `kind`, `try`, `style` (name of the
        latent, or path of the reference), `predicted`, `p_source`, `p_target`, `l1`; `query_predicted`,
        `query_p_source` and `query_p_target`, which are of the query itself; the columns of `measure`; `batch`, a
        number; and `best`. With `diagonal` there is also a row for each query and style kind with its own class as the
        target, of one try: by the first latent that is drawn for it, or by its own style (named `own`). And a column
        `correction`: True in further rows, the tries of queries that the classifier gets wrong, with their own class as
        the target.

    Raises QuacError if a number is NaN or infinite.
    """
    batches: list[tuple[int, np.ndarray]] = []
    labels = range(len(store.classes))
    targets = targets or [[other for other in labels if other != label] for label in labels]
    for label in filter(targets.__getitem__, labels):
        rows = chosen_queries(store, label, seed, max_per_class)
        batches += [(label, some) for some in batches_of(store, rows, batch_size)]
    numbered = [*enumerate(batches)][shard[0] :: shard[1]]
    if masks:
        masks.read([row for _, (_, rows) in numbered for row in rows], quiet)

    def convert_rows(label: int, rows: np.ndarray, plan: list[Drawing]) -> pd.DataFrame:
        queries = load_queries(converter, store, pad_rows(rows, store.batch_size(rows[0], batch_size)), masks, label)
        part, best_images = _convert_queries(queries, judge, plan, measure, on_best is not None)
        for style_kind, target, images in best_images:
            for row, image in zip(rows, pixels_for(store, converter, images).cpu().numpy(), strict=False):
                cast(OnBest, on_best)(style_kind, row, target, image)  # else there are none
        return _table(store, label, rows, part)

    bar = progress(total=sum(len(rows) for _, (_, rows) in numbered), what="converting", unit="query", disable=quiet)
    parts, corrections = [], []
    wrong: list[dict[int, int]] = [{} for _ in labels]  # of each class, {row: number of its batch}
    for number, (label, rows) in numbered:
        plan = [
            Drawing(kind, of_kind, target, tries if target != label else 1, own=target == label)
            for kind, of_kind in styles.items()
            for target in labels
            if target in targets[label] or (target == label and diagonal)
        ]
        part = convert_rows(label, rows, plan)
        parts.append(part.assign(batch=number, correction=False))
        called = part["query_predicted"].to_numpy()[: len(rows)]
        wrong[label] |= dict.fromkeys(rows[called != store.classes[label]], number)
        bar.update(len(rows))
    for label, number_of in enumerate(wrong if diagonal else []):
        plan = [Drawing(kind, of_kind, label, tries) for kind, of_kind in styles.items()]
        for rows in batches_of(store, np.array([*number_of], dtype=int), batch_size):
            part = convert_rows(label, rows, plan)
            batch = np.tile([number_of[row] for row in rows], len(part) // len(rows))
            corrections.append(part.assign(batch=batch, correction=True))
    if corrections:  # in an order that does not depend on the shards
        parts.append(pd.concat(corrections).sort_values(["batch", "kind", "try", "query"]))
    bar.close()
    if not parts:  # more shards than batches
        return pd.DataFrame({"batch": pd.Series(dtype=int)})
    table = pd.concat(parts, ignore_index=True)
    numbers = table.select_dtypes("number").drop(columns="diversity", errors="ignore")  # NaN if there is only one try
    require_finite(numbers.to_numpy())
    table = table.assign(best=table.pop("best").astype(bool)).sort_values("batch", kind="stable", ignore_index=True)
    return table if diagonal else table.drop(columns="correction")


def require_finite(numbers: np.ndarray) -> None:
    """Raise QuacError if one of the numbers of a conversion is NaN or infinite."""
    if not np.isfinite(numbers).all():
        raise QuacError("The networks of this checkpoint, or a classifier, give NaN or infinity: it cannot be used.")


def load_queries(
    converter: Converter, store: Store, rows: np.ndarray, masks: Masks | None = None, label: int = -1
) -> QueryBatch:
    """Rows of a store that have one size, on the device of the networks."""
    x = load(store, rows, converter.device, converter.info.scale, converter.info.shift)
    mask = torch.from_numpy(masks[rows]).to(converter.device) if masks else None
    return QueryBatch(converter, x, store.digests[rows], label, mask, depth_of(store.flat.dtype))


def pixels_for(store: Store, converter: Converter, images: Tensor) -> Tensor:
    """Images in the networks' range -> pixels of the store's depth, uint8 or uint16."""
    return to_pixels(images, converter.info.scale, converter.info.shift, depth_of(store.flat.dtype))


def _convert_queries(
    queries: QueryBatch, judge: Judge, plan: list[Drawing], measure: Measure | None, keep_best: bool
) -> tuple[list[dict], list[tuple[str, int, Tensor]]]:
    """All style kinds, targets and tries of one batch.

    Returns a dict of each try: `target` (label), `kind`, `try`, `style` (names), and `numbers`, {column: (B,) tensor};
    and the images of the best tries, as (style kind, target, (B, C, H, W)).
    """
    source, p_query = queries.label, judge(queries.x)
    rows: list[dict] = []
    best_images = []
    for drawing in plan:
        target = drawing.target
        converted = convert_batch(queries, target, drawing.draw(queries), judge)
        measured: list[dict] = measure(converted) if measure else [{} for _ in converted.names]
        for number, more in enumerate(measured):
            p, numbers = converted.probabilities[number], {"predicted": converted.predicted[number]}
            numbers |= {"p_source": p[:, source], "p_target": p[:, target], "l1": converted.l1[number]}
            numbers |= {"query_predicted": p_query.argmax(1), "query_p_source": p_query[:, source]}
            numbers |= {"query_p_target": p_query[:, target], **more, "best": converted.best == number}
            about = {"target": target, "kind": drawing.kind, "try": number, "style": converted.names[number]}
            rows.append({**about, "numbers": numbers})
        if keep_best and not drawing.own:
            best_images.append((drawing.kind, target, converted.of_best(converted.images)))
    return rows, best_images


def _table(store: Store, source: int, rows: np.ndarray, tries: list[dict]) -> pd.DataFrame:
    """The rows of a batch, try by try. All numbers are copied from the device at once."""
    names = list(tries[0]["numbers"])
    stacked = torch.stack([torch.stack([row["numbers"][name].float() for name in names]) for row in tries])
    numbers = stacked.cpu().numpy()[:, :, : len(rows)]  # (tries, names, queries)
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
            "target": np.repeat([store.classes[row["target"]] for row in tries], len(rows)),
            **{name: np.repeat([row[name] for row in tries], len(rows)) for name in ("kind", "try")},
            "style": [style for row in tries for style in row["style"][: len(rows)]],
            **columns,
        }
    )
