"""The page that compares runs, rendered from the JSON of their reports."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from quac.evaluation.metrics import METRICS, RATES
from quac.report.figures import OVER_STEPS, line_style, run_losses, run_scores
from quac.report.formats import DASH, FORMATS, SHADES, duration, percent
from quac.report.matrices import interval
from quac.report.page import TEMPLATES
from quac.report.reading import read_report
from quac.report.run_pairs import paired_differences, seed_groups, warn_of_single_seeds
from quac.report.schema import Report
from quac.system.console import log
from quac.system.files import refuse_overwrite, write_text

# Sections and settings that may differ between runs that do the same.
_LABELS = ("log", "report", "solver.root_dir")
_SPLITS = ("data", "validation_data", "test_data")
# Which image a file becomes; how the classifier sees it; which part of it is converted; what chooses the checkpoint.
_READING = [f"data.{name}" for name in ("img_size", "scale", "shift", "range", "background", "page")]
_READING += ["model.input_dim", *(f"{split}.{name}" for split in _SPLITS for name in ("preprocess", "load_size"))]
_SHOWING = [f"validation_config.{name}" for name in ("scale", "shift", "img_size", "outputs", "classes")]
_MASKING = ["conversion.mask", "conversion.mask_edge"]
_CHOOSING = ["selection.tries", "selection.max_per_class"]


def write_comparison(paths: list[Path], page: Path) -> None:
    """Write the page that compares the runs of reports' JSON files; the first is what the others are compared with."""
    refuse_overwrite(page, *paths)
    write_text(page, render_comparison(read_runs(paths), report_links(paths, page)))
    log.info("%s: %d run(s)", page, len(paths))


def read_runs(paths: list[Path]) -> list[Report]:
    """The runs of reports' JSON files, in that order; those that share a name are named by their files."""
    runs = [read_report(path) for path in paths]
    names = [run.run for run in runs]
    return [
        run.model_copy(update={"run": str(path)}) if names.count(run.run) > 1 else run
        for path, run in zip(paths, runs, strict=True)
    ]


def render_comparison(runs: list[Report], links: list[str | None]) -> str:
    """The text of the HTML file; `links`: the URL of each run's report, None if it has none."""
    digests, settings = [_digests(run) for run in runs], [settings_of(run) for run in runs]
    averaged = [(name, kind) for name in OVER_STEPS for kind in _kinds(runs)]
    return TEMPLATES.get_template("comparison.html").render(
        runs=runs,
        links=links,
        lines=[line_style(number) for number in range(len(runs))],
        columns=columns_of(runs),
        warnings=list(find_warnings(runs)),
        seeds_warning=warn_of_single_seeds(runs, settings),
        seed_columns=[_title(name, kind) for name, kind in averaged],
        seed_groups=seed_groups(runs, settings, averaged),
        kinds=_kinds(runs),
        score_charts=run_scores(runs, _kinds(runs)),
        loss_charts=run_losses(runs),
        digests=digests,
        digest_names=list(dict.fromkeys(name for run_digests in digests for name in run_digests)),
        embedded={
            "shades": SHADES,
            "runs": [_embedded(run) for run in runs],
            "differences": paired_differences(runs),
        },
    )


def report_links(paths: list[Path], page: Path) -> list[str | None]:
    """URL of each run's report from the folder of `page`; None if the report does not lie next to its JSON."""
    reports = [path.with_suffix(".html") for path in paths]
    return [quote(os.path.relpath(report, page.parent)) if report.is_file() else None for report in reports]


def _kinds(runs: list[Report]) -> list[str]:
    return list(dict.fromkeys(kind for run in runs for kind in run.style_kinds))


def _embedded(run: Report) -> dict[str, Any]:
    """What the script draws: `averages`, {style kind: {rate: (rate, low, high)}}, and `cells`, {style kind: {rate: rows
    of such triples}}."""
    averages, cells = {}, {}
    for kind in run.style_kinds:
        if matrix := run.shown(kind):
            rows = matrix.rows(run.classes)
            averages[kind] = {rate: matrix.averages.with_interval(rate) for rate in RATES}
            cells[kind] = {rate: [[cell.with_interval(rate) for cell in row] for row in rows] for rate in RATES}
    return {"name": run.run, "classes": run.classes, "averages": averages, "cells": cells}


def _digests(run: Report) -> dict[str, str]:
    """{what: SHA-256}."""
    images = {f"{split} images": summary.digest for split, summary in run.data.splits.items()}
    return {**images, "classifier": run.classifier.digest, "checkpoint": run.selection.digest}


