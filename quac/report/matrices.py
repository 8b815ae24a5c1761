"""The matrices of the report: one panel for each split, kind and number."""

from dataclasses import dataclass, replace

import pandas as pd

from quac.evaluation.metrics import RATES
from quac.report.formats import DASH, decimals, level, percent, significant


@dataclass(frozen=True)
class Number:
    """How a number of a class pair is shown."""

    label: str
    definition: str
    text: callable
    share: bool  # of 0 to 1; what is none is shaded by the largest of its split
    unit: str = ""


NUMBERS = {
    "translation_rate": Number(
        "Translation rate",
        "Share of all tries, of all queries of the source class, that the classifier calls the target class.",
        percent,
        share=True,
        unit=" %",
    ),
    "conversion_rate": Number(
        "Conversion rate",
        "Share of the queries of which at least one try is called the target class.",
        percent,
        share=True,
        unit=" %",
    ),
    "p_target": Number(
        "Target probability",
        "The classifier's probability of the target class: mean over the tries, then over the queries.",
        decimals,
        share=True,
    ),
    "l1": Number(
        "L1 distance",
        "Mean absolute difference between generated image and query, in the range of the networks.",
        decimals,
        share=False,
    ),
    "ssim": Number(
        "SSIM",
        "Structural similarity of generated image and query (Wang et al. 2004); 1: equal.",
        decimals,
        share=True,
    ),
    "cycle": Number(
        "Cycle distance",
        "Mean absolute difference to the query after conversion back with the query's own style.",
        decimals,
        share=False,
    ),
    "diversity": Number(
        "Diversity",
        "Mean absolute difference between the tries of a query; none where there is one try.",
        decimals,
        share=False,
    ),
    "frechet": Number(
        "Fréchet distance",
        "Between the classifier's logits of generated images and of the split's real images of the target class. Not "
        "the FID of an Inception network: compare it only between runs with the same classifier and images.",
        significant,
        share=False,
    ),
    "kernel": Number(
        "Kernel distance",
        "Squared maximum mean discrepancy of the same logits, cubic kernel, unbiased: it may be a little below 0.",
        significant,
        share=False,
    ),
}


def numbers_of(judges):
    """{column of the cells: Number}: NUMBERS, and the rates by the further judges of these names."""
    by_judge = {
        f"{rate}_by_{name}": replace(
            NUMBERS[rate],
            label=f"{NUMBERS[rate].label} by {name}",
            definition=f"{NUMBERS[rate].definition} Here the classifier is the further judge {name}.",
        )
        for name in judges
        for rate in RATES
    }
    return NUMBERS | by_judge


def panels(facts):
    """The panels, those of the shown split first: dicts of what the template shows."""
    of_shown = sorted(facts["matrices"], key=lambda matrix: matrix["split"] != facts["shown_split"])
    numbers = numbers_of(facts["classifier"]["judges"])
    return [_panel(facts, matrix, metric, number) for matrix in of_shown for metric, number in numbers.items()]


def _panel(facts, matrix, metric, number):
    classes, averages = facts["classes"], matrix["averages"]
    values = [
        abs(cell[metric])
        for other in facts["matrices"]
        if other["split"] == matrix["split"]
        for cell in other["cells"]
        if cell["source"] != cell["target"] and cell[metric] is not None
    ]
    top = 1 if number.share else max(values, default=1) or 1
    cells = {(cell["source"], cell["target"]): cell for cell in matrix["cells"]}
    shown = matrix["split"] == facts["shown_split"]
    return {
        "split": matrix["split"],
        "kind": matrix["kind"],
        "metric": metric,
        "number": number,
        "average": number.text(averages[metric]) + number.unit,
        "interval": _interval(averages, metric),
        "rows": [
            [_cell(cells[source, target], metric, number, top, shown and source != target) for target in classes]
            for source in classes
        ],
    }


def _cell(cell, metric, number, top, opens):
    value = cell[metric]
    return {
        "text": number.text(value),
        "value": "" if value is None else repr(value),
        "level": None if cell["source"] == cell["target"] or value is None else level(value / top),
        "interval": _interval(cell, metric),
        "opens": opens,
    }


def _interval(numbers, metric):
    if metric not in RATES:
        return ""
    return f"{percent(numbers[f'{metric}_low'])}{DASH}{percent(numbers[f'{metric}_high'])}"


def counts(facts):
    """What the script tells of a cell beside its number: {`<split> <kind>`: rows of [expected, found, ...]}."""
    names = ("expected", "found", "scored", "tries", "right", "real")
    return {
        f"{matrix['split']} {matrix['kind']}": [[cell[name] for name in names] for cell in matrix["cells"]]
        for matrix in facts["matrices"]
    }


def cells_table(facts):
    """All cells of all matrices as a DataFrame, a row each, with `split` and `kind`."""
    return pd.DataFrame(
        {"split": matrix["split"], "kind": matrix["kind"], **cell}
        for matrix in facts["matrices"]
        for cell in matrix["cells"]
    )
