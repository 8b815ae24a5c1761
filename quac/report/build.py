"""What the report shows, out of the files of a run. Reads files, never a model."""

from pathlib import Path

import pandas as pd
import yaml

from quac.config import Config
from quac.config.evaluation import KINDS
from quac.data.store import Store
from quac.files import read_json
from quac.report.differences import changed_settings
from quac.report.gallery import choose_entries, show_examples
from quac.report.pictures import generated_picture, query_picture
from quac.report.results import records_of, require_current, stages_of
from quac.report.warnings import find_warnings
from quac.tables import read_table

MOST_PAIRS, SIDE_OF_PAIRS = 12, 64  # shown of a finding, and their size in pixels


def collect(inputs):
    """Everything that the report shows.

    Args:
        inputs: {name: path or list of paths}, as the rule `report` names them.

    Returns:
        `(facts, pictures)`: facts are JSON values, every number of the report
        among them; pictures are data URIs: `pictures["gallery"]`, see
        `show_examples`, and `pictures["findings"]`, for each of
        `facts["data"]["findings"]` a list of the first of its pairs.
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
    records = records_of(inputs, scored, tables, checks, classifier_check, markers, selected)
    conversions = [*scored, *(table.attrs for table in tables.values())]
    require_current(records, inputs["key_files"], conversions, markers[-1]["checkpoints"])
    sessions = markers[-1]["sessions"]

    rows = {path: row for row, path in enumerate(stores[shown].paths)}
    chosen = choose_entries({kind: tables[shown, kind] for kind in KINDS}, classes, config.report.examples)
    entries, gallery = show_examples(
        chosen,
        lambda entry, side: query_picture(stores[shown], rows[entry["query"]], side),
        lambda entry, side: generated_picture(files["images"][shown, entry["kind"]], entry, side),
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
        "classifier": {
            **{name: value for name, value in classifier_check.items() if name != "provenance"},
            "fit": _fit(inputs["classifier_fit"]),
        },
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
        "gallery": {"chosen": len(chosen), "entries": entries},
        "config": config.model_dump(),
        "changed": [list(setting) for setting in changed_settings(config)],
        "config_path": inputs["config"],
        "stages": [*stages_of(records, sessions)],
    }
    facts["warnings"] = find_warnings(facts)
    return facts, {"gallery": gallery, "findings": [_pairs(finding, stores) for finding in checks["findings"]]}


def _pairs(finding, stores):
    """Pictures of the first pairs of images that a finding is about."""

    def picture(name):
        split, path = name.split("/", 1)
        return query_picture(stores[split], int((stores[split].paths == path).argmax()), SIDE_OF_PAIRS)

    return [[picture(name) for name in pair] for pair in finding["pairs"][:MOST_PAIRS]]


def _fit(records):
    """What is known of the classifier's own training, or None where the config names a classifier."""
    for path in records:
        return {name: value for name, value in read_json(path).items() if name != "provenance"}


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
