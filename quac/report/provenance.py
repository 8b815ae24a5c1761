"""Provenance of the results in a report, whether they are current, and which settings are not the defaults."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from quac.config.section import Section
from quac.report.schema import StageRecord
from quac.system.errors import QuacError
from quac.system.files import json_sha256, read_json

Record = dict[str, Any]  # see `quac.system.provenance.Provenance.record`
Results = list[tuple[str, Record]]  # (which result, what made it)


def stage_records(results: Results, sessions: Iterable[Record]) -> Iterator[StageRecord]:
    """What the report lists: the training as the sessions in which it was done, everything else as recorded."""
    for result, record in results:
        if record["stage"] != "train":
            yield StageRecord.model_validate(record | {"result": result})
        else:
            for number, session in enumerate(sessions, 1):
                yield StageRecord.model_validate(session | {"result": f"session {number}"})


def require_current(
    results: Results, key_files: Iterable[Path], conversions: Iterable[Record], checkpoints: dict[str, dict[str, str]]
) -> None:
    """Raise QuacError if a result was made with other settings than the current ones, or from another checkpoint.

    That takes two changes at once, the first of which hides the second's reason to run again, and a kill in between
    (docs/explanation/what-runs-again.md).

    Args:
        key_files: those of all stages.
        conversions: attributes of all that was made from a checkpoint.
        checkpoints: {step: `sha256` and `file`} of trained.json.
    """
    current = {json_sha256(read_json(path)) for path in key_files}
    stale = {record["stage"] for _, record in results if not current.issuperset(record["keys"])}
    for conversion in conversions:
        if conversion["checkpoint_digest"] != checkpoints.get(str(conversion["step"]), {}).get("sha256"):
            stale.add(conversion["provenance"]["stage"])
    if stale:
        raise QuacError(
            f"results of {', '.join(sorted(stale))} were made with other settings than the current ones; "
            "run the workflow again to replace them"
        )


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
