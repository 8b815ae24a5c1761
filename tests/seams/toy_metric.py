"""A metric: how bright a generated image is."""

from quac.evaluation.metrics import METRICS, Metric

METRICS["brightness"] = Metric(
    "brightness",
    "Brightness",
    "Mean of the generated image, in the range of the networks.",
    kind="try",
    bounds=(None, None),
    higher_is_better=None,
    measure=lambda tries: [image.mean((1, 2, 3)) for image in tries.images],
)