def _flat(section: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of the settings of a config."""
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def find_differences(runs: list[Report]) -> dict[str, list[str]]:
    """Settings by which the runs differ: {dotted name: the value of each run as a text}."""
    configs = [dict(_flat(run.config)) for run in runs]
    names = dict.fromkeys(name for config in configs for name in config if not _is_redundant(config, name))
    texts = {name: [_text(config.get(name)) for config in configs] for name in names}
    return {name: values for name, values in texts.items() if len(set(values)) > 1}


def settings_of(run: Report) -> dict[str, Any]:
    """{dotted name: value} of the settings of a run, without what is only a label or repeats another setting."""
    config = dict(_flat(run.config))
    return {name: value for name, value in config.items() if not _is_redundant(config, name)}


def _is_redundant(config: dict[str, Any], name: str) -> bool:
    """Whether a setting is only a label, or repeats another one."""
    section, _, key = name.rpartition(".")
    if section in ("validation_data", "test_data") and config[name] == config.get(f"data.{key}"):
        return True
    if key == "img_size" and section != "data" and config[name] == config.get("data.img_size"):
        return True
    if key == "source" and section in _SPLITS and config.get("split.source"):  # lists that `split` wrote
        return True
    return any(name == part or name.startswith(f"{part}.") for part in _LABELS)


def _text(value: Any) -> str:
    return DASH if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def find_warnings(runs: list[Report]) -> Iterator[str]:
    """Why the runs' numbers may not be comparable: sentences."""
    aspects = [_aspects(run) for run in runs]
    for what, value in aspects[0].items():
        if others := [run.run for run, aspect in zip(runs, aspects, strict=True) if aspect[what] != value]:
            yield f"Different {what} than {runs[0].run}: {', '.join(others)}."


def _aspects(run: Report) -> dict[str, Any]:
    """What has to be equal in runs that are compared."""
    config, digests = dict(_flat(run.config)), _digests(run)

    def settings(names: list[str]) -> list[Any]:
        return [config.get(name) for name in names]

    return {
        "classes": sorted(run.classes),
        "split": run.shown_split,
        "classifier": digests["classifier"],
        "number of tries per query (the conversion rate depends on it)": run.tries,
        "training images": digests.get("train images"),
        "validation images (they choose the checkpoint)": digests.get("validation images"),
        "test images": digests.get("test images"),
        "size, range and channels of the images (distances depend on them)": settings(_READING),
        "way of showing images to the classifier": settings(_SHOWING),
        "masks (nothing changes outside of them)": settings(_MASKING),
        "reference images": settings([f"{split}.reference" for split in _SPLITS]),
        "tries and queries that choose the checkpoint": settings(_CHOOSING),
        "version of the program": run.commits,
    }


@dataclass(frozen=True)
class ColumnCell:
    """`value`: what the cell is sorted by, "" if there is none; `interval`: "" if there is none."""

    text: str
    value: float | int | str
    interval: str = ""


@dataclass(frozen=True)
class Column:
    """A column of the table of runs, a cell for each. `number`: whether its values are numbers; `code`: whether its
    title is the name of a setting."""

    title: str
    cells: list[ColumnCell]
    number: bool = True
    code: bool = False


def columns_of(runs: list[Report]) -> list[Column]:
    """The table's columns, without the names."""

    differences = [
        Column(title, [ColumnCell(text, text) for text in texts], _are_numbers(texts), code=True)
        for title, texts in find_differences(runs).items()
    ]
    metrics = [
        Column(_title(name, kind), [_average(run, name, kind) for run in runs])
        for name in OVER_STEPS
        for kind in _kinds(runs)
    ]
    steps = [ColumnCell(str(run.selection.step), run.selection.step) for run in runs]
    accuracies = [ColumnCell(percent(run.accuracy.balanced), run.accuracy.balanced, run.shown_split) for run in runs]
    times = [ColumnCell(duration(run.training.seconds), run.training.seconds) for run in runs]
    return [
        *differences,
        *metrics,
        Column("Selected step", steps),
        Column("Classifier accuracy, %", accuracies),
        Column("Training time", times),
    ]


def _title(metric: str, kind: str) -> str:
    return f"{METRICS[metric].label}, {kind}{', %' * (metric in RATES)}"


def _average(run: Report, name: str, kind: str) -> ColumnCell:
    matrix = run.shown(kind)
    value = matrix.averages.number(name) if matrix else None
    limits = interval(matrix.averages, name) if matrix else ""
    return ColumnCell(FORMATS[METRICS[name].format](value), "" if value is None else value, limits)


def _are_numbers(texts: list[str]) -> bool:
    try:
        return [float(text) for text in texts if text != DASH] != []
    except ValueError:
        return False
