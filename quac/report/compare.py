"""The page that compares runs, out of the JSON beside their reports."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from quac.config.evaluation import KINDS
from quac.evaluation.metrics import RATES
from quac.report.curves import look_of, losses_of_runs, scores_of_runs
from quac.report.formats import DASH, LEVELS, decimals, duration, percent
from quac.report.page import template
from quac.system.errors import QuacError
from quac.system.files import read_json

# Settings by which runs differ although they do the same.
_OF_NAMES = ("log", "report", "solver.root_dir")
_SPLITS = ("data", "validation_data", "test_data")
# What image is made of a file; how it reaches the classifier; what is converted of it; what chooses the checkpoint.
_READING = [f"data.{name}" for name in ("img_size", "scale", "shift", "range", "background", "page")]
_READING += ["model.input_dim", *(f"{split}.{name}" for split in _SPLITS for name in ("preprocess", "load_size"))]
_SHOWING = [f"validation_config.{name}" for name in ("scale", "shift", "img_size", "outputs", "classes")]
_MASKING = ["conversion.mask", "conversion.mask_edge"]
_CHOOSING = ["selection.tries", "selection.max_per_class"]


@dataclass(frozen=True)
class Run:
    """What the comparison needs of a report.

    `averages`: {kind: {number: mean over the class pairs}}, of the shown split. `cells`: {kind: {rate: rows, per source
    class, of (rate, low, high) per target class}}. `scores`: a row for each checkpoint and kind. `history`: columns.
    `settings`: {dotted name: value}. `digests`: {what: SHA-256}.
    """

    path: Path
    name: str
    classes: list
    split: str
    tries: int
    averages: dict
    cells: dict
    scores: list
    history: dict
    settings: dict
    digests: dict
    commits: list
    step: int
    accuracy: float
    seconds: float


def read_runs(paths):
    """The runs of reports' JSON files, in that order; those of one name are called by their files."""
    runs = [_read(Path(path)) for path in paths]
    names = [run.name for run in runs]
    return [Run(**{**vars(run), "name": str(run.path)}) if names.count(run.name) > 1 else run for run in runs]


