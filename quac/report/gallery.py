"""Examples of conversions for the report, failures included."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from quac.data.store import evenly_spaced
from quac.report.pictures import Picture, Pictures, fit_pictures
from quac.report.schema import Gallery, GalleryEntry

MAX_BYTES = 8_000_000  # of all pictures together
SIDES = (128, 64, 32)  # of a picture, at most
COLUMNS = ["query", "source", "target", "style", "predicted", "query_predicted", "try", "best"]  # of a table of tries
COLUMNS += ["p_source", "p_target", "l1", "query_p_source", "query_p_target"]
GROUPS = ("best", "typical", "failed")

Show = Callable[[GalleryEntry, int], str]  # (entry, largest side) -> data URI


def show_examples(entries: list[GalleryEntry], query: Show, generated: Show) -> tuple[list[GalleryEntry], Pictures]:
    """The entries whose pictures fit into MAX_BYTES, and for them `queries`, {path: data URI}, and `generated`, a list.

    Pictures are made smaller if not even the first round of entries would fit. `query` and `generated` make those of an
    entry.
    """
    groups: list[dict[Any, Picture]] = [
        {entry.query: partial(query, entry), number: partial(generated, entry)} for number, entry in enumerate(entries)
    ]
    count, _, made = fit_pictures(groups, SIDES, MAX_BYTES, needed=sum(entry.round == 0 for entry in entries))
    converted = [made.pop(number) for number in range(count)]
    return entries[:count], {"queries": made, "generated": converted}


def choose_entries(
    tables: dict[str, pd.DataFrame], typical: pd.DataFrame, classes: list[str], examples: int
) -> list[GalleryEntry]:
    """The tries to show: first one of each group of every pair, then a second, and so on.

    The groups of a style kind and pair of classes: the best tries of the queries that reached the target, those of the
    highest target probability; typical ones, random tries of random queries, whatever they give; the best tries of the
    queries that did not reach it, the farthest first.

    Args:
        tables: {style kind: table of tries} of one split, with COLUMNS.
        typical: random tries, see `quac.evaluation.split_conversion`, with COLUMNS and `kind`.
        examples: how many of a group, at most.
    """
    entries = []
    for kind, table in tables.items():
        best = table[table["best"] & (table["source"] != table["target"])].sort_values("query")
        drawn = typical[typical["kind"] == kind].sort_values("query")
        of_pair = {pair: rows for pair, rows in drawn.groupby(["source", "target"], sort=False)}
        pairs = {pair: rows for pair, rows in best.groupby(["source", "target"], sort=False)}
        for pair in ((source, target) for source in classes for target in classes):
            if pair in pairs:
                groups = _groups(pairs[pair], of_pair.get(pair, drawn.head(0)), examples)
                entries += [
                    GalleryEntry.model_validate(row | {"kind": kind, "group": group, "round": number})
                    for group, rows in groups.items()
                    for number, row in enumerate(rows.to_dict("records"))
                ]
    return sorted(entries, key=lambda entry: entry.round)


def _groups(best: pd.DataFrame, typical: pd.DataFrame, examples: int) -> dict[str, pd.DataFrame]:
    """{group: rows}, of the best tries of a pair and its random ones."""
    hit = best["predicted"] == best["target"]  # if no try was called the target, the best try was not either
    highest = best[hit].sort_values("p_target", ascending=False, kind="stable")
    farthest = best[~hit].sort_values("p_target", kind="stable")
    spread = typical.iloc[evenly_spaced(np.arange(len(typical)), examples)]
    return dict(zip(GROUPS, (highest.head(examples), spread, farthest.head(examples)), strict=True))


def entries_by_pair(gallery: Gallery, pictures: Pictures) -> dict[tuple[str, str], dict[str, dict[str, list[Any]]]]:
    """{(source, target): {style kind: {group: entries}}}, an entry with its `picture` and `query_picture`, the number
    of its query's picture."""
    numbers = {query: number for number, query in enumerate(pictures["queries"])}
    pairs: dict[tuple[str, str], dict[str, dict[str, list[Any]]]] = {}
    for entry, picture in zip(gallery.entries, pictures["generated"], strict=True):
        group = pairs.setdefault((entry.source, entry.target), {}).setdefault(entry.kind, {})
        shown = {**entry.model_dump(), "picture": picture, "query_picture": numbers[entry.query]}
        group.setdefault(entry.group, []).append(shown)
    return pairs
