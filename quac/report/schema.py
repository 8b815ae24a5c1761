"""The numbers of a report: the public format of `reports/<run>.json`.

`build` fills it; the page, the comparison and trackers read it and nothing else. Rates, shares and probabilities are
from 0 to 1, distances in the range of the networks, times in seconds. Paths are those of the run.
"""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from quac.report.controls import Controls
from quac.report.explanation_parts import Explanations
from quac.report.feature_parts import FeatureChanges
from quac.report.parts import Number, Numbers, Part
from quac.report.query_hits import QueryHits

FORMAT: Literal[2] = 2  # files of version 1 have none, see `quac.report.reading`


class SplitImages(Part):
    """The images of a split; `sizes`, `modes` and `bits` are counts by value.

    `groups`: how many there are (patients, plates), 0 if none are given; None: not recorded.
    """

    source: str
    images: dict[str, int]  # by class
    sizes: dict[str, int]
    modes: dict[str, int]
    bits: dict[str, int] = {}
    groups: int | None = None
    digest: str  # SHA-256 of images and classes


class Finding(Part):
    """A finding of the data checks; `pairs` are of images, as `split/path`."""

    code: str
    severity: str
    message: str
    remedy: str
    files: list[str] = []
    pairs: list[tuple[str, str]] = []


class OneFactRule(Part):
    """How well a fact such as the width alone tells the classes of the training images apart.

    `accuracy`: on held-out images, unweighted mean over classes, with its interval; None: too few images or groups.
    """

    fact: str
    accuracy: Number
    accuracy_low: Number
    accuracy_high: Number
    chance: float
    images: int


class Data(Part):
    """The images. `samples`: paths of a few training images of each class."""

    splits: dict[str, SplitImages]
    findings: list[Finding] = []
    one_fact_rules: list[OneFactRule] = []
    samples: dict[str, list[str]] = {}


class Accuracy(Part):
    """How a classifier judges the real images of a split.

    `confusion`: counts, rows true class, columns judged. `calibration`: bins of confidence from `low` to `high`, with
    their number of `images`, and the means of `confidence` and `accuracy`.
    """

    images: int
    accuracy: float
    accuracy_per_class: dict[str, float | None]
    confusion: list[list[int]]
    calibration_error: float
    calibration_limit: float | None = None  # 95 % quantile of the error of a calibrated classifier on as many images
    calibration: list[dict[str, Number]]

    @property
    def balanced(self) -> float:
        """The mean over the classes that have images: a frequent class does not count more."""
        known = [accuracy for accuracy in self.accuracy_per_class.values() if accuracy is not None]
        return sum(known) / len(known)

    @property
    def worst(self) -> tuple[str, float]:
        """The class whose images are judged right least often, and the share of them."""
        known = {name: accuracy for name, accuracy in self.accuracy_per_class.items() if accuracy is not None}
        return min(known.items(), key=lambda of_class: of_class[1])


class Fit(Part):
    """The training of a classifier that the workflow trained itself.

    `epochs`: `epoch`, `lr`, `train_loss`, `validation_loss` and `validation_accuracy` of each.
    """

    backbone: str
    parameters: int
    chosen_epoch: int
    epochs: list[dict[str, Number]]


class CheckedClassifier(Part):
    """A classifier and its accuracy on each split."""

    classifier: str  # path
    digest: str
    outputs: str
    channels: int | None = None
    left_out: list[str] = []  # classes that the data does not have
    has_one_output: bool = False
    one_vs_rest: bool = False  # whether its outputs, read as logits, seem to be those of a sigmoid per class
    splits: dict[str, Accuracy]


class Classifier(CheckedClassifier):
    """The classifier, and the oracles by name. `fit` is None if the config names a classifier."""

    classes: list[str] = []
    oracles: dict[str, CheckedClassifier] = {}
    fit: Fit | None = None


class Training(Part):
    """`history`: columns of the training history, None where a term was not computed; empty if nothing was logged."""

    steps: int
    seconds: float
    device: str
    sample_grids: list[str] = []
    history: dict[str, list[Number]] = {}


class Score(Numbers):
    """Averages over the class pairs of a checkpoint and style kind."""

    step: int
    kind: str
    checkpoint: str | None = None
    queries: int
    tries: int


class Selection(Part):
    """The selected checkpoint: `rule` and `why` are sentences, `digest` its SHA-256, `scores` those of all."""

    step: int
    split: str
    rule: str
    why: str
    digest: str
    scores: list[Score]


