"""The judge: the classifier whose decisions on images are the results."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch

from quac.classifier.loading import load_classifier
from quac.classifier.trial import try_out
from quac.config.evaluation import FITTED_ORACLE, Judging, PerChannel
from quac.config.training import Model
from quac.data.batches import to_square
from quac.system.errors import QuacError, error_lines

MAX_LOGIT = 1e4
LUMINANCE = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601, as in Pillow


class Judge:
    """Images in the networks' range -> class probabilities.

    The classifier gets `scale * x + shift`, resized to its own `img_size`. Colour images are converted to grey, and
    grey images to three equal channels, if it takes no others. It may return logits or probabilities; for two classes
    also one number, the logit or the probability of the second. Of its classes, those that the data does not have are
    left out: the probabilities of the others are those among all its classes.

    Attributes:
        classes: names, in the order of the probabilities.
        named: the classes of the classifier, in the order of its outputs.
        left_out: those that the data does not have.
        gives_probabilities: what its outputs are taken for; else logits.
        has_one_output: whether it returns one number for two classes.
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
        """Load a classifier, and try it out, see `quac.classifier.trial`.

        Args:
            path: see `quac.classifier.loading.load_classifier`.
            judging: `scale` and `shift`, a number each or one per channel of the classifier; `img_size`; `outputs`:
                logits, probabilities, or auto; `classes`, in the order of its outputs, which may be more than those of
                the data, or None: these.
            model: the shape of the images (img_size, input_dim).
            classes: class names of the data, in the order of the probabilities that the judge returns.
            section: of the config, for messages.

        Raises QuacError if the file is not a classifier, does not accept the images, or has other classes.
        """
        self.path, self.judging, self.classes, self.section = path, judging, list(classes), section
        self.module, self.device = load_classifier(path, device), device
        named = judging.classes or self.classes
        if len(set(named)) != len(named) or not set(classes) <= set(named):
            raise QuacError(
                f"{path}: {section}.classes is {', '.join(named)}, but the data has {', '.join(classes)}; "
                f"name these in {section}.classes, each once, in the order of the classifier's outputs"
            )
        self.named = list(named)
        self.left_out = [name for name in named if name not in classes]
        self.order = [named.index(name) for name in classes]
        # Kept on the device, because copying a number to it makes the CPU wait.
        self.columns = torch.tensor(self.order, device=device)
        self.constants: dict[tuple[float, ...], torch.Tensor] = {}
        self.channels, outputs = self._test(model)
        self.has_one_output = outputs.shape[1] == 1
        if self.is_ambiguous(outputs):
            raise self.ambiguity
        sums = outputs.float().sum(1)
        seem_probabilities = not self.has_one_output and bool(
            (outputs >= 0).all() and torch.allclose(sums, torch.ones_like(sums), atol=1e-3)
        )
        self.gives_probabilities = seem_probabilities if judging.outputs == "auto" else judging.outputs != "logits"

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) in the networks' range -> probabilities (B, classes), float32, differentiable."""
        return self.probabilities(self.logits(images))

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """(B, classes): logarithms of the probabilities if the classifier returns these, or if classes are left out."""
        outputs = self.outputs(images)
        if self.has_one_output:
            rest = 1 - outputs if self.gives_probabilities else -outputs / 2
            outputs = torch.cat([rest, outputs if self.gives_probabilities else outputs / 2], 1)
        # Finite also for a probability of 0, because distances are computed from these.
        logits = outputs.clamp_min(1e-12).log() if self.gives_probabilities else outputs.clamp(-MAX_LOGIT, MAX_LOGIT)
        return (logits.log_softmax(1) if self.left_out else logits).index_select(1, self.columns)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Those of `logits` (B, classes); if classes are left out, they add up to less than 1."""
        return logits.exp() if self.left_out else logits.softmax(1)

    def outputs(self, images: torch.Tensor) -> torch.Tensor:
        """What the classifier itself returns for images in the networks' range, float32."""
        return self._run(images, self.channels).float()

    def is_ambiguous(self, outputs: torch.Tensor) -> bool:
        """Whether outputs (images, 1) may be those of a sigmoid, and nobody has said so."""
        unsaid = self.has_one_output and self.judging.outputs == "auto"
        return unsaid and bool(((outputs >= 0) & (outputs <= 1)).all())

    @property
    def ambiguity(self) -> QuacError:
        """The error about outputs that are ambiguous."""
        return QuacError(
            f"{self.path}: returns one number from 0 to 1 for every image, as a sigmoid does; set "
            f"{self.section}.outputs to probabilities, or to logits if it is the logit"
        )

    def with_range(self, scale: PerChannel, shift: PerChannel) -> "Judge":
        """The same judge with another scale and shift."""
        judge = copy.copy(self)
        judge.judging = self.judging.model_copy(update={"scale": scale, "shift": shift})
        return judge

    def _run(self, images: torch.Tensor, channels: int) -> Any:
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

    @torch.inference_mode()
    def _test(self, model: Model) -> tuple[int, torch.Tensor]:
        """The number of channels that the classifier takes, and its outputs for four images."""
        side, input_dim = cast(int, model.img_size), cast(int, model.input_dim)  # filled in when resolved
        probe = torch.linspace(-1, 1, 4 * input_dim * side**2, device=self.device).reshape(4, input_dim, side, side)
        size, refused = self.judging.img_size, []
        for channels in (input_dim, 4 - input_dim):
            try:
                self._run(probe, channels)
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
        outputs = try_out(self.path, lambda images: self._run(images, channels), probe)
        if outputs.shape[1] != len(self.named) and (outputs.shape[1], len(self.named)) != (1, 2):
            remedy = ", or name its classes in data.classes" if self.section == "validation_config" else ""
            raise QuacError(
                f"{self.path}: returns outputs of shape {tuple(outputs.shape)} for 4 images, but there are "
                f"{len(self.named)} classes ({', '.join(self.named)}): expected (4, {len(self.named)}). If it has more "
                f"than the data, name them all in {self.section}.classes, or else name another classifier in "
                f"{self.section}{remedy}"
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
