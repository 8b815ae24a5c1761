"""A small, complete report made by code, without a run."""

from pathlib import Path

from quac.evaluation.metrics import RATES
from quac.report.matrices import metrics_of
from quac.report.pictures import Pictures
from quac.report.query_hits import QueryHits
from quac.report.reading import read_report
from quac.report.schema import GalleryEntry, Matrix, Report

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
CLASSES = ["across", "along"]
KINDS = ("latent", "reference")
NAMES = [
    "<script>alert(1)</script>",
    "</script><b>",
    'a "quoted" name',
    "it's, one",
    "Ünïcödé 猫 \N{CAT FACE}",
    "x" * 100,
    "&amp; {{ 7 }}",
    "{% raw %}",
    "`${1}`",
    "a\\b",
    "NA",
    "-->",
]


def report_of(finished) -> Report:
    """The report of the finished workflow."""
    return read_report(Path(finished.folder) / "reports/tiny.json")


def tiny_report() -> Report:
    """A report of two classes and a test split, with every part and every metric."""
    queries = [f"{name}/{name}-{number:02d}.png" for number in range(4) for name in CLASSES]
    return Report.model_validate(
        {
            "run": "tiny",
            "title": "tiny",
            "classes": CLASSES,
            "shown_split": "test",
            "tries": 2,
            "seed": 0,
            "data": {
                "splits": {
                    split: {
                        "source": f"data/{split}",
                        "images": dict.fromkeys(CLASSES, count),
                        "sizes": {"32x32": 2 * count},
                        "modes": {"L": 2 * count},
                        "bits": {"8": 2 * count},
                        "groups": 0,
                        "digest": f"{split} digest",
                    }
                    for split, count in {"train": 12, "validation": 10, "test": 10}.items()
                },
                "samples": {name: [f"{name}/{name}-{number:02d}.png" for number in range(8)] for name in CLASSES},
            },
            "classifier": {
                "classifier": "results/tiny/classifier/classifier.pt",
                "digest": "classifier digest",
                "outputs": "logits",
                "channels": 1,
                "classes": CLASSES,
                "splits": {split: accuracy() for split in ("train", "validation", "test")},
                "oracles": {
                    "oracle": {
                        "classifier": "results/tiny/classifier/oracle.pt",
                        "digest": "oracle digest",
                        "outputs": "logits",
                        "splits": {split: accuracy() for split in ("train", "validation", "test")},
                    }
                },
                "fit": {
                    "backbone": "small",
                    "parameters": 4646,
                    "chosen_epoch": 2,
                    "epochs": [
                        {"epoch": n, "lr": 0.001, "train_loss": 1 / n, "validation_loss": 1 / n}
                        | {"validation_accuracy": 1 - 0.5 / n}
                        for n in (1, 2)
                    ],
                },
            },
            "training": {
                "steps": 4,
                "seconds": 2.5,
                "device": "cpu",
                "sample_grids": ["samples/000004.png"],
                "history": history(),
            },
            "selection": {
                "step": 4,
                "split": "validation",
                "rule": "highest average conversion rate on validation, mean of both kinds",
                "why": "its conversion rate, 0.7500, is the highest of 2 checkpoint(s)",
                "digest": "checkpoint digest",
                "scores": [
                    {"step": step, "kind": kind, "checkpoint": f"{step:06d}_nets_ema.ckpt", "queries": 20, "tries": 40}
                    | metrics(0.1 * step)
                    for step in (2, 4)
                    for kind in KINDS
                ],
            },
            "matrices": [matrix(split, kind) for split in ("validation", "test") for kind in KINDS],
            "hits": {
                "tries": 2,
                "queries": {name: " ".join(f"{name}{number}" for number in range(10)) for name in CLASSES},
                "hits": {kind: {a: {b: "0 1 2 1 0 1 2 1 0 1"} for a, b in (CLASSES, CLASSES[::-1])} for kind in KINDS},
            },
            "controls": controls(),
            "gallery": {
                "chosen": 12,
                "entries": [
                    entry(kind, source, target, group)
                    for kind in KINDS
                    for source, target in (CLASSES, CLASSES[::-1])
                    for group in ("best", "typical", "failed")
                ],
            },
            "styles": {
                "references": "train",
                "queries": [{"query": query, "source": query.split("/")[0]} for query in queries],
                "grids": [grid(kind, target, queries) for kind in KINDS for target in CLASSES],
                "chosen": 8,
                "side": 96,
            },
            "config": config(),
            "changed": [["data.source", "data/train"]],
            "config_path": "results/tiny/config.yaml",
            "stages": [
                {"stage": stage, "result": "", "keys": [f"{stage} key"], "commit": "c0ffee", "versions": {"quac": "2"}}
                | {"machine": "Linux", "started": "2026-01-01T00:00:00+00:00", "seconds": 1, "peak_memory_mb": 100}
                for stage in ("index", "train", "convert")
            ],
        }
    )


