"""Reads the JSON of a report, also that of version 1."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from quac.report.schema import FORMAT, Report
from quac.system.errors import QuacError, error_lines

# Settings that version 1 had, at the values that are the only ones left; None: at any value.
_DELETED = (("solver", "schedule", "paper"), ("solver", "channels_last", "auto"), ("run", "segment_iters", None))


def read_report(path: Path) -> Report:
    """The numbers of a report. Raises QuacError if the file is not the JSON of a report, or of a newer format."""
    try:
        content = json.loads(path.read_bytes())
        version = content.get("format", 1) if isinstance(content, dict) else FORMAT
        if version not in (1, FORMAT):
            raise QuacError(
                f"{path}: has format {version}, but this version of quac reads formats 1 to {FORMAT}. Update quac, or "
                "leave the file out."
            )
        if isinstance(content, dict):
            _rename_judges(content)
        report = Report.model_validate({**content, "format": FORMAT} if version == 1 else content)
    except (ValueError, AttributeError, TypeError) as error:
        raise QuacError(
            f"{path}: not the JSON of a report ({_reason(error)}). Leave it out, or run the workflow again with "
            "`--forcerun report`."
        ) from None
    if version == 1:
        _upgrade(report)
    return report


def _rename_judges(content: dict[str, Any]) -> None:
    """Oracles were called judges, and there was none unless the config named one."""
    classifier, config = content.get("classifier"), content.get("config")
    if isinstance(classifier, dict) and "judges" in classifier:
        classifier["oracles"] = classifier.pop("judges")
    if isinstance(config, dict) and "judges" in config:
        config["oracles"] = config.pop("judges") or "none"


def _upgrade(report: Report) -> None:
    """Convert a report of version 1, which has the same parts, to the current names and settings."""
    history, config = report.training.history, report.config
    report.training.history = {name.replace("/ref_", "/reference_"): values for name, values in history.items()}

    def section(name: str) -> dict[str, Any]:
        return config[name] if isinstance(config.get(name), dict) else {}

    for name, key, kept in _DELETED:
        if kept is None or section(name).get(key) == kept:
            section(name).pop(key, None)
    section("model").setdefault("kind", "starganv2")
    if section("selection").get("tries") is None:
        section("selection")["tries"] = section("validation_config").get("num_outs_per_domain")
    splits = {"data": "train", "validation_data": "validation", "test_data": "test"}
    split_of = {section(name).get("source"): split for name, split in reversed(splits.items())}
    for name in splits:
        if "reference" in section(name):
            reference = section(name)["reference"]
            section(name)["reference"] = "train" if reference is None else split_of.get(reference, reference)


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'content'}: {first['msg'].lower()}"
    return error_lines(error)[0]
