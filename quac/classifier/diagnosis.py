"""Why a classifier is weak: usually because of its input range, or the order of its classes."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import yaml
from scipy.optimize import linear_sum_assignment

from quac.classifier.accuracy import class_accuracies, confusion_matrix, judge_store
from quac.classifier.judge import Judge
from quac.config.data import Data
from quac.config.evaluation import PerChannel
from quac.data.store import Store
from quac.system.errors import QuacError

# Usual input ranges of classifiers, as scale and shift of pixels in [0, 1]. ImageNet: the means and standard deviations
# that torchvision documents for its weights, per channel; for one channel the averages of scale and shift.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RANGES: dict[str, tuple[PerChannel, PerChannel]] = {
    "pixels in [0, 1]": (1.0, 0.0),
    "pixels in [-1, 1]": (2.0, -1.0),
    "pixels in [0, 255]": (255.0, 0.0),
    "pixels normalised as ImageNet": ([1 / s for s in STD], [-m / s for m, s in zip(MEAN, STD, strict=True)]),
}
MIN_GAIN = 0.1  # in accuracy, of another class order; a smaller gain may be chance


class _Attempt(NamedTuple):
    """Another way to use a classifier, and its accuracy then on the class on which it is worst."""

    accuracy: float
    scale: PerChannel
    shift: PerChannel
    description: str
    order: list[str] | None = None  # of the classes; None: as it is


def require_accuracy(
    judge: Judge, logits: np.ndarray, store: Store, data: Data, batch_size: int, minimum: float
) -> None:
    """Raise QuacError if the accuracy of a judge on the real images of a class is below `minimum`, 0 to 1.

    That over all images would be high for a judge that calls everything a frequent class. `logits` (images, classes)
    are those of the images of `store`; `data` has the networks' range (scale, shift). The message names the settings
    that would help, if there are any.
    """
    confusion = confusion_matrix(logits.argmax(1), store.labels, len(store.classes))
    accuracies = class_accuracies(confusion)
    worst = int(np.nanargmin(accuracies))
    if accuracies[worst] >= minimum:
        return
    best = max(_attempts(judge, logits, store, data, batch_size), key=lambda attempt: attempt.accuracy)
    used = _range_keys(judge.judging.scale, judge.judging.shift).replace(":", "")
    weak = (
        f"{judge.path}: classifies {accuracies[worst]:.1%} of the {confusion[worst].sum()} real validation images of "
        f"{store.classes[worst]} correctly with {used}, less than min_accuracy ({minimum:.1%}); over all classes, "
        f"{np.nanmean(accuracies):.1%}. "
    )
    if best.accuracy < minimum:
        raise QuacError(
            f"{weak}No usual input range and no other class order helps (at best {best.accuracy:.1%}, with "
            f"{best.description}). Its decisions on generated images would mean little: train it longer, use another "
            "classifier, or lower the limit"
        )
    settings = []
    if (best.scale, best.shift) != (judge.judging.scale, judge.judging.shift):
        settings.append(_range_keys(best.scale, best.shift))
    if best.order:
        settings.append(f"classes: {yaml.safe_dump(best.order, default_flow_style=True, width=math.inf).strip()}")
    better = f"Its accuracy is at least {best.accuracy:.1%} with {best.description}"
    raise QuacError(f"{weak}{better}: set, in {judge.section}, {', '.join(settings)}")


def _attempts(judge: Judge, logits: np.ndarray, store: Store, data: Data, batch_size: int) -> Iterator[_Attempt]:
    """Yield every usual input range, with the class order as it is and with the best one if that is much better."""
    outputs = [(judge.judging.scale, judge.judging.shift, "these", logits)]
    for description, pixel_range in RANGES.items():
        scale, shift = _from_networks(*pixel_range, judge.channels, data)
        in_range = judge.with_range(scale, shift)
        outputs.append((scale, shift, description, judge_store(in_range, store, data, batch_size, judge.device)))
    for scale, shift, description, logits_in_range in outputs:
        confusion = confusion_matrix(logits_in_range.argmax(1), store.labels, len(store.classes))
        accuracy = float(np.nanmin(class_accuracies(confusion)))
        yield _Attempt(accuracy, scale, shift, description)
        if judge.left_out or judge.has_one_output:
            continue
        shares = np.nan_to_num(confusion / confusion.sum(1, keepdims=True).clip(1))
        true, judged = linear_sum_assignment(shares, maximize=True)
        permuted = float(shares[true, judged].min())
        if permuted >= accuracy + MIN_GAIN:
            # The output that is read as the class `judged` belongs to the class `true`.
            by_output = dict(zip((judge.order[column] for column in judged), true, strict=True))
            order = [store.classes[by_output[output]] for output in sorted(by_output)]
            yield _Attempt(permuted, scale, shift, f"{description} and another class order", order)


def _from_networks(scale: PerChannel, shift: PerChannel, channels: int, data: Data) -> tuple[PerChannel, PerChannel]:
    """Scale and shift of pixels -> of the networks' range; one number if it is the same for all channels."""
    scales, shifts = ([value] * channels if isinstance(value, float) else list(value) for value in (scale, shift))
    if len(scales) != channels:
        scales, shifts = [float(np.mean(scales))], [float(np.mean(shifts))]
    shifts = [round(b - a * data.shift / data.scale, 6) for a, b in zip(scales, shifts, strict=True)]
    scales = [round(a / data.scale, 6) for a in scales]
    scale, shift = (values[0] if len(set(values)) == 1 else values for values in (scales, shifts))
    return scale, shift


def _range_keys(scale: PerChannel, shift: PerChannel) -> str:
    """Scale and shift as YAML keys."""

    def text(value: PerChannel) -> str:
        return f"[{', '.join(f'{number:g}' for number in value)}]" if isinstance(value, list) else f"{value:g}"

    return f"scale: {text(scale)}, shift: {text(shift)}"
