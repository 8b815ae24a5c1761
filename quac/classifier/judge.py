"""The judge: the classifier that says what class an image shows."""

import math

import torch

from quac.classifier.loading import load_classifier
from quac.data.batches import to_square
from quac.system.errors import QuacError, lines_of

LARGEST = 1e4  # logit
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as Pillow turns colour into grey


class Judge:
    """Images in the networks' range -> class probabilities.

    The classifier gets `scale * x + shift`, resized to its own `img_size`;
    colour images in grey and grey images three times over, where it takes no
    others. It may return logits or probabilities.
    """

    def __init__(self, path, settings, model, classes, device, section="validation_config"):
        """Load and try out a classifier.

        Args:
            path: see `quac.classifier.loading.load_classifier`.
            settings: a config's `validation_config` section: `scale` and `shift`, a number each or one per channel of
                the classifier; `img_size`; `outputs`: logits, probabilities, or auto; `classes`, in the order of its
                outputs, or None: those of the data.
            model: a config's `model` section (img_size, input_dim): what it will be shown.
            classes: class names of the data, in their order, which is that of the probabilities.
            section: of the config, for messages.

        Raises QuacError where the file is no classifier, does not accept the
        images, or has other classes than there are.
        """
        self.path, self.settings, self.classes, self.section = path, settings, classes, section
        self.module, self.device = load_classifier(path, device), device
        named = settings.classes or classes
        if sorted(named) != sorted(classes):
            raise QuacError(
                f"{path}: its classes are said to be {', '.join(named)}, but the data has {', '.join(classes)}; "
                f"name these in {section}.classes, in the order of its outputs"
            )
        self.order = [named.index(name) for name in classes]
        # Kept on the device, since the CPU waits for each number that is copied there.
        self.columns, self.constants = torch.tensor(self.order, device=device), {}
        self.channels, outputs = self._try_out(model)
        self.gives_probabilities = settings.outputs == "probabilities" or (
            settings.outputs == "auto" and _are_probabilities(outputs)
        )

    def __call__(self, images):
        """(B, C, H, W) in the networks' range -> (B, classes) float32, rows sum to 1; gradients go through."""
        return self.logits(images).softmax(1)

    def logits(self, images):
        """As `__call__`, before the softmax; of a classifier that gives probabilities their logarithms."""
        outputs = self._outputs(images, self.channels).float().index_select(1, self.columns)
        # Of a probability of 0 the logarithm is finite too: distances are worked out of these.
        return outputs.clamp_min(1e-12).log() if self.gives_probabilities else outputs.clamp(-LARGEST, LARGEST)

    def _outputs(self, images, channels):
        x = self._in_channels(images, channels)
        x = x * self._each(self.settings.scale, channels) + self._each(self.settings.shift, channels)
        return self.module(to_square(x, self.settings.img_size))

    def _each(self, value, channels):
        """A number as it is; one per channel as a tensor."""
        if not isinstance(value, list | tuple):
            return value
        if len(value) != channels:
            raise ValueError(f"{self.section}.scale or shift has {len(value)} numbers for {channels} channel(s)")
        return self._constant(value)[:, None, None]

    def _constant(self, numbers):
        numbers = tuple(numbers)
        if numbers not in self.constants:
            with torch.inference_mode(False):  # gradients may have to go through it later
                self.constants[numbers] = torch.tensor(numbers, dtype=torch.float32, device=self.device)
        return self.constants[numbers]

    def _in_channels(self, images, channels):
        if images.shape[1] == channels:
            return images
        if channels == 3:
            return images.expand(-1, 3, -1, -1)
        return torch.einsum("bchw,c->bhw", images, self._constant(LUMINANCE))[:, None]

    def _try_out(self, model):
        """The number of channels that it takes, and its outputs for four images."""
        shape = (4, model.input_dim, model.img_size, model.img_size)
        probe = torch.linspace(-1, 1, math.prod(shape), device=self.device).reshape(shape)
        size, refused = self.settings.img_size, []
        for channels in (model.input_dim, 4 - model.input_dim):
            try:
                with torch.inference_mode():
                    outputs = self._outputs(probe, channels)
                break
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # of the module itself, of TorchScript, of the guards of exported programs
                refused.append(lines_of(error)[-1])
        else:
            raise QuacError(
                f"{self.path}: does not accept images of {model.input_dim} x {size} x {size} ({refused[0]}), nor of "
                f"{4 - model.input_dim} channel(s) ({refused[1]}); set {self.section}.img_size to its size, give "
                "scale and shift a number, or one for each of its channels, save it in float32, or export it for "
                "batches of any size"
            )
        if not isinstance(outputs, torch.Tensor):
            raise QuacError(
                f"{self.path}: returns a {type(outputs).__name__} instead of a tensor (images, classes); "
                "save a model that returns the logits alone"
            )
        if outputs.shape != (4, len(self.classes)):
            raise QuacError(
                f"{self.path}: gives outputs of shape {tuple(outputs.shape)} for 4 images, but the data has "
                f"{len(self.classes)} classes ({', '.join(self.classes)}): expected (4, {len(self.classes)}). "
                f"Give another classifier in {self.section}"
                + (", or name its classes in data.classes" if self.section == "validation_config" else "")
            )
        return channels, outputs


def open_judges(sections, paths, model, classes, device):
    """Further judges, {name: Judge}: `sections` is a namespace of what Judge takes, `paths` are in the names' order."""
    return {
        name: Judge(path, section, model, classes, device, f"judges.{name}")
        for (name, section), path in zip(sorted(vars(sections).items()), paths, strict=True)
    }


def _are_probabilities(outputs):
    sums = outputs.float().sum(1)
    return bool((outputs >= 0).all() and torch.allclose(sums, torch.ones_like(sums), atol=1e-3))
