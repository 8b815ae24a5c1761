"""Facts of a report that a test makes up, from those of the tiny workflow."""

import copy

from quac.system.files import read_json

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
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


def facts_of(finished):
    return read_json(finished.folder / "reports/tiny.json")


def pictures_of(facts):
    """One pixel for every picture."""
    entries, findings = facts["gallery"]["entries"], facts["data"]["findings"]
    gallery = {"queries": {entry["query"]: PIXEL for entry in entries}, "generated": [PIXEL] * len(entries)}
    classes = {name: [PIXEL] * len(facts["data"]["samples"][name]) for name in facts["classes"]}
    grids = facts["styles"]["grids"]
    styles = {
        "queries": [PIXEL] * len(facts["styles"]["queries"]),
        "references": {name: PIXEL for grid in grids if grid["kind"] == "reference" for name in grid["styles"]},
        "generated": [[[PIXEL] * len(grid["styles"]) for _ in grid["rows"]] for grid in grids],
    }
    pictures = {"gallery": gallery, "findings": [[] for _ in findings], "classes": classes, "styles": styles}
    return {**pictures, "steps": {4: PIXEL}}


def with_classes(facts, names):
    """The same report, of other classes: every pair has the cell of the first pair, but for its rates."""
    facts = copy.deepcopy(facts)
    facts["classes"] = names
    pairs = [(source, target) for source in names for target in names]
    for matrix in facts["matrices"]:
        cell = next(cell for cell in matrix["cells"] if cell["source"] != cell["target"])
        matrix["cells"] = [
            {**cell, "source": source, "target": target, "translation_rate": number / len(pairs)}
            for number, (source, target) in enumerate(pairs)
        ]
    entry = facts["gallery"]["entries"][0]
    facts["gallery"]["entries"] = [
        {**entry, "source": source, "target": target, "query": f"{source}/{target}.png"}
        for source, target in pairs
        if source != target
    ]
    facts["styles"]["queries"] = [{"query": f"{name}/1.png", "source": name} for name in names]
    latent, *_, reference = facts["styles"]["grids"]
    facts["styles"]["grids"] = [
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
    counts = dict.fromkeys(names, 5)
    for split in facts["data"]["splits"].values():
        split["images"] = counts
    facts["data"]["samples"] = {name: [f"{name}/1.png"] for name in names}
    for check in facts["classifier"]["splits"].values():
        check["confusion"] = [[1] * len(names) for _ in names]
        check["accuracy_per_class"] = dict.fromkeys(names, 0.5)
    return facts