def config():
    """The sections of a config that a report reads, and some that a comparison lists."""
    return {
        "data": {"source": "data/train", "img_size": 32, "batch_size": 4, "reference": "train"},
        "validation_data": {"source": "data/validation", "img_size": 32, "batch_size": 4, "reference": "train"},
        "test_data": {"source": "data/test", "img_size": 32, "batch_size": 4, "reference": "train"},
        "split": None,
        "model": {"kind": "starganv2", "img_size": 32, "final_activation": "tanh"},
        "solver": {"root_dir": "results/tiny", "lr": 0.001, "f_lr": 0.001},
        "validation_config": {"img_size": 32, "num_outs_per_domain": 2, "min_accuracy": 0.0},
        "classifier": {"lr": 0.002},
        "selection": {"tries": 2},
        "loss": {"lambda_cyc": 1.0, "lambda_cls": 0.0},
        "log": {"name": "tiny", "notes": ""},
        "report": {"examples": 2},
    }


def accuracy():
    row = {"low": 0.9, "high": 1.0, "images": 20, "confidence": 0.95, "accuracy": 0.9}
    return {
        "images": 20,
        "accuracy": 0.9,
        "accuracy_per_class": dict.fromkeys(CLASSES, 0.9),
        "confusion": [[9, 1], [1, 9]],
        "calibration_error": 0.05,
        "calibration_limit": 0.12,
        "calibration": [row],
    }


def history():
    """Every term of the objective, and evaluations at the last step."""
    columns = {"step": [1, 2, 3, 4], "images_per_second": [12.5] * 4, "waiting_share": [0.01] * 4}
    for kind in KINDS:
        columns |= {f"D/{kind}_{term}": [0.7, 0.6, 0.5, 0.4] for term in ("real", "fake", "reg")}
        columns |= {f"G/{kind}_{term}": [0.7, 0.6, 0.5, 0.4] for term in ("adv", "sty", "cyc")}
        columns |= {f"{metric}_{kind}": [None, None, None, 0.5] for metric in (*RATES, "l1")}
    return columns


def metrics(value):
    """Every metric, the rates with intervals, also those of the oracle."""
    ends = {f"{rate}{end}": value + shift for rate in RATES for end, shift in {"_low": -0.05, "_high": 0.05}.items()}
    return dict.fromkeys([*metrics_of(["oracle"])], value) | ends


def matrix(split, kind):
    cells = [
        {"source": source, "target": target, "expected": 10, "found": 10, "scored": 10, "tries": 20}
        | metrics(0.25 + 0.125 * number)
        | {"right": 9, "real": 10}
        for number, (source, target) in enumerate((source, target) for source in CLASSES for target in CLASSES)
    ]
    return {"split": split, "kind": kind, "averages": {"queries": 20, "tries": 40, **metrics(0.4375)}, "cells": cells}


def controls(oracles=()):
    """Controls in which noise fools the classifier; each of `oracles` calls 20 % of it the target."""
    numbers = {"latent": (0.95, 0.2), "reference": (0.97, 0.2), "own_style": (0.0, 0.1), "unchanged": (0.0, 0.0)}
    numbers |= {"nearest": (1.0, 0.25), "noise": (0.96, 0.1), "real": (0.99, 0.5)}
    made = []
    for name, (rate, l1) in numbers.items():
        average = {"queries": 10, "translation_rate": rate, "l1": l1, "l1_scaled": (l1 - 0.1) / 0.15}
        average |= {f"translation_rate_by_{oracle}": 0.2 if name == "noise" else rate for oracle in oracles}
        pairs = [{"source": a, "target": b, **average, "queries": 5} for a, b in (CLASSES, CLASSES[::-1])]
        made.append({"name": name, "average": average, "pairs": pairs})
    noise = {"eps": 0.0625, "reached": True, "wanted": 0.96, "steps": 20, "ladder": [0.03125, 0.0625], "fault": ""}
    return {"split": "test", "seed": 0, "max_queries": 50, "noise": noise, "controls": made}


