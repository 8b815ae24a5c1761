"""The stages from the tables of tries to the report."""

import json
from pathlib import Path
from typing import Annotated

import typer

from quac.cli.command import IndexFile, Key, Log, Out, stage
from quac.config.stages import read_settings
from quac.system.console import log
from quac.system.files import read_json, require_other, write_json, write_text
from quac.system.provenance import Provenance


@stage
def resolve_config(key: Key, out: Out, log_file: Log = None):
    """Write the resolved config, every default filled in, as YAML."""
    import yaml

    write_text(out, yaml.safe_dump(read_json(key)["settings"], sort_keys=False, allow_unicode=True))


@stage
def select_checkpoint(
    key: Key,
    scores: Annotated[list[Path], typer.Option(help="Table of a checkpoint's tries; once per checkpoint.")],
    index: IndexFile,
    out: Out,
    table: Annotated[Path, typer.Option(help="CSV file: one row per step and kind.")],
    log_file: Log = None,
):
    """Choose the checkpoint that converts best."""
    from quac.evaluation.selection import score_checkpoints, select
    from quac.system.tables import read_table

    provenance, images = Provenance("select_checkpoint", key), read_table(index)
    rows = score_checkpoints({path: read_table(path) for path in scores}, images)
    chosen = select(rows, read_settings(key).selection)
    log.info("step %d: %s", chosen["step"], chosen["why"])
    write_text(table, rows.to_csv(index=False))
    write_json(out, {**chosen, "split": images.attrs["split"], "provenance": provenance.record()})


@stage
def matrices(
    table: Annotated[Path, typer.Option(help="Table of tries.")],
    index: IndexFile,
    judged: Annotated[Path, typer.Option(help="Table of what the classifier says of real images.")],
    out: Annotated[list[Path], typer.Option(help="CSV file of a matrix, `<kind>_<metric>.csv`; once per metric.")],
    cells: Annotated[Path, typer.Option(help="CSV file: one row per class pair, with counts and intervals.")],
    averages: Annotated[Path, typer.Option(help="JSON file: averages over the class pairs.")],
    log_file: Log = None,
):
    """Work out the numbers of each class pair, with counts and intervals."""
    from quac.evaluation.distances import add_distances
    from quac.evaluation.metrics import DISTANCES, MATRICES
    from quac.evaluation.scores import average, matrix, require_complete, score
    from quac.system.tables import read_table

    tries, images, real = read_table(table), read_table(index), read_table(judged)
    expected, classes = require_complete(tries, images, table), images.attrs["classes"]
    pairs, means = score(tries, classes)
    pairs = add_distances(pairs, tries, real[real["split"] == images.attrs["split"]], classes)
    means |= average(pairs.loc[pairs["source"] != pairs["target"], list(DISTANCES)])
    pairs.insert(2, "expected", pairs["source"].map(expected))
    pairs.insert(3, "found", pairs["source"].map(tries.attrs["found"]))
    write_text(cells, pairs.to_csv(index=False))
    write_json(averages, means)
    for metric, path in zip(MATRICES, out, strict=True):
        write_text(path, matrix(pairs, classes, metric).to_csv())


@stage
def track_results(
    marker: Annotated[Path, typer.Option(help="What `train` wrote of the last segment.")],
    scores: Annotated[list[Path], typer.Option(help="Table of a checkpoint's tries; once per checkpoint.")],
    html: Annotated[Path, typer.Option(help="The report.")],
    numbers: Annotated[Path, typer.Option(help="JSON file with every number of the report.")],
    config: Annotated[str, typer.Option(help="JSON: the resolved config.")],
    out: Out,
    log_file: Log = None,
):
    """Add rates, matrices and the report to the tracker's run of the training; what fails is only said."""
    from quac.config import Config
    from quac.models.starganv2.checkpoint import StateFolder
    from quac.report.tracker_results import collect_results
    from quac.training.history import History
    from quac.training.tracking.base import add_results, id_of, is_tracked

    config, made = Config.model_validate(json.loads(config)), read_json(marker)
    tracker, added = config.log_type if is_tracked(config.log_type, config.log.mode) else "none", False
    if tracker != "none":
        folder = StateFolder(Path(next(iter(made["checkpoints"].values()))["file"]).parent)
        rows = list(folder.logged(History(folder.history), made["end"]))
        run_id = id_of(folder.path.name, config.solver.root_dir)
        of_run = (tracker, config.log, folder.path / tracker, run_id, config.model_dump())
        added = add_results(collect_results(html, numbers, scores), rows, *of_run)
    write_json(out, {"tracker": tracker, "added": added})


@stage
def report(
    inputs: Annotated[str, typer.Option(help="JSON: the paths of all that the report shows.")],
    html: Annotated[Path, typer.Option(help="The report.")],
    numbers: Annotated[Path, typer.Option(help="JSON file with every number shown.")],
    cells: Annotated[Path, typer.Option(help="CSV file with the numbers of the class pairs.")],
    log_file: Log = None,
):
    """Render the report, and write the numbers behind it."""
    from quac.report.build import collect
    from quac.report.matrices import cells_table
    from quac.report.page import render

    facts, images = collect(json.loads(inputs))
    write_json(numbers, facts)
    write_text(cells, cells_table(facts).to_csv(index=False))
    write_text(html, render(facts, images))
    log.info("%s: %.1f MB", html, html.stat().st_size / 1e6)


@stage
def compare(
    numbers: Annotated[list[Path], typer.Argument(help="JSON files beside the reports; the first is compared with.")],
    out: Annotated[Path, typer.Option(help="The page.")],
    log_file: Log = None,
):
    """Compare runs: settings that differ, scores, matrices, curves."""
    from quac.report.compare import read_runs, render_comparison

    require_other(out, *numbers)
    write_text(out, render_comparison(read_runs(numbers), out))
    log.info("%s: %d run(s)", out, len(numbers))
