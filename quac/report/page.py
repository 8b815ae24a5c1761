"""The report's page: facts and pictures -> HTML."""

import json

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from quac.config.data import SEVERITIES
from quac.evaluation.metrics import LOOK_QUERIES, LOOK_TRIES, RATES
from quac.report import figures, formats
from quac.report.gallery import GROUPS
from quac.report.matrices import counts, numbers_of, panels
from quac.report.style_grids import SIDES

MOST_ROWS = 200  # of the history; all are in the JSON


def template(name):
    """A template of the report's pages: what it is given is text, never markup."""
    environment = Environment(
        loader=PackageLoader("quac.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        name: getattr(formats, name) for name in ("percent", "decimals", "significant", "duration", "level")
    }
    return environment.get_template(name)


def render(facts, pictures):
    """Facts and pictures, see `quac.report.build.collect` -> the HTML file's text. The same give the same text."""
    history, selection, classifier = facts["training"]["history"], facts["selection"], facts["classifier"]
    return template("report.html").render(
        **facts,
        rates=RATES,
        numbers=numbers_of(classifier["judges"]),
        groups=GROUPS,
        levels=formats.LEVELS,
        panels=panels(facts),
        gallery_of=_by_pair(facts["gallery"]["entries"], pictures["gallery"]),
        query_pictures=pictures["gallery"]["queries"],
        grids_of=_by_target(facts["styles"]["grids"], pictures["styles"]),
        style_query_pictures=pictures["styles"]["queries"],
        full_side=SIDES[0],
        severities=SEVERITIES,
        pictures_of_classes=pictures["classes"],
        pictures_of_steps=pictures["steps"],
        pictures_of_findings=pictures["findings"],
        embedded={"classes": facts["classes"], "counts": counts(facts)},
        judged=[(name, check["splits"]) for name, check in {"the judge": classifier, **classifier["judges"]}.items()],
        changed_texts=[(name, json.dumps(value, ensure_ascii=False)) for name, value in facts["changed"]],
        config_text=yaml.safe_dump(facts["config"], sort_keys=False, allow_unicode=True),
        history_rows=_thinned(list(zip(*history.values(), strict=True))),
        loss_chart=figures.loss_curves(history) if history else "",
        look_chart=figures.looks(history),
        look_counts=(LOOK_QUERIES, LOOK_TRIES),
        speed_chart=figures.speed(history) if history else "",
        calibration_chart=figures.calibration(classifier["splits"][facts["shown_split"]]["calibration"]),
        fit_chart=figures.fit_curves(classifier["fit"]) if classifier["fit"] else "",
        score_chart=figures.rates_over_checkpoints(selection["scores"], selection["step"]),
    )


def _thinned(rows):
    """At most MOST_ROWS of the rows, evenly, the last one among them."""
    every = max(1, -(-len(rows) // MOST_ROWS))
    return rows[::-1][::every][::-1]


def _by_pair(entries, pictures):
    """{(source, target): {kind: {group: entries}}}, an entry with its `picture` and its query's, `query_picture`."""
    numbers, found = {query: number for number, query in enumerate(pictures["queries"])}, {}
    for entry, picture in zip(entries, pictures["generated"], strict=True):
        kinds = found.setdefault((entry["source"], entry["target"]), {})
        group = kinds.setdefault(entry["kind"], {}).setdefault(entry["group"], [])
        group.append({**entry, "picture": picture, "query_picture": numbers[entry["query"]]})
    return found


def _by_target(grids, pictures):
    """{target: {kind: grid}}, a grid with the pictures of its references, `heads`, and of each row, `pictures`."""
    found = {}
    for grid, rows in zip(grids, pictures["generated"], strict=True):
        found.setdefault(grid["target"], {})[grid["kind"]] = {
            **grid,
            "heads": [pictures["references"].get(name) for name in grid["styles"]],
            "rows": [{**row, "pictures": images} for row, images in zip(grid["rows"], rows, strict=True)],
        }
    return found