def entry(kind, source, target, group):
    return {
        **{"kind": kind, "source": source, "target": target, "group": group, "round": 0, "try": 1},
        **{"query": f"{source}/{group}.png", "style": "99463c103cb8", "query_predicted": source, "l1": 0.5},
        **{"predicted": source if group == "failed" else target, "p_source": 0.25, "p_target": 0.75},
        **{"query_p_source": 0.875, "query_p_target": 0.125},
    }


def grid(kind, target, queries, count=6):
    styles = [f"{target}/{target}-{n:02d}.png" if kind == "reference" else f"latent {n}" for n in range(count)]
    rows = [
        {"query": number, "p_target": [0.75] * count, "predicted": [target] * count}
        for number, query in enumerate(queries)
        if not query.startswith(f"{target}/")
    ]
    return {"kind": kind, "target": target, "styles": styles, "rows": rows}


def pictures_of(report: Report) -> Pictures:
    """One pixel for every picture."""
    entries, grids = report.gallery.entries, report.styles.grids
    return {
        "examples": {"queries": {entry.query: PIXEL for entry in entries}, "generated": [PIXEL] * len(entries)},
        "data": {
            "findings": [[] for _ in report.data.findings],
            "classes": {name: [PIXEL] * len(report.data.samples[name]) for name in report.classes},
        },
        "styles": {
            "queries": [PIXEL] * len(report.styles.queries),
            "references": {name: PIXEL for grid in grids if grid.kind == "reference" for name in grid.styles},
            "generated": [[[PIXEL] * len(grid.styles) for _ in grid.rows] for grid in grids],
        },
        "training": {4: PIXEL},
    }


def with_classes(report: Report, names: list[str]) -> Report:
    """The same report with other classes: every pair has the cell of the first pair, but for its translation rate."""
    report = report.model_copy(deep=True)
    report.classes = names
    pairs = [(source, target) for source in names for target in names]
    report.matrices = [_with_pairs(matrix, pairs) for matrix in report.matrices]
    hits = {source: {target: "2 1" for target in names if target != source} for source in names}
    queries = {name: f"{number}a {number}b" for number, name in enumerate(names)}
    report.hits = QueryHits(tries=2, queries=queries, hits=dict.fromkeys(KINDS, hits))
    for control in report.controls.controls:
        pair = control.pairs[0]
        control.pairs = [pair.model_copy(update={"source": a, "target": b}) for a, b in pairs if a != b]
    report.gallery.entries = [
        GalleryEntry.model_validate(
            report.gallery.entries[0].model_dump()
            | {"source": source, "target": target, "query": f"{source}/{target}.png"}
        )
        for source, target in pairs
        if source != target
    ]
    _set_grids(report, names)
    for split in report.data.splits.values():
        split.images = dict.fromkeys(names, 5)
    report.data.samples = {name: [f"{name}/1.png"] for name in names}
    checked = (report.classifier, *report.classifier.oracles.values())
    for check in (check for classifier in checked for check in classifier.splits.values()):
        check.confusion = [[1] * len(names) for _ in names]
        check.accuracy_per_class = dict.fromkeys(names, 0.5)
    return report


def _with_pairs(matrix: Matrix, pairs) -> Matrix:
    cell = next(cell for cell in matrix.cells if cell.source != cell.target).model_dump()
    cells = [
        cell | {"source": source, "target": target, "translation_rate": number / len(pairs)}
        for number, (source, target) in enumerate(pairs)
    ]
    return Matrix.model_validate(matrix.model_dump() | {"cells": cells})


def _set_grids(report: Report, names: list[str]) -> None:
    latent, *_, reference = [grid.model_dump() for grid in report.styles.grids]
    content = report.styles.model_dump()
    content["queries"] = [{"query": f"{name}/1.png", "source": name} for name in names]
    content["grids"] = [
        {
            **grid,
            "target": target,
            "rows": [
                {**grid["rows"][0], "query": number, "predicted": [source] * len(grid["styles"])}
                for number, source in enumerate(names)
                if source != target
            ],
        }
        for grid in (latent, reference)
        for target in names
    ]
    report.styles = type(report.styles).model_validate(content)
