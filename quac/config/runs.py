"""The runs of a config: one, or several that differ in some settings, and what they share."""

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import ConfigDict

from quac.config import Config
from quac.config.keys import changed_settings
from quac.config.resolve import config_error, resolve, validate
from quac.config.section import Section, key, section_of
from quac.config.stages import SECTIONS, StageJob, jobs_of
from quac.system.errors import QuacError
from quac.system.files import json_sha256
from quac.system.hand_written import read_hand_written

INDEX = "index"  # name of the page that compares the reports
_RESERVED = {"data", "classifier", "keys", "logs"}  # folders that lie next to those of the runs


class RunOverride(Section):
    """A list of runs (docs/how-to/several-runs.md): each has a name, and sections that are merged over the rest."""

    model_config = ConfigDict(**{**Section.model_config, "extra": "allow"})

    name: str = key(
        ...,
        "Name of the run: its folder is `solver.root_dir/<name>`, its report `reports/<log.name>-<name>.html`, or "
        "`reports/<name>.html` without a `log.name`. Letters, digits, `_`, `-` and `.`.",
    )


@dataclass(frozen=True)
class Runs:
    """Runs by their folders, and which folder holds what several of them share.

    Runs with equal settings share prepared data and classifier. Those that leave the settings above `runs` as they are
    use `solver.root_dir` itself, so that runs can come and go; others use the folder of the first of them.

    Attributes:
        configs: {folder: Config}, in the order of the config.
        names: {folder: name}; empty for a config without `runs`.
        owners: {folder: the Config by whose settings its data and classifier are made}.
        data, classifiers: {folder of a run: the folder in which its prepared data, its classifier lie}.
    """

    configs: dict[str, Config]
    names: dict[str, str]
    owners: dict[str, Config]
    data: dict[str, str]
    classifiers: dict[str, str]

    def home_of(self, root: str, job: StageJob) -> str:
        """The folder in which the key file of a run's stage lies; runs share those of their data and classifier."""
        return {"data": self.data, "classifier": self.classifiers, "run": {root: root}}[job.stage.home][root]


def resolve_runs(raw: dict[str, Any], above: dict[str, Any] | None = None) -> Runs:
    """The runs of what a user wrote.

    Args:
        raw: the config.
        above: sections that take precedence over those of a run.

    Raises QuacError that lists every fault of every run.
    """
    raw = dict(raw)
    listed = raw.pop("runs", None)
    if not listed:
        config = resolve(raw)
        folder = os.path.normpath(config.solver.root_dir)
        return Runs({folder: config}, {}, {folder: config}, {folder: folder}, {folder: folder})
    common, common_faults = validate(raw)
    overrides = _overrides(listed)
    configs: dict[str, Config] = {}
    faults: list[str] = []
    for name, override in overrides.items():
        config_of_run, run_faults = validate(_run(raw, name, override, above or {}))
        # A fault above `runs` is reported once.
        faults += [fault if fault in common_faults else f"runs.{name}.{fault}" for fault in run_faults]
        if config_of_run:
            configs[os.path.normpath(config_of_run.solver.root_dir)] = config_of_run
    faults += _same_reports(zip(overrides, configs.values(), strict=True)) if not faults else []
    if faults:
        raise config_error(list(dict.fromkeys(faults)))
    return _shared(configs, dict(zip(configs, overrides, strict=True)), common)


def read_layers(paths: Iterable[Path]) -> dict[str, Any]:
    """Config files, merged from left to right. Runs nothing that they contain.

    Raises QuacError that names a file that is not a config, or would be read as something else than it says.
    """
    layers: dict[str, Any] = {}
    for path in paths:
        layer = read_hand_written(path, _text_keys(Config))
        if not isinstance(layer, dict | None):
            raise QuacError(f"{path}: must be a mapping of sections, such as `data:` and `solver:`")
        if layer and "__use_yte__" in layer:
            raise QuacError(
                f"{path}: __use_yte__ makes it a template, whose Python code Snakemake runs. Run that only if you "
                "trust its author; here nothing is run, so a template cannot be shown."
            )
        layers = merged(layers, layer or {})
    return layers


def require_unambiguous(paths: Iterable[Path]) -> None:
    """Raise QuacError if a config file, which Snakemake has read, would be read as something else than it says."""
    for path in paths:
        read_hand_written(path, _text_keys(Config))


def require_own_reports(runs: Runs, folder: Path) -> None:
    """Raise QuacError that names both runs if a report in `folder` is of another run, which has the same name.

    The JSON file of a report says whose it is.
    """
    faults = []
    for root, config in runs.configs.items():
        path = folder / f"{config.run_name}.json"
        with suppress(OSError, UnicodeDecodeError):  # not there, or damaged: it is written again
            if found := _CONFIG_PATH.search(path.read_text(encoding="utf-8")):
                other = os.path.dirname(json.loads(found[1]))
                if os.path.realpath(other) != os.path.realpath(root):
                    faults.append(
                        f"log.name: {path.with_suffix('.html')} is the report of {other or '.'}, and that of {root} "
                        f"would replace it; choose another log.name, or move {path.with_suffix('.*')} away"
                    )
    if faults:
        raise config_error(faults)


