"""The runs of a config: one, or several that are told apart by overlays, and what they share."""

import os
import re
from dataclasses import dataclass

from quac.config import Config
from quac.config.resolve import config_error, examine, resolve
from quac.config.stages import data_stages, judge_stages, stage_settings
from quac.system.files import digest_of

INDEX = "index"  # name of the page that compares the reports
# Names of runs that would be taken for folders beside them.
_TAKEN = {"data", "classifier", "keys", "logs"}


@dataclass(frozen=True)
class Runs:
    """Runs by their folders, and whose folder holds what several of them share.

    `configs`: {folder: Config}, in the order of the config. `names`: {folder: name}, none for a config without `runs`.
    `data`, `judges`: {folder: the folder below which the prepared data, the classifier of that run lie}; there they are
    made by the settings of `holders[folder]`. Runs with equal settings share both: those that leave the settings above
    `runs` as they are use `solver.root_dir` itself, so that runs may come and go; others, the folder of the first of
    them.
    """

    configs: dict[str, Config]
    names: dict[str, str]
    holders: dict[str, Config]
    data: dict[str, str]
    judges: dict[str, str]


def resolve_runs(raw, above=None):
    """What a user wrote (a dict) -> Runs.

    `above`: what counts more than an overlay, a dict of sections. Raises
    QuacError that lists every fault of every run.
    """
    raw = dict(raw)
    listed = raw.pop("runs", None)
    if not listed:
        config = resolve(raw)
        folder = os.path.normpath(config.solver.root_dir)
        return Runs({folder: config}, {}, {folder: config}, {folder: folder}, {folder: folder})
    common, common_faults = examine(raw)
    overlays = _overlays(listed)
    configs, faults = {}, []
    for name, overlay in overlays.items():
        config, found = examine(_run(raw, name, overlay, above or {}))
        # What is wrong above `runs` is said once.
        faults += [fault if fault in common_faults else f"runs.{name}.{fault}" for fault in found]
        if not found:
            configs[os.path.normpath(config.solver.root_dir)] = config
    faults += _same_reports(zip(overlays, configs.values(), strict=True)) if not faults else []
    if faults:
        raise config_error(list(dict.fromkeys(faults)))
    return _sharing(configs, dict(zip(configs, overlays, strict=True)), common)


def merged(below, above):
    """Mappings are merged, all else is replaced: as Snakemake does with several `--configfile`s."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {name: merged(below.get(name), value) for name, value in above.items()}


def _overlays(listed):
    """{name: its sections}."""
    named = isinstance(listed, list) and all(isinstance(run, dict) and run.get("name") is not None for run in listed)
    if not named:
        raise config_error(["runs: must be a list of runs, each with a name: `- {name: plain}`"])
    overlays, faults, folders = {}, [], set()
    for run in listed:
        name = str(run["name"])
        if not re.fullmatch(r"\w[\w.-]*", name) or name.endswith("."):
            faults.append(f"runs: {name!r} is no name for a folder; take letters, digits, `_`, `-` and `.`")
        elif name.casefold() in _TAKEN:
            faults.append(f"runs: {name!r} is the name of a folder of the workflow; choose another")
        elif name.casefold() in folders:  # some file systems do not tell A from a
            faults.append(f"runs: {name!r} is the name of two runs; choose another")
        folders.add(name.casefold())
        overlays[name] = {section: value for section, value in run.items() if section != "name"}
        if "root_dir" in _section(overlays[name], "solver"):
            faults.append(
                f"runs.{name}.solver.root_dir: is one for all runs, each of which has a folder in it; leave it out"
            )
    if faults:
        raise config_error(faults)
    return overlays


def _run(base, name, overlay, above):
    """One run's config, as if the user had written it alone."""
    whole = merged(merged(base, overlay), {section: value for section, value in above.items() if section != "runs"})
    common_name, own_name = (_section(part, "log").get("name") for part in (base, overlay))
    root = _section(base, "solver").get("root_dir")
    own = {"log": {"name": own_name or (f"{common_name}-{name}" if common_name else name)}}
    own |= {"solver": {"root_dir": os.path.join(str(root), name)}} if root else {}
    if (shared := _section(base, "log").get("log_dir")) and not _section(overlay, "log").get("log_dir"):
        own["log"]["log_dir"] = os.path.join(str(shared), name)
    # A section that is none is left as it is, to be complained of.
    sections = {section: whole.get(section) or {} for section in own}
    return whole | {section: there | own[section] for section, there in sections.items() if isinstance(there, dict)}


def _section(config, name):
    section = config.get(name)
    return section if isinstance(section, dict) else {}


def _same_reports(runs):
    """Faults of runs whose report would have the name of another page."""
    found = {INDEX: None}
    for name, config in runs:
        report = config.run_name.casefold()
        if report in found:
            other = f"of {found[report]}" if found[report] else "that compares the runs"
            yield f"runs.{name}.log.name: {config.run_name} is the name of the page {other}; choose another"
        found.setdefault(report, name)


def _sharing(configs, names, common):
    """Whose data and classifier each run uses: of the first with the same settings, the common ones before all."""
    candidates = {os.path.normpath(common.solver.root_dir): common, **configs} if common else configs
    data, judges, prepared, judged = {}, {}, {}, {}
    for folder, config in candidates.items():
        data[folder] = prepared.setdefault(digest_of(_data_settings(config)), folder)
        judges[folder] = judged.setdefault(digest_of([data[folder], _judge_settings(config)]), folder)
    used = {*configs, *(data[folder] for folder in configs), *(judges[folder] for folder in configs)}
    holders = {folder: config for folder, config in candidates.items() if folder in used}
    return Runs(configs, names, holders, data, judges)


def _data_settings(config):
    settings = {stage: stage_settings(config, stage) for stage in data_stages(config)}
    if config.split:  # its lists lie beside the data, wherever that is
        for split in config.splits:
            settings[f"index_{split}"]["source"] = None
    return settings


def _judge_settings(config):
    """With the files, of which the stages' settings say nothing since a digest does."""
    files = [config.validation_config.classifier_checkpoint, config.classifier.weights]
    further = [[name, judge.classifier_checkpoint] for name, judge in sorted(config.judges.items())]
    return [files, further, {stage: stage_settings(config, stage) for stage in judge_stages(config)}]
