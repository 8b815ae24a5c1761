"""Why a judge is weak: the usual suspects are its input range and the order of its classes."""

import math
from types import SimpleNamespace

import numpy as np
import yaml
from scipy.optimize import linear_sum_assignment

from quac.classifier.accuracy import confusion_matrix, judge_store
from quac.system.errors import QuacError

# What classifiers are trained on, as scale and shift of pixels in [0, 1]. ImageNet: the means and standard deviations
# that torchvision's weights are documented with, per channel; for one channel the averages of scale and shift.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RANGES = {
    "pixels in [0, 1]": (1.0, 0.0),
    "pixels in [-1, 1]": (2.0, -1.0),
    "pixels in [0, 255]": (255.0, 0.0),
    "pixels normalised as ImageNet": ([1 / s for s in STD], [-m / s for m, s in zip(MEAN, STD, strict=True)]),
}
WORTH = 0.1  # what another class order must gain, to be taken for more than chance


def require_accuracy(judge, logits, store, data, batch_size, least):
    """Stop where a judge calls fewer than `least` of the real images of a split right, and say what would help.

    `logits` are its own of the images of `store`.
    """
    accuracy = float((logits.argmax(1) == store.labels).mean())
    if accuracy >= least:
        return
    tried = sorted(_tried(judge, logits, store, data, batch_size), key=lambda one: -one[0])
    weak = (
        f"{judge.path}: calls {accuracy:.1%} of {len(store)} real validation images right with "
        f"{_spoken(judge.settings)}, less than min_accuracy ({least:.1%}). "
    )
    best, scale, shift, what, order = tried[0]
    if best < least:
        raise QuacError(
            f"{weak}No usual input range and no other class order helps (at best {best:.1%}, with {what}). "
            "What it says of generated images would mean little: train it longer, give another, or lower the limit"
        )
    wanted = [] if (scale, shift) == (judge.settings.scale, judge.settings.shift) else [_numbers(scale, shift)]
    wanted += [f"classes: {yaml.safe_dump(order, default_flow_style=True, width=math.inf).strip()}"] if order else []
    raise QuacError(f"{weak}It is {best:.1%} with {what}: set, in {judge.section}, {', '.join(wanted)}")


def _tried(judge, logits, store, data, batch_size):
    """(accuracy, scale, shift, what it is, class order or None) of each suspect."""
    own, known = judge.settings, [(judge.settings.scale, judge.settings.shift, "these", logits)]
    for what, (scale, shift) in RANGES.items():
        scale, shift = _from_networks(scale, shift, judge.channels, data)
        judge.settings = SimpleNamespace(**{**_as_dict(own), "scale": scale, "shift": shift})
        try:
            known.append((scale, shift, what, judge_store(judge, store, data, batch_size, judge.device)))
        finally:
            judge.settings = own
    for scale, shift, what, outputs in known:
        confusion = confusion_matrix(outputs.argmax(1), store.labels, len(store.classes))
        accuracy = float(confusion.diagonal().sum() / confusion.sum())
        yield accuracy, scale, shift, what, None
        true, judged = linear_sum_assignment(confusion, maximize=True)
        permuted = float(confusion[true, judged].sum() / confusion.sum())
        if permuted >= accuracy + WORTH:
            names = [store.classes[i] for i in np.argsort(judge.order)]  # of the outputs, as they are now
            order = [names[0]] * len(names)
            for label, column in zip(true, judged, strict=True):
                order[judge.order[column]] = store.classes[label]
            yield permuted, scale, shift, f"{what} and another class order", order


def _from_networks(scale, shift, channels, data):
    """Scale and shift of pixels -> of the networks' range; one number where all channels have the same."""
    scales, shifts = ([value] * channels if isinstance(value, float) else list(value) for value in (scale, shift))
    if len(scales) != channels:
        scales, shifts = [float(np.mean(scales))], [float(np.mean(shifts))]
    shifts = [round(b - a * data.shift / data.scale, 6) for a, b in zip(scales, shifts, strict=True)]
    scales = [round(a / data.scale, 6) for a in scales]
    return tuple(values[0] if len(set(values)) == 1 else values for values in (scales, shifts))


def _as_dict(settings):
    return settings.model_dump() if hasattr(settings, "model_dump") else vars(settings)


def _spoken(settings):
    return _numbers(settings.scale, settings.shift).replace(":", "")


def _numbers(scale, shift):
    def text(value):
        return f"[{', '.join(f'{one:g}' for one in value)}]" if isinstance(value, list | tuple) else f"{value:g}"

    return f"scale: {text(scale)}, shift: {text(shift)}"