_CONFIG_PATH = re.compile(r'^  "config_path": ("(?:[^"\\]|\\.)*")', re.MULTILINE)  # see `quac.report.schema.Report`


def _text_keys(section: type[Section]) -> set[str]:
    """The last names of the keys whose values are text."""
    names = set()
    for name, field in section.model_fields.items():
        if inner := section_of(field):
            names |= _text_keys(inner)
        elif str in (field.annotation, *get_args(field.annotation)) or list[str] in get_args(field.annotation):
            names.add(field.alias or name)
    return names


def merged(below: Any, above: Any) -> Any:
    """Mappings are merged, everything else is replaced: as Snakemake does with several `--configfile`s."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {name: merged(below.get(name), value) for name, value in above.items()}


def _overrides(listed: Any) -> dict[str, dict[str, Any]]:
    """{name: its sections}."""
    named = isinstance(listed, list) and all(isinstance(run, dict) and run.get("name") is not None for run in listed)
    if not named:
        raise config_error(["runs: must be a list of runs, each with a name: `- {name: plain}`"])
    overrides: dict[str, dict[str, Any]] = {}
    faults, folders = [], set()
    for run in listed:
        name = str(run["name"])
        if not re.fullmatch(r"\w[\w.-]*", name) or name.endswith("."):
            faults.append(f"runs: {name!r} cannot name a folder; use letters, digits, `_`, `-` and `.`")
        elif name.casefold() in _RESERVED:
            faults.append(f"runs: {name!r} is the name of a folder of the workflow; choose another")
        elif name.casefold() in folders:  # some file systems do not distinguish A from a
            faults.append(f"runs: {name!r} is the name of two runs; choose another")
        folders.add(name.casefold())
        overrides[name] = {section: value for section, value in run.items() if section != "name"}
        if "root_dir" in _section(overrides[name], "solver"):
            faults.append(
                f"runs.{name}.solver.root_dir: all runs have the same, and each a folder in it; leave it out here"
            )
    if faults:
        raise config_error(faults)
    return overrides


def _run(base: dict[str, Any], name: str, override: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """One run's config, as if the user had written it alone."""
    whole = merged(merged(base, override), {section: value for section, value in above.items() if section != "runs"})
    common_name, own_name = (_section(part, "log").get("name") for part in (base, override))
    root = _section(base, "solver").get("root_dir")
    own = {"log": {"name": own_name or (f"{common_name}-{name}" if common_name else name)}}
    own |= {"solver": {"root_dir": os.path.join(str(root), name)}} if root else {}
    if (shared := _section(base, "log").get("log_dir")) and not _section(override, "log").get("log_dir"):
        own["log"]["log_dir"] = os.path.join(str(shared), name)
    # What is not a section is left as it is, for the validation to report.
    sections = {section: whole.get(section) or {} for section in own}
    return whole | {section: there | own[section] for section, there in sections.items() if isinstance(there, dict)}


def _section(config: dict[str, Any], name: str) -> dict[str, Any]:
    section = config.get(name)
    return section if isinstance(section, dict) else {}


def _same_reports(runs: Iterable[tuple[str, Config]]) -> Iterator[str]:
    """Faults of runs whose report would have the name of another page."""
    pages: dict[str, str | None] = {INDEX: None}
    for name, config in runs:
        report = config.run_name.casefold()
        if report in pages:
            page = f"of {pages[report]}" if pages[report] else "that compares the runs"
            yield f"runs.{name}.log.name: {config.run_name} is the name of the page {page}; choose another"
        pages.setdefault(report, name)


def _shared(configs: dict[str, Config], names: dict[str, str], common: Config | None) -> Runs:
    """Whose data and classifier each run uses: of the first with the same settings, the common ones before all."""
    candidates = {os.path.normpath(common.solver.root_dir): common, **configs} if common else configs
    data: dict[str, str] = {}
    classifiers: dict[str, str] = {}
    prepared: dict[str, str] = {}
    fitted: dict[str, str] = {}
    for folder, config in candidates.items():
        data[folder] = prepared.setdefault(json_sha256(_data_settings(config)), folder)
        classifiers[folder] = fitted.setdefault(json_sha256([data[folder], _classifier_settings(config)]), folder)
    used = {*configs, *(data[folder] for folder in configs), *(classifiers[folder] for folder in configs)}
    owners = {folder: config for folder, config in candidates.items() if folder in used}
    return Runs(configs, names, owners, data, classifiers)


def _data_settings(config: Config) -> dict[str, Any]:
    """What the prepared data depends on."""
    settings = {str(job): changed_settings(config, job) for job in jobs_of("data", config)}
    if config.split:  # its lists lie next to the data, wherever that is
        for split in config.splits:
            settings[f"index_{split}"].pop(f"{SECTIONS[split]}.source")
    return settings


def _classifier_settings(config: Config) -> list[Any]:
    """What the classifier depends on; the files by their paths, since their digests are not known here."""
    files = [config.validation_config.classifier_checkpoint, config.classifier.weights]
    named = {} if isinstance(config.oracles, str) else config.oracles
    oracles = [[name, oracle.classifier_checkpoint] for name, oracle in sorted(named.items())]
    return [files, oracles, {str(job): changed_settings(config, job) for job in jobs_of("classifier", config)}]
