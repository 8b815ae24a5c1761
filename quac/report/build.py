"""What the report shows, out of the files of a run. Reads files, never a model."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from quac.config import Config
from quac.config.evaluation import KINDS
from quac.conversion.image_folder import grid_path
from quac.data.store import Store, spread
from quac.report.config_diff import changed_settings
from quac.report.gallery import COLUMNS, choose_entries, show_examples
from quac.report.pictures import generated_picture, picture_of, query_picture
from quac.report.provenance import attributes, records_of, require_current, stages_of
from quac.report.style_grids import show_grids
from quac.report.warnings import find_warnings
from quac.system.files import read_json
from quac.system.tables import read_table

MOST_PAIRS, SIDE_OF_PAIRS = 12, 64  # shown of a finding, and their size in pixels
SAMPLES, SIDE_OF_SAMPLES = 8, 64  # of each class
GRIDS, SIDE_OF_GRIDS = 4, 1200  # of the training


def collect(inputs):
    """Everything that the report shows.

    Args:
        inputs: {name: path or list of paths}, as the rule `report` names them.

    Returns:
        `(facts, pictures)`: facts are JSON values, every number of the report
        among them; pictures are data URIs: `pictures["gallery"]`, see
        `show_examples`; `pictures["styles"]`, see `show_grids`;
        `pictures["findings"]`, for each of `facts["data"]["findings"]` a
        list of the first of its pairs; `pictures["classes"]`, {class: list};
        `pictures["steps"]`, {step: grid}.
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
    made = {pair: attributes(path) for pair, path in files["tables"].items()}
    shown = config.shown_split
    classes = stores["train"].classes

    checks, classifier_check, selected, styles = (
        read_json(inputs[name]) for name in ("checks", "classifier_check", "selected", "styles")
    )
    markers = [read_json(path) for path in inputs["markers"]]
    scored = [attributes(path) for path in inputs["scores"]]
    records = records_of(inputs, scored, made, checks, classifier_check, markers, selected, styles)
    require_current(records, inputs["key_files"], [*scored, *made.values(), styles], markers[-1]["checkpoints"])
    sessions = markers[-1]["sessions"]

    rows = {split: {path: row for row, path in enumerate(store.paths)} for split, store in stores.items()}

    def real(split):
        """A function: path of an image of the split, largest side -> its picture."""
        return lambda path, side: query_picture(stores[split], rows[split][path], side)

    best = {kind: read_table(files["tables"][shown, kind], COLUMNS, [("best", "==", True)]) for kind in KINDS}
    chosen = choose_entries(best, classes, config.report.examples)
    entries, gallery = show_examples(
        chosen,
        lambda entry, side: real(shown)(entry["query"], side),
        lambda entry, side: generated_picture(files["images"][shown, entry["kind"]], entry, side),
    )
    of_styles, grids = show_grids(
        styles,
        real(shown),
        real(styles["references"]),
        lambda *place: picture_of(f"{inputs['style_images']}/{grid_path(*place[:-1])}", place[-1]),
    )
    samples = {name: spread(stores["train"].rows_of(label), SAMPLES) for label, name in enumerate(classes)}
    bits = {
        split: {str(depth): int(count) for depth, count in read_table(path, ["bits"])["bits"].value_counts().items()}
        for split, path in zip(splits, inputs["indexes"], strict=True)
    }
    on_the_way = _sample_grids(markers[-1])
    facts = {
        "run": config.run_name,
        "title": config.report.title or config.log.name,
        "notes": config.log.notes,
        "tags": config.log.tags,
        "classes": classes,
        "shown_split": shown,
        "tries": config.validation_config.num_outs_per_domain,
        "seed": config.run.seed,
        "masks": _masks(config, made),
        "data": {
            "splits": {split: {**found, "bits": bits[split]} for split, found in checks["splits"].items()},
            "findings": checks["findings"],
            "samples": {name: [str(path) for path in stores["train"].paths[rows]] for name, rows in samples.items()},
        },
        "classifier": {
            **{name: value for name, value in classifier_check.items() if name != "provenance"},
            "fit": _fit(inputs["classifier_fit"]),
        },
        "training": {
            "steps": config.run.total_iters,
            "seconds": sum(session["seconds"] for session in sessions),
            "device": ", ".join(sorted({session["device"] for session in sessions})),
            "sample_grids": [str(path) for path in on_the_way.values()],
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
        "styles": {"references": styles["references"], **of_styles},
        "config": config.model_dump(),
        "changed": [list(setting) for setting in changed_settings(config)],
        "config_path": inputs["config"],
        "stages": [*stages_of(records, sessions)],
    }
    facts["warnings"] = find_warnings(facts)
    return facts, {
        "gallery": gallery,
        "styles": grids,
        "findings": [_pairs(finding, stores) for finding in checks["findings"]],
        "classes": {
            name: [query_picture(stores["train"], row, SIDE_OF_SAMPLES) for row in rows]
            for name, rows in samples.items()
        },
        "steps": {step: picture_of(path, SIDE_OF_GRIDS) for step, path in on_the_way.items()},
    }


def _sample_grids(marker):
    """{step: path} of some of the grids that the training wrote beside its checkpoints, evenly, the last among them."""
    folder = Path(next(iter(marker["checkpoints"].values()))["file"]).parent / "samples"
    found = sorted((int(path.stem), path) for path in folder.glob("*.png"))
    steps = np.array([step for step, _ in found if step <= marker["end"]], int)
    return {step: dict(found)[step] for step in spread(steps, GRIDS).tolist()}


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


def _masks(config, made):
    """How queries were pasted, and `queries`: of each split how many have a mask, and how many there are. Or None."""
    if config.conversion.mask == "none":
        return None
    queries = {split: [of_table["masked"], sum(of_table["found"].values())] for (split, _), of_table in made.items()}
    return {"edge": config.conversion.mask_edge, "queries": queries}


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
