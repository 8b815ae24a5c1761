"""The judge: the classifier whose decisions on images are the results."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch

from quac.classifier.loading import load_classifier
from quac.config.evaluation import FITTED_ORACLE, Judging, PerChannel
from quac.config.training import Model
from quac.data.batches import to_square
from quac.system.errors import QuacError, error_lines

MAX_LOGIT = 1e4
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as in Pillow


class Judge:
    """Images in the networks' range -> class probabilities.

    The classifier gets `scale * x + shift`, resized to its own `img_size`. Colour images are converted to grey, and
    grey images to three equal channels, if it takes no others. It may return logits or probabilities.
    """

    def __init__(
        self,
        path: str | Path,
        judging: Judging,
        model: Model,
        classes: Sequence[str],
        device: torch.device,
        section: str = "validation_config",
    ):
        """Load a classifier, and test it on four images.

        Args:
            path: see `quac.classifier.loading.load_classifier`.
            judging: `scale` and `shift`, a number each or one per channel of the classifier; `img_size`; `outputs`:
                logits, probabilities, or auto; `classes`, in the order of its outputs, or None: those of the data.
            model: the shape of the images (img_size, input_dim).
            classes: class names of the data, in the order of the probabilities that the judge returns.
            section: of the config, for messages.

        Raises QuacError if the file is not a classifier, does not accept the images, or has other classes.
        """
        self.path, self.judging, self.classes, self.section = path, judging, list(classes), section
        self.module, self.device = load_classifier(path, device), device
        named = judging.classes or self.classes
        if sorted(named) != sorted(classes):
            raise QuacError(
                f"{path}: {section}.classes is {', '.join(named)}, but the data has {', '.join(classes)}; "
                f"name these in {section}.classes, in the order of the classifier's outputs"
            )
        self.order = [named.index(name) for name in classes]
        # Kept on the device, because copying a number to it makes the CPU wait.
        self.columns = torch.tensor(self.order, device=device)
        self.constants: dict[tuple[float, ...], torch.Tensor] = {}
        self.channels, outputs = self._test(model)
        sums = outputs.float().sum(1)
        seem_probabilities = bool((outputs >= 0).all() and torch.allclose(sums, torch.ones_like(sums), atol=1e-3))
        self.gives_probabilities = seem_probabilities if judging.outputs == "auto" else judging.outputs != "logits"

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) in the networks' range -> probabilities (B, classes), float32, differentiable."""
        return self.logits(images).softmax(1)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """As `__call__`, before the softmax; logarithms if the classifier returns probabilities."""
        outputs = self._outputs(images, self.channels).float().index_select(1, self.columns)
        # Finite also for a probability of 0, because distances are computed from these.
        return outputs.clamp_min(1e-12).log() if self.gives_probabilities else outputs.clamp(-MAX_LOGIT, MAX_LOGIT)

    def with_range(self, scale: PerChannel, shift: PerChannel) -> "Judge":
        """The same judge with another scale and shift."""
        judge = copy.copy(self)
        judge.judging = self.judging.model_copy(update={"scale": scale, "shift": shift})
        return judge

    def _outputs(self, images: torch.Tensor, channels: int) -> Any:
        """What the classifier returns: a tensor, unless it is refused by `_test`."""
        x = images if images.shape[1] == channels else images.expand(-1, 3, -1, -1)
        if channels < images.shape[1]:
            x = torch.einsum("bchw,c->bhw", images, self._constant(LUMINANCE))[:, None]
        x = x * self._per_channel(self.judging.scale, channels) + self._per_channel(self.judging.shift, channels)
        return self.module(to_square(x, cast(int, self.judging.img_size)))  # filled in by `quac.config.resolve`

    def _per_channel(self, value: PerChannel, channels: int) -> float | torch.Tensor:
        """A number as it is; numbers per channel as a tensor (channels, 1, 1)."""
        if not isinstance(value, list):
            return value
        if len(value) != channels:
            raise ValueError(f"{self.section}.scale or shift has {len(value)} numbers for {channels} channel(s)")
        return self._constant(value)[:, None, None]

    def _constant(self, numbers: Sequence[float]) -> torch.Tensor:
        key = tuple(numbers)
        if key not in self.constants:
            with torch.inference_mode(False):  # it may be part of a backward pass later
                self.constants[key] = torch.tensor(key, dtype=torch.float32, device=self.device)
        return self.constants[key]

    def _test(self, model: Model) -> tuple[int, torch.Tensor]:
        """The number of channels that the classifier takes, and its outputs for four images."""
        side, input_dim = cast(int, model.img_size), cast(int, model.input_dim)  # filled in when resolved
        probe = torch.linspace(-1, 1, 4 * input_dim * side**2, device=self.device).reshape(4, input_dim, side, side)
        size, refused = self.judging.img_size, []
        for channels in (input_dim, 4 - input_dim):
            try:
                with torch.inference_mode():
                    outputs = self._outputs(probe, channels)
                break
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # of the module, of TorchScript, or of the guards of exported programs
                refused.append(error_lines(error)[-1])
        else:
            raise QuacError(
                f"{self.path}: does not accept images of {input_dim} x {size} x {size} ({refused[0]}), nor of "
                f"{4 - input_dim} channel(s) ({refused[1]}); set {self.section}.img_size to its size, set "
                "scale and shift to a number, or one for each of its channels, save it in float32, or export it for "
                "batches of any size"
            )
        if not isinstance(outputs, torch.Tensor):
            raise QuacError(
                f"{self.path}: returns a {type(outputs).__name__} instead of a tensor (images, classes); "
                "save a model that returns only the logits"
            )
        if outputs.shape != (4, len(self.classes)):
            remedy = ", or name its classes in data.classes" if self.section == "validation_config" else ""
            raise QuacError(
                f"{self.path}: returns outputs of shape {tuple(outputs.shape)} for 4 images, but the data has "
                f"{len(self.classes)} classes ({', '.join(self.classes)}): expected (4, {len(self.classes)}). "
                f"Name another classifier in {self.section}{remedy}"
            )
        return channels, outputs


def open_oracles(
    oracles: str | Mapping[str, Judging],
    paths: Sequence[Path],
    model: Model,
    classes: Sequence[str],
    device: torch.device,
) -> dict[str, Judge]:
    """The oracles of a config's key `oracles`; their files are in the alphabetical order of the names."""
    if isinstance(oracles, str):  # the one that the workflow trains, if any
        oracles = {FITTED_ORACLE: Judging(img_size=model.img_size)} if oracles == "auto" else {}
    return {
        name: Judge(path, judging, model, classes, device, f"oracles.{name}")
        for (name, judging), path in zip(sorted(oracles.items()), paths, strict=True)
    }
