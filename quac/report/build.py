"""The report: one HTML file, and the numbers behind it. Reads files, never a model."""

from pathlib import Path

import pandas as pd
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from quac.config import Config
from quac.config.data import SEVERITIES
from quac.config.evaluation import KINDS
from quac.config.training import Loss
from quac.conversion.metrics import RATES
from quac.data.store import Store
from quac.errors import QuacError
from quac.files import digest_of, read_json
from quac.report import figures
from quac.report.gallery import choose_examples, generated_picture, query_picture
from quac.stargan.weights import is_used
from quac.tables import read_table

MOST_PAIRS, SIDE_OF_PAIRS = 12, 64  # shown of a finding, and their size in pixels


def collect(inputs):
    """Everything that the report shows.

    Args:
        inputs: {name: path or list of paths}, as the rule `report` names them.

    Returns:
        `(facts, pictures)`: facts are JSON values, every number of the report
        among them; pictures are pairs of data URIs: `pictures["gallery"]`, a
        pair (query, generated) for each of `facts["gallery"]["entries"]`, and
        `pictures["findings"]`, for each of `facts["data"]["findings"]` a list of the
        first of its pairs.
    """
    config = Config.model_validate(yaml.safe_load(Path(inputs["config"]).read_text(encoding="utf-8")))
    splits = list(config.splits)
    evaluated = [(split, kind) for split in splits if split != "train" for kind in KINDS]
    per_split_and_kind = ("tables", "images", "cells", "averages")
    files = {name: dict(zip(evaluated, inputs[name], strict=True)) for name in per_split_and_kind}
    stores = {
        split: Store.open(store, index)
        for split, store, index in zip(splits, inputs["stores"], inputs["indexes"], strict=True)
    }
    tables = {pair: read_table(path) for pair, path in files["tables"].items()}
    shown = "test" if "test" in splits else "validation"
    classes = stores["train"].classes

    checks, classifier_check, selected = (
        read_json(inputs[name]) for name in ("checks", "classifier_check", "selected")
    )
    markers = [read_json(path) for path in inputs["markers"]]
    scored = [read_table(path).attrs for path in inputs["scores"]]
    results = _results(inputs, scored, tables, checks, classifier_check, markers, selected)
    conversions = [*scored, *(table.attrs for table in tables.values())]
    _require_current(results, inputs["key_files"], conversions, markers[-1]["checkpoints"])
    sessions = markers[-1]["sessions"]

    rows = {path: row for row, path in enumerate(stores[shown].paths)}
    entries, pictures, examples = choose_examples(
        {kind: tables[shown, kind] for kind in KINDS},
        classes,
        config.report.examples,
        lambda entry, side: (
            query_picture(stores[shown], rows[entry["query"]], side),
            generated_picture(files["images"][shown, entry["kind"]], entry, side),
        ),
    )
    facts = {
        "run": config.run_name,
        "title": config.report.title or config.log.name,
        "notes": config.log.notes,
        "tags": config.log.tags,
        "classes": classes,
        "shown_split": shown,
        "tries": config.validation_config.num_outs_per_domain,
        "seed": config.run.seed,
        "data": {"splits": checks["splits"], "findings": checks["findings"]},
        "classifier": {name: value for name, value in classifier_check.items() if name != "provenance"},
        "training": {
            "steps": config.run.total_iters,
            "seconds": sum(session["seconds"] for session in sessions),
            "device": ", ".join(sorted({session["device"] for session in sessions})),
            "history": _history(inputs["history"]),
        },
        "selection": {
            **{name: selected[name] for name in ("step", "split", "rule", "why")},
            "digest": markers[-1]["checkpoints"][str(selected["step"])]["sha256"],
            "scores": _rows(inputs["score_table"]),
        },
        "matrices": [
            {
                "split": split,
                "kind": kind,
                "averages": read_json(files["averages"][split, kind]),
                "cells": _rows(files["cells"][split, kind]),
            }
            for split, kind in evaluated
        ],
        "gallery": {"split": shown, "examples": examples, "entries": entries},
        "config": config.model_dump(),
        "stages": [*_stages(results, sessions)],
    }
    facts["warnings"] = _warnings(facts)
    return facts, {"gallery": pictures, "findings": [_pairs(finding, stores) for finding in checks["findings"]]}


def _pairs(finding, stores):
    """Pictures of the first pairs of images that a finding is about."""

    def picture(name):
        split, path = name.split("/", 1)
        return query_picture(stores[split], int((stores[split].paths == path).argmax()), SIDE_OF_PAIRS)

    return [[picture(name) for name in pair] for pair in finding["pairs"][:MOST_PAIRS]]


