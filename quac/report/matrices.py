"""The matrices of the report: one panel for each split, style kind and metric."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from quac.evaluation.metrics import METRICS, RATES, Metric
from quac.report.formats import DASH, FORMATS, percent, shade
from quac.report.schema import Cell, Matrix, Number, Numbers, Report


@dataclass(frozen=True)
class PanelCell:
    """`value`: the number as the files have it, "" if there is none; `opens`: whether it opens a gallery."""

    text: str
    value: str
    shade: int | None
    interval: str
    opens: bool


@dataclass(frozen=True)
class Panel:
    """A matrix as the page shows it; `is_relative`: shaded by the largest value of the split."""

    split: str
    kind: str
    metric: Metric
    is_relative: bool
    average: str
    interval: str
    rows: list[list[PanelCell]]


def metrics_of(oracles: Iterable[str]) -> dict[str, Metric]:
    """{name: Metric} of all matrices: METRICS, and the rates by the oracles of these names, and their agreement."""
    by_oracle = []
    for oracle in oracles:
        by_oracle += [
            replace(
                METRICS[rate],
                name=f"{rate}_by_{oracle}",
                label=f"{METRICS[rate].label} by {oracle}",
                definition=f"{METRICS[rate].definition} Here the classifier is the oracle {oracle}.",
            )
            for rate in RATES
        ]
        by_oracle.append(
            replace(
                METRICS[RATES[0]],
                name=f"agreement_with_{oracle}",
                label=f"Agreement with {oracle}",
                definition=f"Share of all tries that the classifier and the oracle {oracle} call the target class.",
                kind="try",
            )
        )
    return METRICS | {metric.name: metric for metric in by_oracle}


def panels_of(report: Report) -> list[Panel]:
    """The panels, those of the shown split first. A metric that the report does not have gives dashes."""
    shown_first = sorted(report.matrices, key=lambda matrix: matrix.split != report.shown_split)
    metrics = metrics_of(report.classifier.oracles).values()
    return [_panel(report, matrix, metric) for matrix in shown_first for metric in metrics]


def _panel(report: Report, matrix: Matrix, metric: Metric) -> Panel:
    is_relative = metric.bounds[1] != 1
    top = _largest(report, matrix.split, metric.name) if is_relative else 1.0
    opens = matrix.split == report.shown_split and report.gallery is not None
    average = matrix.averages.number(metric.name)
    return Panel(
        split=matrix.split,
        kind=matrix.kind,
        metric=metric,
        is_relative=is_relative,
        average=FORMATS[metric.format](average) + ("" if average is None else metric.unit),
        interval=interval(matrix.averages, metric.name),
        rows=[[_cell(cell, metric, top, opens) for cell in row] for row in matrix.rows(report.classes)],
    )


def _largest(report: Report, split: str, metric: str) -> float:
    """The largest absolute value of a split's pairs of different classes, over all style kinds; 1 if there is none."""
    cells = (cell for matrix in report.matrices if matrix.split == split for cell in matrix.cells)
    numbers = (cell.number(metric) for cell in cells if cell.source != cell.target)
    return max((abs(number) for number in numbers if number is not None), default=1) or 1


def _cell(cell: Cell, metric: Metric, top: float, opens: bool) -> PanelCell:
    value, is_pair = cell.number(metric.name), cell.source != cell.target
    return PanelCell(
        text=FORMATS[metric.format](value),
        value="" if value is None else repr(value),
        shade=shade(value / top) if is_pair and value is not None else None,
        interval=interval(cell, metric.name),
        opens=opens and is_pair,
    )


def interval(numbers: Numbers, metric: str) -> str:
    """The interval of a rate, in percent; "" if it has none."""
    _, low, high = numbers.with_interval(metric)
    return "" if low is None or high is None else f"{percent(low)}{DASH}{percent(high)}"


def counts(report: Report) -> dict[str, list[list[Number]]]:
    """What the script shows of a cell next to its number: {`<split> <kind>`: rows of [expected, found, ...]}."""
    return {
        f"{matrix.split} {matrix.kind}": [
            [cell.expected, cell.found, cell.scored, cell.tries, cell.number("right"), cell.number("real")]
            for cell in matrix.cells
        ]
        for matrix in report.matrices
    }


def cells_table(report: Report) -> pd.DataFrame:
    """All cells of all matrices, a row each, with `split` and `kind`."""
    return pd.DataFrame(
        {"split": matrix.split, "kind": matrix.kind, **cell.model_dump()}
        for matrix in report.matrices
        for cell in matrix.cells
    )
