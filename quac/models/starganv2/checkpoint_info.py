"""What a checkpoint says of itself, so that it can be used without the run that made it. (Starts without torch.)"""

from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from quac.config.data import Data
from quac.config.section import Byte, Positive, Section
from quac.config.training import Model
from quac.data.preprocess import MODES
from quac.system.errors import QuacError

FORMAT = 1
KEY = "quac"  # in a checkpoint, beside the networks


class Description(Section):
    """The networks, their classes, and how images reach them.

    It may be handed to what takes the settings of reading (`quac.data.images.read_image`), of sizes
    (`quac.data.preprocess`) or of the range (scale, shift).
    """

    format: Literal[1] = FORMAT
    model: Model  # every size filled in
    classes: Annotated[list[str], Field(min_length=2)]  # in the order of the heads
    scale: float = 2.0
    shift: float = -1.0
    channels: Literal[1, 3]
    preprocess: Literal[MODES] = "resize"
    load_size: Positive | None
    img_size: Positive
    range: tuple[float, float] | None = None
    background: tuple[Byte, Byte, Byte] = Data().background
    page: int | None = None
    max_pixels: Positive = Data().max_pixels
    step: int | None = None  # of the training

    @model_validator(mode="after")
    def _agrees(self):
        model = self.model
        of_networks = (model.img_size, model.input_dim, model.num_domains)
        if of_networks != (self.img_size, self.channels, len(self.classes)) or model.conv_dim is None:
            raise ValueError("its sizes contradict each other")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("two classes have one name")
        if not self.scale:
            raise ValueError("scale is 0")
        return self

    def as_dict(self):
        """Plain values, as a checkpoint holds them."""
        return self.model_dump(mode="json")


def description_of(settings, classes, step):
    """The Description of a training's networks.

    Args:
        settings: `model` and `data` of the training's key: see `quac.config.stages`.
        classes: names, in their order.
    """
    data = {**vars(settings.data), **vars(settings.data.reading)}
    fields = Description.model_fields.keys() - {"format", "model", "classes", "channels", "step"}
    return Description(
        model=Model(**{**vars(settings.model), "num_domains": len(classes)}),
        classes=list(classes),
        channels=settings.model.input_dim,
        step=step,
        **{name: data[name] for name in fields},
    )


def read_description(content, path):
    """The Description out of what a checkpoint holds, or None: published files have none.

    Raises QuacError where it is of another version, or damaged.
    """
    found = content.get(KEY) if isinstance(content, dict) else None
    if found is None:
        return None
    version = found.get("format") if isinstance(found, dict) else None
    if version != FORMAT:
        raise QuacError(
            f"{path}: describes itself in format {version}, but this quac reads {FORMAT}; install a newer one"
        )
    try:
        return Description.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise QuacError(
            f"{path}: what it says of itself cannot be used ({where + ': ' if where else ''}{first['msg']}); "
            "give the file that the training wrote"
        ) from None


def require_same(description, path, model, num_domains):
    """Stop where a checkpoint says that it is of other networks than those asked for."""
    if len(description.classes) != num_domains:
        raise QuacError(
            f"{path}: is of {len(description.classes)} classes ({', '.join(description.classes)}), but {num_domains} "
            "are asked for; give a checkpoint of these classes"
        )
    asked = {name: getattr(model, name, None) for name in Model.model_fields if name != "num_domains"}
    differ = [
        f"{name} {getattr(description.model, name)} (asked for: {value})"
        for name, value in asked.items()
        if value is not None and value != getattr(description.model, name)
    ]
    if differ:
        raise QuacError(
            f"{path}: is of networks of another kind: {', '.join(differ)}; "
            "give a checkpoint of these networks, or set `model` to its values"
        )
