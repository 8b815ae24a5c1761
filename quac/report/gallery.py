"""Examples of conversions for the report, failures included."""

import base64
import io

import numpy as np
from PIL import Image

from quac.conversion.images import output_path
from quac.data.images import to_8_bit, to_image

MOST_BYTES = 3_500_000  # of all pictures together
SIDES = (128, 64, 32)  # of a picture, at most


def choose_examples(tables, classes, examples, picture):
    """The queries to show: for each kind and class pair, some that reached the target and some that did not.

    Args:
        tables: {kind: table of tries} of one split.
        examples: how many of each, at most. Where the pictures would take too much, fewer are shown, then smaller
            ones, and at last not all.
        picture: called with (entry, largest side) for its pictures, a pair of data URIs.

    Returns:
        `(entries, pictures, examples)`: dicts of a best try's columns and `converted`; a pair of data URIs for each;
        and the number that was kept to.
    """
    fewer = [(count, SIDES[0]) for count in range(examples, 1, -1)]
    for count, side in [*fewer, *((min(examples, 1), side) for side in SIDES)]:
        entries, pictures, room = choose_entries(tables, classes, count), [], MOST_BYTES
        for entry in entries:
            pictures.append(picture(entry, side))
            room -= sum(map(len, pictures[-1]))
            if room < 0:
                break
        if room >= 0:
            break
    return entries[: len(pictures)], pictures, count


def choose_entries(tables, classes, examples):
    """The entries of `choose_examples`.

    Those that reached the target are spread evenly over the queries, not picked by their looks; of the others, those
    farthest from the target come first.
    """
    entries = []
    for kind, table in tables.items():
        best = table[table["best"]].sort_values("query")
        for source in classes:
            for target in (name for name in classes if name != source):
                pair = best[(best["source"] == source) & (best["target"] == target)]
                hits = pair[pair["predicted"] == target]
                # Where no try was called the target, the best try was not either.
                misses = pair[pair["predicted"] != target].sort_values("p_target")
                evenly = np.unique(np.linspace(0, len(hits) - 1, min(examples, len(hits))).round().astype(int))
                for rows, converted in ((hits.iloc[evenly], True), (misses.head(examples), False)):
                    entries += [{**_entry(row, kind), "converted": converted} for row in rows.to_dict("records")]
    return entries


def _entry(row, kind):
    numbers = {name: float(row[name]) for name in ("p_source", "p_target", "l1")}
    names = {name: row[name] for name in ("query", "source", "target", "style", "predicted")}
    return {"kind": kind, **names, "try": int(row["try"]), **numbers}


def query_picture(store, row, side):
    """A real image as the networks saw it, as a data URI."""
    return _data_uri(to_image(to_8_bit(store[row])), side)


def generated_picture(folder, entry, side):
    """The generated image of an entry, out of the folder of its split and kind, as a data URI."""
    return _data_uri(Image.open(f"{folder}/{output_path(entry['query'], entry['source'], entry['target'])}"), side)


def _data_uri(image, side):
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="webp", quality=85)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
