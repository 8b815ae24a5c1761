"""Examples of conversions for the report, failures included."""

import numpy as np

MOST_BYTES = 8_000_000  # of all pictures together
SIDES = (128, 64, 32)  # of a picture, at most
NAMES = ("query", "source", "target", "style", "predicted", "query_predicted")
NUMBERS = ("p_source", "p_target", "l1", "query_p_source", "query_p_target")
COLUMNS = [*NAMES, *NUMBERS, "try", "best"]  # of a table of tries
GROUPS = ("best", "typical", "failed")


def show_examples(entries, query, generated):
    """Make the pictures of entries, in their order, until they would take too much.

    They are made smaller where not even the first round of entries would fit.

    Args:
        entries: see `choose_entries`.
        query, generated: called with (entry, largest side) for its pictures, data URIs.

    Returns:
        `(entries, pictures)`: the entries that fit, and for them `queries`, {path: data URI}, and `generated`, a list.
    """
    first_round = sum(entry["round"] == 0 for entry in entries)
    for side in SIDES:
        pictures, room = {"queries": {}, "generated": []}, MOST_BYTES
        for entry in entries:
            added = {} if entry["query"] in pictures["queries"] else {entry["query"]: query(entry, side)}
            picture = generated(entry, side)
            room -= len(picture) + sum(map(len, added.values()))
            if room < 0 and pictures["generated"]:
                break
            pictures["queries"] |= added
            pictures["generated"].append(picture)
        if len(pictures["generated"]) >= first_round:
            break
    return entries[: len(pictures["generated"])], pictures


def choose_entries(tables, classes, examples):
    """The queries to show.

    For each kind and pair of classes: of those that reached the target the best, with the highest target probability,
    and typical ones, spread evenly over the others and not picked by their looks; of those that did not, the farthest.

    Args:
        tables: {kind: table of tries} of one split, with COLUMNS.
        examples: how many of each, at most.

    Returns:
        Dicts of a best try's columns, with `group`, one of GROUPS, and `round`: first one of each group of every
        pair, then a second.
    """
    entries = []
    for kind, table in tables.items():
        best = table[table["best"] & (table["source"] != table["target"])].sort_values("query")
        pairs = {pair: rows for pair, rows in best.groupby(["source", "target"], sort=False)}
        for source in classes:
            for target in classes:
                if (source, target) in pairs:
                    groups = _groups(pairs[source, target], target, examples)
                    entries += [
                        {**_entry(row, kind), "group": group, "round": number}
                        for group, rows in groups.items()
                        for number, row in enumerate(rows.to_dict("records"))
                    ]
    return sorted(entries, key=lambda entry: entry["round"])


def _groups(pair, target, examples):
    hit = pair["predicted"] == target  # where no try was called the target, the best try was not either
    hits = pair[hit].sort_values("p_target", ascending=False, kind="stable")
    others = hits.iloc[examples:].sort_values("query")
    evenly = np.unique(np.linspace(0, len(others) - 1, min(examples, len(others))).round().astype(int))
    farthest = pair[~hit].sort_values("p_target", kind="stable")
    return dict(zip(GROUPS, (hits.head(examples), others.iloc[evenly], farthest.head(examples)), strict=True))


def _entry(row, kind):
    return {
        "kind": kind,
        **{name: row[name] for name in NAMES},
        "try": int(row["try"]),
        **{name: float(row[name]) for name in NUMBERS},
    }
