"""What can be said of the difference between runs: paired by query, and over runs that differ in the seed only."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from quac.evaluation.intervals import paired_difference
from quac.evaluation.metrics import METRICS, RATES
from quac.report.formats import DASH, FORMATS
from quac.report.query_hits import QueryHits
from quac.report.schema import Report

SEED = "run.seed"
DIGITS = 4  # of a difference


@dataclass(frozen=True)
class SeedGroup:
    """Runs that differ in `run.seed` only; `numbers`: of each column, mean and standard deviation over them."""

    runs: list[str]
    seeds: list[Any]
    numbers: list[str]


def paired_differences(runs: Sequence[Report]) -> dict[str, dict[str, Any]]:
    """Differences between the runs that converted the same queries.

    Returns {"<i> <j>": {style kind: {rate: {"average": limits, "cells": rows}}}} of each pair of runs i < j: rows and
    columns are the classes in the order of run i, and limits are (run i - run j, lower, upper), see
    `paired_difference`; None on the diagonal.
    """
    known = [(number, run.hits, run.classes) for number, run in enumerate(runs) if run.hits]
    pairs = combinations(known, 2)
    return {
        f"{i} {j}": _differences(one, other, classes)
        for (i, one, classes), (j, other, _) in pairs
        if one.queries == other.queries
    }


def _differences(one: QueryHits, other: QueryHits, classes: list[str]) -> dict[str, Any]:
    differences: dict[str, Any] = {}
    for kind in (kind for kind in one.hits if kind in other.hits):
        first, second = one.rates(kind), other.rates(kind)  # (queries, targets, rates) of each source
        averages = _limits(paired_difference(_over_targets(first), _over_targets(second)))
        cells = {name: _limits(paired_difference({name: first[name]}, {name: second[name]})) for name in first}
        differences[kind] = {
            rate: {"average": averages[number], "cells": _rows(classes, cells, number)}
            for number, rate in enumerate(RATES)
        }
    return differences


def _over_targets(rates: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {source: values.mean(1) for source, values in rates.items()}


def _limits(difference: tuple[np.ndarray, np.ndarray, np.ndarray]) -> list[Any]:
    """Three arrays (...) -> lists (...) of three numbers."""
    return np.stack(difference, -1).round(DIGITS).tolist()


def _rows(classes: list[str], cells: dict[str, list[Any]], rate: int) -> list[list[Any]]:
    rows = []
    for source in classes:
        limits = dict(zip(sorted(name for name in classes if name != source), cells[source], strict=True))
        rows.append([limits[target][rate] if target != source else None for target in classes])
    return rows


def group_seeds(settings: Sequence[dict[str, Any]]) -> list[list[int]]:
    """Which runs differ in the seed only: lists of their numbers, each run in one of them.

    `settings`: {dotted name: value} of each run, without what is only a label.
    """
    groups: dict[str, list[int]] = {}
    for number, of_run in enumerate(settings):
        others = {name: value for name, value in of_run.items() if name != SEED}
        groups.setdefault(json.dumps(others, sort_keys=True), []).append(number)
    return [*groups.values()]


def seed_groups(
    runs: Sequence[Report], settings: Sequence[dict[str, Any]], columns: Sequence[tuple[str, str]]
) -> list[SeedGroup]:
    """The groups of several seeds; `columns`: (metric, style kind) of the averages that are shown."""
    groups = []
    for numbers in group_seeds(settings):
        seeds = sorted({settings[number].get(SEED) for number in numbers}, key=str)
        if len(seeds) > 1:
            members = [runs[number] for number in numbers]
            shown = [_mean_and_deviation(members, *column) for column in columns]
            groups.append(SeedGroup([run.run for run in members], seeds, shown))
    return groups


def _mean_and_deviation(runs: list[Report], metric: str, kind: str) -> str:
    matrices = [run.shown(kind) for run in runs]
    values = [matrix.averages.number(metric) for matrix in matrices if matrix]
    known = [value for value in values if value is not None]
    if len(known) < len(runs):
        return DASH
    write = FORMATS[METRICS[metric].format]
    return f"{write(float(np.mean(known)))} ± {write(float(np.std(known, ddof=1)))}"


def warn_of_single_seeds(runs: Sequence[Report], settings: Sequence[dict[str, Any]]) -> str | None:
    """A sentence, unless there is one run only, or every setting was trained with several seeds."""
    groups = ([settings[number].get(SEED) for number in numbers] for numbers in group_seeds(settings))
    single = sum(len(set(map(str, seeds))) == 1 for seeds in groups)
    if len(runs) == 1 or not single:
        return None
    return (
        f"{single} setting{'s' if single > 1 else ''} trained with one seed only: a difference may be that of another "
        "seed. The intervals are over the queries of one training. Add runs that differ in run.seed only."
    )