def _read(path):
    try:
        facts = read_json(path)
        split, classes, selection = facts["shown_split"], [str(name) for name in facts["classes"]], facts["selection"]
        shown = {matrix["kind"]: matrix for matrix in facts["matrices"] if matrix["split"] == split}
        images = {f"{name} images": facts["data"]["splits"][name]["digest"] for name in facts["data"]["splits"]}
        numbers = ("l1", *(f"{rate}{end}" for rate in RATES for end in ("", "_low", "_high")))
        return Run(
            path=path,
            name=str(facts["run"]),
            classes=classes,
            split=split,
            tries=int(facts["tries"]),
            averages={kind: {name: float(shown[kind]["averages"][name]) for name in numbers} for kind in KINDS},
            cells={kind: {rate: _rows(shown[kind]["cells"], classes, rate) for rate in RATES} for kind in KINDS},
            scores=[
                {"kind": row["kind"], "step": int(row["step"]), **{name: float(row[name]) for name in numbers}}
                for row in selection["scores"]
            ],
            history={str(name): list(values) for name, values in facts["training"]["history"].items()},
            settings=dict(_flat(facts["config"])),
            digests={**images, "classifier": facts["classifier"]["digest"], "checkpoint": selection["digest"]},
            commits=sorted({stage["commit"] or "unknown" for stage in facts["stages"]}),
            step=int(selection["step"]),
            accuracy=float(facts["classifier"]["splits"][split]["accuracy"]),
            seconds=float(facts["training"]["seconds"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fault = f"{type(error).__name__}: {error}"
        raise QuacError(
            f"{path}: is not the JSON of a report, or of one of another version ({fault}); leave it out, or run the "
            "workflow again with `--forcerun report`"
        ) from None


def _rows(cells, classes, rate):
    found = {(cell["source"], cell["target"]): cell for cell in cells}
    ends = (rate, f"{rate}_low", f"{rate}_high")
    return [[[float(found[source, target][end]) for end in ends] for target in classes] for source in classes]


def render_comparison(runs, page):
    """The HTML file's text; `page`: where it will lie, from which the reports are linked."""
    return template("comparison.html").render(
        runs=[{**vars(run), "link": _link(run, page), "look": look_of(number)} for number, run in enumerate(runs)],
        columns=columns_of(runs),
        warnings=list(find_warnings(runs)),
        kinds=KINDS,
        rates=RATES,
        levels=LEVELS,
        score_charts=scores_of_runs(runs),
        loss_charts=losses_of_runs(runs),
        digests=list(dict.fromkeys(name for run in runs for name in run.digests)),
        embedded={
            "levels": LEVELS,
            "runs": [
                {"name": run.name, "classes": run.classes, "averages": run.averages, "cells": run.cells} for run in runs
            ],
        },
    )


def _flat(section, prefix=""):
    """Settings by their dotted names."""
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def find_differences(runs):
    """Settings by which the runs differ: {dotted name: the value of each run as a text}."""
    names = list(dict.fromkeys(name for run in runs for name in run.settings if not _is_said_elsewhere(run, name)))
    texts = {name: [_text(run.settings.get(name)) for run in runs] for name in names}
    return {name: of_runs for name, of_runs in texts.items() if len(set(of_runs)) > 1}


def _is_said_elsewhere(run, name):
    """Whether a setting is no more than a name, or repeats another one."""
    section, _, key = name.rpartition(".")
    if section in ("validation_data", "test_data") and run.settings[name] == run.settings.get(f"data.{key}"):
        return True
    if key == "img_size" and section != "data" and run.settings[name] == run.settings.get("data.img_size"):
        return True
    if key == "source" and section in _SPLITS and run.settings.get("split.source"):  # lists of the split maker
        return True
    return any(name == part or name.startswith(f"{part}.") for part in _OF_NAMES)


def _text(value):
    return DASH if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def find_warnings(runs):
    """Why the runs' numbers may not be comparable: sentences."""

    def settings(names):
        return lambda run: [run.settings.get(name) for name in names]

    apart = {
        "classes": lambda run: sorted(run.classes),
        "split": lambda run: run.split,
        "classifier": lambda run: run.digests["classifier"],
        "number of tries per query (the conversion rate depends on it)": lambda run: run.tries,
        "training images": lambda run: run.digests["train images"],
        "validation images (they choose the checkpoint)": lambda run: run.digests["validation images"],
        "test images": lambda run: run.digests.get("test images"),
        "size, range and channels of the images (distances depend on them)": settings(_READING),
        "way in which the classifier is shown images": settings(_SHOWING),
        "masks (outside of one nothing changes)": settings(_MASKING),
        "references": settings([f"{split}.reference" for split in _SPLITS]),
        "tries and queries that choose the checkpoint": settings(_CHOOSING),
        "version of the program": lambda run: run.commits,
    }
    for what, of in apart.items():
        if others := [run.name for run in runs if of(run) != of(runs[0])]:
            yield f"Not the {what} of {runs[0].name}: {', '.join(others)}."


def columns_of(runs):
    """The table's columns, without the names: dicts of `title`, `number` (whether it is one) and a cell for each run.

    A cell has a `text`, the `value` that it is sorted by, and an `interval`, "" where there is none.
    """
    columns = [
        _column(title, [(text, text, "") for text in texts], number=_are_numbers(texts), code=True)
        for title, texts in find_differences(runs).items()
    ]
    for rate in RATES:
        for kind in KINDS:
            found = [run.averages[kind] for run in runs]
            cells = [
                (percent(a[rate]), a[rate], f"{percent(a[f'{rate}_low'])}{DASH}{percent(a[f'{rate}_high'])}")
                for a in found
            ]
            columns.append(_column(f"{rate.replace('_', ' ').capitalize()}, {kind}, %", cells))
    for kind in KINDS:
        values = [run.averages[kind]["l1"] for run in runs]
        columns.append(_column(f"L1, {kind}", [(decimals(value), value, "") for value in values]))
    return [
        *columns,
        _column("Selected step", [(str(run.step), run.step, "") for run in runs]),
        _column("Classifier accuracy, %", [(percent(run.accuracy), run.accuracy, run.split) for run in runs]),
        _column("Training time", [(duration(run.seconds), run.seconds, "") for run in runs]),
    ]


def _column(title, cells, number=True, code=False):
    names = ("text", "value", "interval")
    return {
        "title": title,
        "number": number,
        "code": code,
        "cells": [dict(zip(names, cell, strict=True)) for cell in cells],
    }


def _are_numbers(texts):
    try:
        return [float(text) for text in texts if text != DASH] != []
    except ValueError:
        return False


def _link(run, page):
    """URL of a run's report from the folder of `page`; None where the report is not beside its JSON."""
    report = run.path.with_suffix(".html")
    return quote(os.path.relpath(report, Path(page).parent)) if report.is_file() else None
