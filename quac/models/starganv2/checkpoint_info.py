"""A checkpoint's description of itself, so that it can be used without its run. (Starts without torch.)"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from quac.config import Config
from quac.config.choices import PreprocessMode
from quac.config.data import Data
from quac.config.section import Byte, Positive, Section
from quac.config.training import Model
from quac.system.errors import QuacError

FORMAT = 1
KEY = "quac"  # in a checkpoint, next to the networks
OF_DATA = ("scale", "shift", "preprocess", "load_size", "img_size", "range", "background", "page", "max_pixels")


class CheckpointInfo(Section):
    """The networks of a checkpoint, their classes, and how images become their input: as a `data` section."""

    format: Literal[1] = 1
    model: Model  # every size filled in
    classes: Annotated[list[str], Field(min_length=2)]  # in the order of the heads
    scale: float = 2.0
    shift: float = -1.0
    channels: Literal[1, 3]
    preprocess: PreprocessMode = "resize"
    load_size: Positive | None
    img_size: Positive
    range: tuple[float, float] | None = None
    background: tuple[Byte, Byte, Byte] = Data().background
    page: int | None = None
    max_pixels: Positive = Data().max_pixels
    step: int | None = None  # of the training

    @model_validator(mode="after")
    def _is_consistent(self) -> "CheckpointInfo":
        model = self.model
        if (model.img_size, model.input_dim, model.num_domains) != (self.img_size, self.channels, len(self.classes)):
            raise ValueError("its sizes contradict each other")
        if model.conv_dim is None:
            raise ValueError("its sizes are incomplete")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("two classes have the same name")
        if not self.scale:
            raise ValueError("scale is 0")
        return self

    @classmethod
    def of(cls, config: Config, classes: list[str], step: int) -> "CheckpointInfo":
        """The information about the networks of a training at a step. `classes`: names, in the order of the heads."""
        model = Model(**{**vars(config.model), "num_domains": len(classes)})
        data = {name: getattr(config.data, name) for name in OF_DATA}
        return cls(model=model, classes=[*classes], channels=config.model.input_dim, step=step, **data)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as a checkpoint holds them."""
        return self.model_dump(mode="json")


def read_info(content: Any, path: Path) -> CheckpointInfo | None:
    """The CheckpointInfo in the content of a checkpoint; None if it has none, like published files.

    Raises QuacError if it is of another format, or damaged.
    """
    info = content.get(KEY) if isinstance(content, dict) else None
    if info is None:
        return None
    version = info.get("format") if isinstance(info, dict) else None
    if version != FORMAT:
        message = f"its description has format {version}, but this quac reads {FORMAT}. Install a newer quac."
        raise QuacError(f"{path}: {message}")
    try:
        return CheckpointInfo.model_validate(info)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise QuacError(
            f"{path}: its description cannot be used ({place + ': ' if place else ''}{first['msg']}). Use the file "
            "that the training wrote."
        ) from None
