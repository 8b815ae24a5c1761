"""Examples of conversions for the report, failures included."""

import base64
import io

import numpy as np
from PIL import Image

from quac.conversion.images import output_path
from quac.data.images import read_image, to_image

MOST_ENTRIES = 1500
LARGEST_SIDE = 128


def choose_entries(tables, classes, examples):
    """The queries to show: for each kind and class pair, some that reached the target and some that did not.

    Args:
        tables: {kind: table of tries} of one split.
        examples: how many of each, at most; fewer where the gallery would become too large.

    Returns:
        `(entries, examples)`: dicts of a best try's columns and `converted`,
        and the number of examples that was kept to. Those that reached the
        target are spread evenly over the queries, not picked by their looks;
        of the others, those farthest from the target come first.
    """
    pairs = len(classes) * (len(classes) - 1) * len(tables)
    examples = min(examples, max(1, MOST_ENTRIES // (2 * pairs)))
    entries = []
    for kind, table in tables.items():
        best = table[table["best"]].sort_values("query")
        for source in classes:
            for target in classes:
                pair = best[(best["source"] == source) & (best["target"] == target)]
                hits = pair[pair["predicted"] == target]
                # Where no try was called the target, the best try was not either.
                misses = pair[pair["predicted"] != target].sort_values("p_target")
                evenly = np.unique(np.linspace(0, len(hits) - 1, min(examples, len(hits))).round().astype(int))
                for rows, converted in ((hits.iloc[evenly], True), (misses.head(examples), False)):
                    entries += [{**_entry(row, kind), "converted": converted} for row in rows.to_dict("records")]
    return entries, examples


def _entry(row, kind):
    numbers = {name: float(row[name]) for name in ("p_source", "p_target", "l1")}
    names = {name: row[name] for name in ("query", "source", "target", "style", "predicted")}
    return {"kind": kind, **names, "try": int(row["try"]), **numbers}


def query_picture(store, row):
    """A real image as the networks saw it, as a data URI."""
    return _data_uri(to_image(np.asarray(store.pixels[row])))


def generated_picture(folder, entry):
    """The generated image of an entry, out of the folder of its split and kind, as a data URI."""
    return _data_uri(read_image(f"{folder}/{output_path(entry['query'], entry['target'])}"))


def _data_uri(image):
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="webp", quality=85)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
