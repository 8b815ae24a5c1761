"""What the parts of a report's numbers have in common."""

from pydantic import BaseModel, ConfigDict, Field

Number = int | float | None


class Part(BaseModel):
    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class Numbers(Part):
    """Numbers by the names of metrics, such as `l1` and `translation_rate_low`.

    Which there are depends on the version that measured them: read them by `number`.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Number] = Field(init=False)

    def number(self, name: str) -> Number:
        """A number; None if it is not there or could not be measured."""
        return (self.model_extra or {}).get(name)

    def with_interval(self, rate: str) -> tuple[Number, Number, Number]:
        """A rate, and the lower and upper limit of its interval."""
        return self.number(rate), self.number(f"{rate}_low"), self.number(f"{rate}_high")
