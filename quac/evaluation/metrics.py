"""The metrics of a conversion: one registry, from which tries are measured, scores averaged and reports made.

(Starts without torch or pandas: the workflow names files by the metrics.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

    from quac.conversion.engine import TryBatch

# The evaluation in training: queries of a class at most, tries of each into each other class; and fewer queries, if
# these were more images altogether than that.
EVALUATION_QUERIES, EVALUATION_TRIES, EVALUATION_IMAGES = 16, 2, 2048

# Queries of a class among which a try identifies its own, at most.
IDENTIFICATION_QUERIES = 100


@dataclass(frozen=True)
class Metric:
    """A number of a class pair, averaged over the pairs of different classes.

    Attributes:
        kind: where it comes from. `rate`: a share of tries or queries that the classifier calls the target; `query`:
            of each query itself, before the conversion; `try`: measured of each try, then averaged over the tries and
            the queries; `pair`: of all generated images of a pair together.
        column: of a `try` metric: its column in a table of tries. Empty: its name.
        has_interval: whether cells and averages have `<name>_low` and `<name>_high`, see `quac.evaluation.intervals`;
            for shares only.
        measure: of a `try` metric: tries of a batch of queries -> (B,) of each try, for a conversion that is measured
            in full. None: the conversion engine always measures it.
    """

    name: str  # of the column, and of the matrix file
    label: str
    definition: str  # a sentence, for the report and the docs
    kind: Literal["rate", "query", "try", "pair"]
    bounds: tuple[float | None, float | None]  # smallest and largest value, None if there is none
    higher_is_better: bool | None  # None if neither is
    format: Literal["percent", "decimals", "significant"] = "decimals"
    unit: str = ""  # after the number
    column: str = ""
    has_interval: bool = False
    measure: "Callable[[TryBatch], list[torch.Tensor]] | None" = None


def _similarity(tries: "TryBatch") -> "list[torch.Tensor]":
    from torchmetrics.functional.image import structural_similarity_index_measure  # takes seconds

    info = tries.queries.converter.info
    measure: Any = partial(structural_similarity_index_measure, data_range=1.0, reduction="none")
    # Defined for intensities from 0 on: its term of luminance depends on where 0 lies.
    x, *images = ((image - info.shift) / info.scale for image in (tries.queries.x, *tries.images))
    return [measure(image, x) for image in images]


def _cycle(tries: "TryBatch") -> "list[torch.Tensor]":
    return [(tries.convert_back(image) - tries.queries.x).abs().mean((1, 2, 3)) for image in tries.images]


def diversity(images: "list[torch.Tensor]") -> "list[torch.Tensor]":
    """Images (B, C, H, W) of each try -> (B,) of each try: mean absolute difference to the others, NaN if none."""
    import torch

    if len(images) == 1:
        return [torch.full((len(images[0]),), float("nan"), device=images[0].device)]
    tries = torch.stack(images)
    return [(tries - image).abs().mean((2, 3, 4)).sum(0) / (len(images) - 1) for image in images]


_share = partial(Metric, bounds=(0, 1), higher_is_better=True, format="percent", unit=" %", has_interval=True)
_rate = partial(_share, kind="rate")
_distance = partial(Metric, kind="try", bounds=(0, None), higher_is_better=False)
_of_pair = partial(Metric, kind="pair", higher_is_better=False)
_ALL = (
    _rate(
        "translation_rate",
        "Translation rate",
        "Share of all tries, of all queries of the source class, that the classifier calls the target class.",
    ),
    _rate(
        "conversion_rate",
        "Conversion rate",
        "Share of the queries of which at least one try is called the target class.",
    ),
    Metric(
        "p_target",
        "Target probability",
        "The classifier's probability of the target class: mean over the tries, then over the queries.",
        kind="try",
        bounds=(0, 1),
        higher_is_better=True,
    ),
    _share(
        "called_before",
        "Called the target before",
        "Share of the queries that the classifier calls the target class before the conversion. They would count as "
        "converted without any change.",
        kind="query",
        higher_is_better=None,
    ),
    _share(
        "identification",
        "Identification",
        "Share of all tries whose nearest query (by L1, at 32 pixels at most), among their own and up to 99 others of "
        "the source class, is their own. Chance: 1 divided by the number of these queries.",
        kind="try",
        column="identified",
    ),
    _distance(
        "l1", "L1 distance", "Mean absolute difference between generated image and query, in the range of the networks."
    ),
    Metric(
        "ssim",
        "SSIM",
        "Structural similarity of generated image and query, as intensities in [0, 1] (Wang et al. 2004); 1: equal.",
        kind="try",
        bounds=(-1, 1),
        higher_is_better=True,
        measure=_similarity,
    ),
    _distance(
        "cycle",
        "Cycle distance",
        "Mean absolute difference to the query after conversion back with the query's own style.",
        measure=_cycle,
    ),
    _distance(
        "diversity",
        "Diversity",
        "Mean absolute difference between the tries of a query; none if there is only one try.",
        higher_is_better=None,
        measure=lambda tries: diversity(tries.images),
    ),
    _of_pair(
        "frechet",
        "Fréchet distance",
        "Between the classifier's log-probabilities, minus their mean over the classes, of generated images and of the "
        "split's real images of the target class. Not the FID of an Inception network: compare it only between runs "
        "with the same classifier and images.",
        bounds=(0, None),
        format="significant",
    ),
    _of_pair(
        "frechet_scaled",
        "Fréchet distance, scaled",
        "The same, from 0 (as far as real training images of the target class) to 1 (as far as the real images of the "
        "source class). None if these are no farther than those.",
        bounds=(None, None),
    ),
    _of_pair(
        "kernel",
        "Kernel distance",
        "Squared maximum mean discrepancy of the same log-probabilities, cubic kernel, unbiased: it may be a little "
        "below 0.",
        bounds=(None, None),
        format="significant",
    ),
    _of_pair(
        "kernel_scaled",
        "Kernel distance, scaled",
        "The same, scaled as the Fréchet distance is.",
        bounds=(None, None),
    ),
)
METRICS = {metric.name: metric for metric in _ALL}


def names_of(kind: str) -> tuple[str, ...]:
    """The names of the metrics of a kind, in order."""
    return tuple(name for name, metric in METRICS.items() if metric.kind == kind)


RATES = names_of("rate")


def metrics_table() -> str:
    """The registry as a Markdown table, for the docs."""
    rows = [f"| `{metric.name}` | {metric.label} | {metric.definition} | {_range(metric)} |" for metric in _ALL]
    return "\n".join(["| name | label | definition | range, better |", "|---|---|---|---|", *rows]) + "\n"


def _range(metric: Metric) -> str:
    low, high = ("" if bound is None else f"{bound:g}" for bound in metric.bounds)
    interval = "any" if not low and not high else f"{low} to {high}" if high else f"from {low}"
    better = {True: ", higher", False: ", lower", None: ""}[metric.higher_is_better]
    return interval + better
