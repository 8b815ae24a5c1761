"""Grids of styles for the report: a few queries, converted by the same styles of each class."""

MOST_BYTES = 4_000_000  # of all pictures together
SIDES = (96, 64, 32)  # of a picture, at most


def show_grids(made, query, reference, generated):
    """Make the pictures of the grids, one query after another, until they would take too much.

    They are made smaller where not all queries would fit.

    Args:
        made: see `quac.evaluation.style_grids.make_grids`.
        query, reference: called with (path, largest side) for a picture, a data URI.
        generated: called with (kind, target, number of the query, number of the style, largest side), likewise.

    Returns:
        `(facts, pictures)`. Facts: `queries` and `grids` as in `made`, of the queries that fit; `chosen`, the number of
        all; `side`, the largest of a picture. Pictures: `queries`, a list; `references`, {path: data URI}; `generated`,
        for each grid a list of the lists of each row.
    """
    references = [path for grid in made["grids"] if grid["kind"] == "reference" for path in grid["styles"]]
    for side in SIDES:
        pictures = {"queries": [], "references": {path: reference(path, side) for path in references}}
        rows, room = [], MOST_BYTES - sum(map(len, pictures["references"].values()))
        for number, shown in enumerate(made["queries"]):
            picture = query(shown["query"], side)
            row = {
                (grid["kind"], grid["target"]): [
                    generated(grid["kind"], grid["target"], number, style, side) for style in range(len(grid["styles"]))
                ]
                for grid in made["grids"]
                if grid["target"] != shown["source"]
            }
            room -= len(picture) + sum(len(image) for images in row.values() for image in images)
            if room < 0 and rows:
                break
            pictures["queries"].append(picture)
            rows.append(row)
        if len(rows) == len(made["queries"]):
            break
    grids = [{**grid, "rows": [row for row in grid["rows"] if row["query"] < len(rows)]} for grid in made["grids"]]
    pictures["generated"] = [
        [rows[row["query"]][grid["kind"], grid["target"]] for row in grid["rows"]] for grid in grids
    ]
    facts = {"queries": made["queries"][: len(rows)], "chosen": len(made["queries"]), "side": side, "grids": grids}
    return facts, pictures