class Cell(Numbers):
    """A pair of classes: how many queries were expected, found and scored, how many tries, and the metrics."""

    source: str
    target: str
    expected: int | None = None
    found: int | None = None
    scored: int
    tries: int


class Averages(Numbers):
    """Unweighted means over the pairs of different classes."""

    queries: int
    tries: int


class Matrix(Part):
    """Every pair of classes of a split and style kind, rows source and columns target, one row after the other."""

    split: str
    kind: str
    averages: Averages
    cells: list[Cell]

    def rows(self, classes: list[str]) -> list[list[Cell]]:
        """The cells by source and target, in the order of `classes`."""
        cells = {(cell.source, cell.target): cell for cell in self.cells}
        return [[cells[source, target] for target in classes] for source in classes]


class GalleryEntry(Part):
    """A try: the best of its query, or in the group `typical` a random one.

    `group`: one of `gallery.GROUPS`; `round`: its rank within the group, from 0.
    """

    kind: str
    query: str
    source: str
    target: str
    style: str
    predicted: str
    query_predicted: str
    try_number: int = Field(alias="try")
    p_source: float
    p_target: float
    l1: float
    query_p_source: float
    query_p_target: float
    group: str
    round: int


class Gallery(Part):
    """The conversions that are shown, of `chosen` ones."""

    chosen: int
    entries: list[GalleryEntry]


class GridRow(Part):
    """A query, by its number; for each style the probability of the target class, and the predicted class."""

    query: int
    p_target: list[float]
    predicted: list[str]


class Grid(Part):
    """Queries converted into a class by the same styles: seeds of latents, or paths of reference images."""

    kind: str
    target: str
    styles: list[str]
    rows: list[GridRow]


class StyleGrids(Part):
    """The grids that are shown, of `chosen` queries, in pictures of at most `side` pixels.

    See `quac.evaluation.style_grids`. `references`: the split of the reference images; `queries`: `query`, a path, and
    `source`.
    """

    references: str
    queries: list[dict[str, str]]
    grids: list[Grid]
    chosen: int
    side: int


class Masks(Part):
    """How masks limit the conversion. `queries`: for each split how many have a mask, and how many there are."""

    edge: int
    queries: dict[str, tuple[int, int]]


class StageRecord(Part):
    """The provenance of a result, see `quac.system.provenance`; `result` names it."""

    model_config = ConfigDict(extra="allow")

    stage: str
    result: str
    keys: list[str]
    commit: str | None
    versions: dict[str, str]
    machine: str
    started: str
    seconds: float
    peak_memory_mb: float
    device: str = ""


class ReportWarning(Part):
    """A sentence, and the section that shows the numbers."""

    section: str
    text: str


class Report(Part):
    """Everything that a report shows, except the pictures.

    A part that a report does not have is None, and its section is left out. Parts of further sections may be added.
    """

    model_config = ConfigDict(extra="allow")

    format: Literal[2] = FORMAT
    run: str
    title: str
    notes: str = ""
    tags: list[str] = []
    classes: list[str]
    shown_split: str
    tries: int  # per query and target
    seed: int
    masks: Masks | None = None
    data: Data
    classifier: Classifier
    training: Training
    selection: Selection
    matrices: list[Matrix]
    hits: QueryHits | None = None
    controls: Controls | None = None
    gallery: Gallery | None = None
    explanations: Explanations | None = None
    features: FeatureChanges | None = None
    styles: StyleGrids | None = None
    config: dict[str, Any]  # the resolved config
    changed: list[tuple[str, Any]] = []  # the settings that differ from the defaults
    config_path: str
    stages: list[StageRecord]
    warnings: list[ReportWarning] = []

    @property
    def style_kinds(self) -> list[str]:
        """The style kinds of the matrices, in their order."""
        return list(dict.fromkeys(matrix.kind for matrix in self.matrices))

    @property
    def accuracy(self) -> Accuracy:
        """The classifier's, on the shown split."""
        return self.classifier.splits[self.shown_split]

    @property
    def commits(self) -> list[str]:
        """The versions of the program that made the results."""
        return sorted({stage.commit or "unknown" for stage in self.stages})

    def shown(self, kind: str) -> Matrix | None:
        """The matrix of a style kind of the shown split."""
        matrices = (matrix for matrix in self.matrices if (matrix.split, matrix.kind) == (self.shown_split, kind))
        return next(matrices, None)
