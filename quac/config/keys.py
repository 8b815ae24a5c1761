"""Key files: what a stage depends on. A stage reads its settings from its key file and from nowhere else.

A key file holds the settings that differ from their defaults, a version, and digests of the user's files. So a new
option of a later version, left at its default, changes no key.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic_core import PydanticUndefined, to_jsonable_python

from quac.config import Config
from quac.config.data import Data, Split
from quac.config.section import Section
from quac.config.stages import StageJob, job_named
from quac.system.errors import QuacError
from quac.system.files import read_json, write_text

FORMAT = 2  # of key files; those of version 1 have none
AnySection = TypeVar("AnySection", bound=Section)


def key_text(config: Config, job: StageJob, files: dict[str, str | None]) -> str:
    """The text of a stage's key file.

    Args:
        config: the resolved config.
        files: {key: SHA-256} of the user's files on which the stage depends.
    """
    content = {"format": FORMAT, "stage": str(job), "version": job.stage.version}
    content |= {"settings": changed_settings(config, job), "files": files}
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def require_version_2(root: str) -> None:
    """Stop before results of version 1 in a run's folder are deleted or trained again.

    Raises QuacError that names the folder and the two ways on.
    """
    for path in Path(root, "keys").glob("*.json"):
        try:
            content = read_json(path)
        except QuacError:  # damaged: it is written again
            continue
        if isinstance(content, dict) and "format" not in content:
            raise QuacError(
                f"{root}: holds results of version 1, which would be replaced. Nothing has been changed. Choose "
                "another solver.root_dir, or move that folder away. (Its checkpoints can be used by `quac convert` and "
                "init.from.)"
            )


def differing(keys: dict[str, str]) -> list[str]:
    """The key files, {path: text}, that are missing or have another content on disk."""
    return [path for path, text in keys.items() if _text(Path(path)) != text]


def write_texts(keys: dict[str, str], folder: str) -> dict[str, str]:
    """{key file: file in `folder` with its text}, for the rule `key`: a text may be too long for a command line.

    The files are named by their texts: a dry run of another config must not change what a workflow is about to use.
    """
    files = {path: f"{folder}/{hashlib.sha256(text.encode()).hexdigest()}.json" for path, text in keys.items()}
    for path, file in files.items():
        if _text(Path(file)) != keys[path]:
            write_text(file, keys[path])
    return files


def _text(path: Path) -> str | None:
    """The text of a file; None if it is missing or is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def changed_settings(config: Config, job: StageJob) -> dict[str, Any]:
    """The settings that a stage reads and that differ from their defaults: JSON values by their dotted keys."""
    reads = job.reads(config)
    return {
        leaf: value
        for leaf, value, default in _leaves(config)
        if value != default
        and any(_touches(key, leaf[:-1]) if leaf.endswith("?") else _covers(key, leaf) for key in reads)
    }


def read_key(path: Path) -> Config:
    """The settings of a key file: a Config that has only the keys that the stage reads.

    Reading any other raises AttributeError, so it can be neither dumped nor validated again. Raises QuacError if the
    file is not a key file.
    """
    try:
        content = read_json(path)
        return restricted(job_named(content["stage"]), content["settings"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, QuacError) as error:
        raise QuacError(f"{path}: not a key file ({error}). Delete it and run the workflow again.") from None


def restricted(job: StageJob, settings: dict[str, Any]) -> Config:
    """A Config that has only the keys that a stage reads; `settings`: see `changed_settings`."""
    raw: dict[str, Any] = {"solver": {"root_dir": "-"}}  # required, and read by no stage but `config`
    raw["validation_data"] = {}
    for leaf, value in sorted(settings.items()):  # an optional section before its keys
        *sections, name = leaf.split(".")
        place = raw
        for section in sections:
            place = place.setdefault(section, {})
        if name.endswith("?"):
            place.setdefault(name[:-1], {})
        else:
            place[name] = value
    for section in raw.keys() & {"validation_data", "test_data"}:
        raw[section] = _SPLIT_DEFAULTS | raw[section]
    for oracle in raw["oracles"].values() if isinstance(raw.get("oracles"), dict) else ():
        oracle.setdefault("classifier_checkpoint", "-")
    config = Config.model_validate(raw)
    return _only(config, job.reads(config))


# What a split leaves out is as in `data`.
_SPLIT_DEFAULTS = {name: Data.model_fields[name].default for name in Split.model_fields}


def _leaves(section: Section, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(dotted key, value, default) of every value, as JSON; `<section>?` of each optional one that is given."""
    for name, field in type(section).model_fields.items():
        value, key = getattr(section, name), f"{prefix}{field.alias or name}"
        default = _SPLIT_DEFAULTS[name] if type(section) is Split else field.get_default(call_default_factory=True)
        inner = {key: value} if isinstance(value, Section) else {}
        if isinstance(value, dict) and any(isinstance(entry, Section) for entry in value.values()):
            inner = {f"{key}.{entry}": section for entry, section in value.items()}
        for place, entry in inner.items():
            if not isinstance(default, Section) and default is not PydanticUndefined:
                yield f"{place}?", True, False
            yield from _leaves(entry, f"{place}.")
        if not inner and not isinstance(default, Section):
            yield key, to_jsonable_python(value), None if default is PydanticUndefined else to_jsonable_python(default)


def _alike(key: str, place: str) -> tuple[bool, int]:
    """Whether a key that is read and a dotted place are one above the other, or the same; and by how much it is deeper.

    `*` in the key stands for any name, or for what is given in place of names.
    """
    others, words = key.removesuffix("?").split("."), place.split(".")
    return all(other in ("*", word) for other, word in zip(others, words, strict=False)), len(others) - len(words)


def _covers(key: str, place: str) -> bool:
    """Whether a key is this one, or a section that holds it."""
    alike, deeper = _alike(key, place)
    above = key.partition(".*")[0] == place  # a value where there may be a mapping: `oracles: none`
    return alike and (deeper <= 0 or above) and not key.endswith("?")


def _touches(key: str, place: str) -> bool:
    """Whether a key covers a section, or something in it, or tests whether it is given."""
    alike, deeper = _alike(key, place)
    return alike and (deeper >= 0 or not key.endswith("?"))


def _only(section: AnySection, reads: tuple[str, ...], prefix: str = "") -> AnySection:
    """A copy of a section without the keys that are not read."""
    copy = section.model_copy()
    for name, field in type(section).model_fields.items():
        place, value = f"{prefix}{field.alias or name}", getattr(section, name)
        if not any(_touches(key, place) for key in reads):
            del copy.__dict__[name]
        elif isinstance(value, Section):
            copy.__dict__[name] = _only(value, reads, f"{place}.")
        elif isinstance(value, dict):
            parts = {entry: (part, f"{place}.{entry}.") for entry, part in value.items()}
            copy.__dict__[name] = {
                entry: _only(part, reads, inner) if isinstance(part, Section) else part
                for entry, (part, inner) in parts.items()
            }
    return copy
