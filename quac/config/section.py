"""What every section of the config has in common."""

from typing import Annotated, Any, get_origin

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

Positive = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
Byte = Annotated[int, Field(ge=0, le=255)]


class Section(BaseModel):
    # Numbers to text: a class may be called 3.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, coerce_numbers_to_str=True)


def key(default: Any, description: str) -> Any:
    return Field(default, description=description)


def section_of(field: FieldInfo) -> type[Section] | None:
    """The Section class that a field holds, or None where it holds a value."""
    parts = () if get_origin(field.annotation) is dict else getattr(field.annotation, "__args__", ())
    for candidate in (field.annotation, *parts):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None
