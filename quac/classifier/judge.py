"""The judge: the TorchScript classifier that says what class an image shows."""

import warnings

import numpy as np
import torch

from quac.data.batches import batches_of, load, to_square
from quac.errors import QuacError


class Judge:
    """Images in the networks' range -> class probabilities.

    The classifier gets `scale * x + shift`, resized to its own `img_size`.
    It may return logits or probabilities.
    """

    def __init__(self, path, settings, model, classes, device):
        """Load and try out a classifier.

        Args:
            path: TorchScript file, saved on a CPU or a GPU.
            settings: a config's `validation_config` section (scale, shift, img_size).
            model: a config's `model` section (img_size, input_dim): what it will be shown.
            classes: class names in the order of its outputs.

        Raises QuacError where the file is no TorchScript, does not accept
        the images, or has another number of outputs than there are classes.
        """
        self.path, self.settings, self.classes = path, settings, classes
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch.jit is deprecated, and what QuAC's users have
                self.module = torch.jit.load(path, map_location=device).eval()
        except (RuntimeError, ValueError, OSError) as error:
            raise QuacError(
                f"{path}: cannot be loaded as TorchScript ({_first_line(error)}); "
                "save it with torch.jit.script(model).save(...), and see validation_config.classifier_checkpoint"
            ) from None
        for parameter in self.module.parameters():
            parameter.requires_grad_(False)
        self.gives_probabilities = False
        self._try_out(model, device)

    def __call__(self, images):
        """(B, C, H, W) in the networks' range -> (B, classes) float32, rows sum to 1; gradients go through."""
        outputs = self._outputs(images).float()
        return outputs if self.gives_probabilities else outputs.softmax(1)

    def _outputs(self, images):
        x, size = images * self.settings.scale + self.settings.shift, self.settings.img_size
        return self.module(to_square(x, size))

    def _try_out(self, model, device):
        shape = (4, model.input_dim, model.img_size, model.img_size)
        probe = torch.linspace(-1, 1, int(np.prod(shape)), device=device).reshape(shape)
        size, channels = self.settings.img_size, model.input_dim
        try:
            with torch.inference_mode():
                outputs = self._outputs(probe)
        except RuntimeError as error:
            raise QuacError(
                f"{self.path}: does not accept images of {channels} x {size} x {size} ({_last_line(error)}); "
                "set validation_config.img_size to its size, or data.grayscale to its channels, or save it in float32"
            ) from None
        if not isinstance(outputs, torch.Tensor):
            raise QuacError(
                f"{self.path}: returns a {type(outputs).__name__} instead of a tensor (images, classes); "
                "save a model that returns the logits alone"
            )
        if outputs.shape != (4, len(self.classes)):
            raise QuacError(
                f"{self.path}: gives outputs of shape {tuple(outputs.shape)} for 4 images, but the data has "
                f"{len(self.classes)} classes ({', '.join(self.classes)}): expected (4, {len(self.classes)}). "
                "Name its classes, in its order, in data.classes, or give another classifier"
            )
        sums = outputs.float().sum(1)
        self.gives_probabilities = bool((outputs >= 0).all() and torch.allclose(sums, torch.ones_like(sums), atol=1e-3))


@torch.inference_mode()
def judge_store(judge, store, data, batch_size, device):
    """Probabilities (images, classes) of the real images of a split, as a NumPy array."""
    probabilities = np.empty((len(store), len(judge.classes)), np.float32)
    for rows in batches_of(store, np.arange(len(store)), batch_size):
        probabilities[rows] = judge(load(store, rows, device, data.scale, data.shift)).cpu().numpy()
    return probabilities


def accuracy_report(probabilities, labels, classes):
    """Accuracy over all images and per class, and the confusion matrix (rows true class, columns judged)."""
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (labels, probabilities.argmax(1)), 1)
    right, counts = confusion.diagonal(), confusion.sum(1)
    return {
        "images": int(counts.sum()),
        "accuracy": float(right.sum() / counts.sum()),
        "accuracy_per_class": {
            name: float(r / n) if n else None for name, r, n in zip(classes, right, counts, strict=True)
        },
        "confusion": confusion.tolist(),
    }


def require_accuracy(report, least, path):
    """Stop where the accuracy on validation is below `least`."""
    accuracy = report["accuracy"]
    if accuracy < least:
        raise QuacError(
            f"{path}: calls {accuracy:.1%} of {report['images']} real validation images right, less than "
            f"validation_config.min_accuracy ({least:.1%}). What it says of generated images would mean little. "
            "Check its input range (validation_config.scale, shift), its class order (data.classes), or lower the limit"
        )


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _last_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
