"""The part of a report's JSON about explanations."""

from collections.abc import Iterator

from quac.report.parts import Number, Part

MAX_CLASSES = 50  # of the matrices: a larger one is too large to be looked at


class MethodScores(Part):
    """The explanations of a style kind by an attribution method.

    `conversions`: how many are explained; `quac_score`, `mask_size`: medians; `flipped`: the share of counterfactuals
    that the classifier calls the target, `flipped_by` that of each oracle; `curve`: the median change of the target's
    probability at mask sizes of 0 to 1, evenly spaced, with its quartiles.
    """

    kind: str
    method: str
    conversions: int
    quac_score: Number
    mask_size: Number
    flipped: Number
    flipped_by: dict[str, Number]
    curve: list[Number]
    curve_low: list[Number]
    curve_high: list[Number]


class NoiseScores(MethodScores):
    """Adversarial noise in place of the conversions of a style kind; `eps`: its largest change, as a share of the
    range."""

    eps: float


class Mistakes(Part):
    """Conversions of queries that the classifier gets wrong into their own class, by a style kind.

    `queries`: how many are wrong; `corrected`: those that are called their class after a conversion; `explained`: the
    numbers of those that are explained, by their best method.
    """

    kind: str
    queries: int
    corrected: int
    explained: MethodScores | None = None


class ExplainedPair(Part):
    """Medians over the explained conversions of a pair of classes: `quac_scores` by method, COUT, AUPC."""

    kind: str
    source: str
    target: str
    conversions: int
    quac_scores: dict[str, Number]
    cout: Number = None
    aupc_target: Number = None


class ExplanationExample(Part):
    """An explanation by its best method; `file` is the path of its files, without an ending."""

    kind: str
    query: str
    source: str
    target: str
    method: str
    file: str
    quac_score: float
    mask_size: float
    query_p_target: float
    generated_p_target: float
    counterfactual_p_target: float
    counterfactual_predicted: str


class Explanations(Part):
    """The explanations of a split, of at most `max_per_pair` conversions of a pair.

    All numbers are of queries that the classifier calls their class, but for those of `mistakes`.
    """

    split: str
    max_per_pair: int | None
    methods: list[MethodScores]
    noise: list[NoiseScores]
    mistakes: list[Mistakes]
    pairs: list[ExplainedPair]
    examples: list[ExplanationExample]

    def score_matrices(self, classes: list[str]) -> Iterator[tuple[str, str, list[list[Number]]]]:
        """(style kind, method, median QuAC scores of each source and target); none for more than MAX_CLASSES."""
        for row in self.methods if len(classes) <= MAX_CLASSES else []:
            of_pair = {(p.source, p.target): p.quac_scores.get(row.method) for p in self.pairs if p.kind == row.kind}
            yield row.kind, row.method, [[of_pair.get((source, target)) for target in classes] for source in classes]
