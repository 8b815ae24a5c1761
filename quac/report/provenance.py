"""Provenance of the results in a report, and which settings are not the defaults."""

from collections.abc import Iterable, Iterator
from typing import Any

from quac.config.section import Section
from quac.report.current import Result
from quac.report.schema import StageRecord


def stage_records(results: Iterable[Result], sessions: Iterable[dict[str, Any]]) -> Iterator[StageRecord]:
    """What the report lists: the training as the sessions in which it was done, everything else as recorded."""
    listed = set()
    for result in results:
        stage = result.provenance["stage"], result.label
        if stage in listed:  # several files of one job
            continue
        listed.add(stage)
        if stage[0] != "train":
            yield StageRecord.model_validate(result.provenance | {"result": result.label})
        else:
            for number, session in enumerate(sessions, 1):
                yield StageRecord.model_validate(session | {"result": f"session {number}"})


def config_diff(section: Section) -> Iterator[tuple[str, Any]]:
    """Settings that are not the default, as `(name, value)`: `("solver.lr", 0.0005)`.

    Settings without a default are among them, and those that were counted in the data or follow from another setting.
    """
    for name, field in type(section).model_fields.items():
        value, key = getattr(section, name), field.alias or name
        if isinstance(value, Section):
            yield from ((f"{key}.{inner}", changed) for inner, changed in config_diff(value))
        elif field.is_required() or value != field.get_default(call_default_factory=True):
            (plain,) = section.model_dump(mode="json", include={name}).values()
            yield key, plain
