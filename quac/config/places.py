"""The paths of a config: expanded, and whether results and sources are apart."""

import os
from collections.abc import Iterator
from typing import TypeVar

from quac.config import Config
from quac.config.section import Section
from quac.system.errors import QuacError
from quac.system.paths import expand_path, is_within

# The last names of the keys that hold a path.
_PATHS = {"root_dir", "log_dir", "source", "path", "reference", "classifier_checkpoint", "weights", "checkpoint"}
# Folders in that of a run which the workflow writes; in `data` there may be images of the user, too.
_WRITTEN = (
    *("keys", "logs", "training", "checkpoints", "classifier", "selection", "conversion", "generated_images"),
    *("evaluation", "styles", "attributions", "masks", "counterfactuals", "explanations", "features", "controls"),
)

AnySection = TypeVar("AnySection", bound=Section)


def expand_paths(config: Config, faults: list[str]) -> Config:
    """A config with `~` and variables in its paths replaced; adds what cannot be to `faults`."""
    return _expanded(config, "", faults)


def _expanded(section: AnySection, prefix: str, faults: list[str]) -> AnySection:
    changed: dict[str, object] = {}
    for name, field in type(section).model_fields.items():
        value, key = getattr(section, name), f"{prefix}{field.alias or name}"
        changed[name] = _expanded_value(value, key, name in _PATHS, faults)
    return section.model_copy(
        update={name: value for name, value in changed.items() if value != getattr(section, name)}
    )


def _expanded_value(value: object, key: str, is_path: bool, faults: list[str]) -> object:
    if isinstance(value, Section):
        return _expanded(value, f"{key}.", faults)
    if isinstance(value, dict):
        return {name: _expanded_value(entry, f"{key}.{name}", False, faults) for name, entry in value.items()}
    if isinstance(value, list):
        return [_expanded_value(entry, f"{key}.{number}", False, faults) for number, entry in enumerate(value)]
    if is_path and isinstance(value, str):
        try:
            return expand_path(value)
        except QuacError as error:
            faults.append(f"{key}: {error}")
    return value


def place_faults(config: Config) -> Iterator[str]:
    """Why the results of a run must not lie where they would: their files would count as images, or replace them."""
    root, classes = config.solver.root_dir, config.data.classes
    for key, source, is_class in _folders(config):
        if is_within(root, source):
            first = os.path.relpath(os.path.realpath(root), os.path.realpath(source)).split(os.sep)[0]
            if is_class or classes is None or first in classes:
                yield (
                    f"solver.root_dir: {root} lies in {key}, {source}, so that results would count as images; choose a "
                    "folder outside of it"
                )
        elif any(is_within(source, os.path.join(root, name)) for name in _WRITTEN) or _same(source, root, "data"):
            yield f"{key}: {source} is where this run writes its results; choose another solver.root_dir"


def _same(source: str, root: str, name: str) -> bool:
    return os.path.realpath(source) == os.path.realpath(os.path.join(root, name))


def _folders(config: Config) -> Iterator[tuple[str, str, bool]]:
    """(key, folder, whether it is one of images of a class, not of class folders) of the sources that are folders."""
    if config.split:
        if os.path.isdir(config.split.source):
            yield "split.source", config.split.source, False
        return
    for name, section in (
        ("data", config.data),
        ("validation_data", config.validation_data),
        ("test_data", config.test_data),
    ):
        if section and section.source and os.path.isdir(section.source):
            yield f"{name}.source", section.source, False
        for folders in ((section and section.sources) or {}).values():
            yield from ((f"{name}.sources", folder.path, True) for folder in folders if os.path.isdir(folder.path))
