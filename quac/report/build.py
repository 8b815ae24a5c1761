"""The report of a run, from its files. Reads files, never a model."""

from pathlib import Path
from typing import Any

from quac.report.current import Current, require_current
from quac.report.matrices import cells_table
from quac.report.page import render
from quac.report.pictures import Pictures
from quac.report.provenance import config_diff, stage_records
from quac.report.query_hits import COLUMNS as HIT_COLUMNS
from quac.report.query_hits import QueryHits
from quac.report.run_files import RunFiles
from quac.report.schema import Masks, Report
from quac.report.sections import SECTIONS
from quac.report.warnings import find_warnings
from quac.system.console import log
from quac.system.files import whole, write_json, write_text
from quac.system.tables import csv_text


def write_report(inputs: dict[str, Any], html: Path, numbers: Path, cells: Path) -> None:
    """Write the page, its numbers as JSON, and those of the class pairs as CSV; `inputs`: see `RunFiles`."""
    report, pictures = build(inputs)
    write_json(numbers, report.model_dump(mode="json"))
    write_text(cells, csv_text(cells_table(report)))
    write_text(html, render(report, pictures))
    log.info("%s: %.1f MB", html, html.stat().st_size / 1e6)


def build(inputs: dict[str, Any]) -> tuple[Report, Pictures]:
    """Everything that the report shows, and the pictures of each section as data URIs.

    Raises QuacError if a result is stale, see `quac.report.current`.
    """
    run = RunFiles(inputs)
    config, results = run.config, list(run.results())
    require_current(results, Current.of(inputs["key_files"], inputs["classifier"], run.trained, run.selected))
    parts: dict[str, Any] = {}
    pictures: Pictures = {}
    for section in SECTIONS.values():
        if section.part and section.collect:
            parts[section.part], pictures[section.name] = section.collect(run)
    with whole(inputs["trained"]):
        stages = list(stage_records(results, run.trained["sessions"]))
    queries = {split: (table["masked"], sum(table["found"].values())) for (split, _), table in run.tables.items()}
    tries = config.validation_config.num_outs_per_domain
    report = Report(
        run=config.run_name,
        title=config.report.title or config.log.name,
        notes=config.log.notes,
        tags=config.log.tags,
        classes=run.classes,
        shown_split=config.shown_split,
        tries=tries,
        seed=config.run.seed,
        masks=None if config.conversion.mask == "none" else Masks(edge=config.conversion.mask_edge, queries=queries),
        config=config.model_dump(mode="json"),
        changed=list(config_diff(config)),
        config_path=str(inputs["config"]),
        hits=QueryHits.count(run.shown_tables(HIT_COLUMNS), run.classes, tries),
        stages=stages,
        **parts,
    )
    report.warnings = list(find_warnings(report))
    return report, pictures