def render(facts, pictures):
    """Facts and pictures, see `collect` -> the HTML file's text. The same facts give the same text."""
    environment = Environment(
        loader=PackageLoader("quac.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "duration": _duration, "shade": _shade}
    cells = {
        (matrix["split"], matrix["kind"], cell["source"], cell["target"]): cell
        for matrix in facts["matrices"]
        for cell in matrix["cells"]
    }
    gallery = {}
    for entry, (query, generated) in zip(facts["gallery"]["entries"], pictures["gallery"], strict=True):
        pair = gallery.setdefault((entry["source"], entry["target"]), [])
        pair.append({**entry, "query_picture": query, "generated_picture": generated})
    return environment.get_template("report.html").render(
        **facts,
        metrics=RATES,
        severities=SEVERITIES,
        cell_of=cells,
        gallery_of=gallery,
        pictures_of_findings=pictures["findings"],
        config_text=yaml.safe_dump(facts["config"], sort_keys=False, allow_unicode=True),
        loss_chart=figures.loss_curves(facts["training"]["history"]) if facts["training"]["history"] else "",
        score_chart=figures.rates_over_checkpoints(facts["selection"]["scores"], facts["selection"]["step"]),
    )


def _rows(path):
    """Rows of a CSV file, an empty place as None; a class may be called `NA` or `1`."""
    names = ("source", "target")
    table = pd.read_csv(path, dtype=dict.fromkeys(names, str), keep_default_na=False, na_values=[""])
    return table.astype(object).where(table.notna(), None).to_dict("records")


def _history(path):
    """Columns of the history; a term that was not there at a step is None."""
    if not Path(path).stat().st_size:
        return {}
    return {
        name: [None if pd.isna(v) else v for v in values] for name, values in pd.read_csv(path).to_dict("list").items()
    }


def _results(inputs, scored, tables, checks, classifier_check, markers, selected):
    """(what of, the record of what made it) for each result, in the order of the chain."""
    results = [
        *((index["split"], index) for index in (read_table(path).attrs for path in inputs["indexes"])),
        ("", checks),
        *(("", read_json(path)) for path in inputs["classifier_fit"]),
        ("", classifier_check),
        *((f"up to step {marker['end']}", marker) for marker in markers),
        *((f"step {made['step']}, to choose", made) for made in scored),
        ("", selected),
        *((f"{split}, {kind}", table.attrs) for (split, kind), table in tables.items()),
    ]
    return [(what, made["provenance"]) for what, made in results]


def _stages(results, sessions):
    """What the report lists: of the training, the sessions in which it was done, also where it was only found again."""
    for what, record in results:
        if record["stage"] != "train":
            yield record | {"result": what}
        elif sessions:
            yield from (session | {"result": f"session {n}"} for n, session in enumerate(sessions, 1))
            sessions = []


def _require_current(results, key_files, conversions, checkpoints):
    """Stop where a result was made from other settings than those of now, or of another checkpoint.

    That takes two changes at once, the first of which hides the second's
    reason to run again, and a kill in between (docs/what-runs-again.md).
    """
    current = {digest_of(read_json(path)) for path in key_files}
    stale = {record["stage"] for _, record in results if not current.issuperset(record["keys"])}
    for made in conversions:
        if made["checkpoint_digest"] != checkpoints[str(made["step"])]["sha256"]:
            stale.add(made["provenance"]["stage"])
    if stale:
        raise QuacError(
            f"results of {', '.join(sorted(stale))} were made from other settings than those of now; "
            "run the same command again: they will be made anew"
        )


def _warnings(facts):
    warnings = []
    if facts["shown_split"] == facts["selection"]["split"]:
        warnings.append(
            "There is no test split: the numbers are of the validation split, which also chose the checkpoint, "
            "so they are somewhat too high. Give test_data."
        )
    if is_used(Loss(**facts["config"]["loss"]), "cls"):
        warnings.append(
            "The classifier that judges was trained on: the networks learned to please it (loss.lambda_cls), so the "
            "rates say less than those of a classifier that they never met."
        )
    commits = sorted({stage["commit"] or "unknown" for stage in facts["stages"]})
    if len(commits) > 1:
        warnings.append(f"Stages were run by different versions of the program: {', '.join(commits)}.")
    warnings += [f"{finding['message']}. Remedy: {finding['remedy']}." for finding in facts["data"]["findings"]]
    return warnings


def _percent(rate):
    return f"{100 * rate:.1f}"


def _duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _shade(rate):
    """Colours of a cell, as CSS: from near white to dark blue, the text readable on each."""
    light, dark = (247, 251, 255), (8, 64, 129)
    background = [round(a + (b - a) * rate) for a, b in zip(light, dark, strict=True)]
    return f"background: rgb({', '.join(map(str, background))}); color: {'#fff' if rate > 0.5 else '#111'}"
