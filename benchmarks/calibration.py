"""How often a perfectly calibrated classifier is warned of, by the number of images: `make bench-calibration`.

Confidences are uniform in [0.5, 1], labels right with these probabilities. *Before*: a warning above an error of 0.1.
*Now*: only if the error is also above its 95 % quantile under calibration.
"""

import numpy as np
from measure import table

from quac.classifier.accuracy import calibration
from quac.report.warnings import MAX_CALIBRATION_ERROR

IMAGES, TRIALS = (20, 50, 100, 225), 2000


def main() -> None:
    rows = [["images", "mean calibration error", "mean limit", "warned before", "warned now"]]
    for images in IMAGES:
        found = np.array([measure(images, trial) for trial in range(TRIALS)])
        error, limit = found.T
        before, now = error > MAX_CALIBRATION_ERROR, error > np.maximum(MAX_CALIBRATION_ERROR, limit)
        means = [f"{values.mean():.3f}" for values in (error, limit)]
        rows.append([str(images), *means, *(f"{100 * warned.mean():.1f} %" for warned in (before, now))])
    table("Calibration", rows)


def measure(images: int, trial: int) -> tuple[float, float]:
    """The calibration error of such a classifier on so many images, and its limit."""
    rng = np.random.default_rng([images, trial])
    p = rng.uniform(0.5, 1, images)
    labels = np.where(rng.random(images) < p, 0, 1)
    found = calibration(np.log(np.stack([p, 1 - p], 1)), labels)
    return found["calibration_error"], found["calibration_limit"]


if __name__ == "__main__":
    main()
