"""The part of a report's JSON about measured features."""

from quac.report.parts import Number, Part


class FeatureChange(Part):
    """How a feature changes in the explained conversions of a class pair, see `quac.explanation.feature_changes`.

    `query`, `generated`, `counterfactual`: means; `..._change`: mean paired differences from the query, with 95 %
    intervals, and p-values adjusted for all features of the pair (Holm); `..._share`: of the difference between the
    means of the real images of both classes, None where they do not differ; `excess`: see FeaturePair.
    """

    feature: str
    unit: str
    conversions: int
    undefined: int
    query: Number
    generated: Number
    counterfactual: Number
    real_source: Number
    real_target: Number
    real_difference: Number
    real_difference_low: Number
    real_difference_high: Number
    real_difference_p: Number
    generated_change: Number
    generated_change_low: Number
    generated_change_high: Number
    generated_change_p: Number
    generated_share: Number
    counterfactual_change: Number
    counterfactual_change_low: Number
    counterfactual_change_high: Number
    counterfactual_change_p: Number
    counterfactual_share: Number
    excess: bool


class FeaturePair(Part):
    """The features of a style kind and class pair that change most, in standard deviations of real images.

    Certain changes (p < 0.05) come first. `excess`: names of all features that change strongly although the real
    classes do not differ in them; `left_out`: of those that too few images have.
    """

    kind: str
    source: str
    target: str
    conversions: int | None = None
    features: list[FeatureChange]
    excess: list[str]
    left_out: list[str]


class FeatureChanges(Part):
    """The measured features of the shown split; `definitions` of those that are shown."""

    split: str
    pairs: list[FeaturePair]
    definitions: dict[str, str]
