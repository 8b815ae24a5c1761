"""The report of a run, the comparison of several, and the results for a tracker."""

from pathlib import Path
from typing import Annotated

import typer

from quac.cli.command import Key, Log, Out, Threads, stage, user_command
from quac.config.keys import read_key
from quac.system.files import read_json, refuse_overwrite


@stage
def report(
    inputs: Annotated[Path, typer.Option(help="JSON file: the paths of everything that the report shows.")],
    html: Annotated[Path, typer.Option(help="The report.")],
    numbers: Annotated[Path, typer.Option(help="JSON file with every number of the report.")],
    cells: Annotated[Path, typer.Option(help="CSV file with the numbers of the class pairs.")],
    log_file: Log = None,
) -> None:
    """Render the report, and write the numbers behind it."""
    from quac.report.build import write_report

    write_report(read_json(inputs), html, numbers, cells)


@stage
def explorer(
    key: Key,
    split: Annotated[str, typer.Option(help="Their split.")],
    report: Annotated[str, typer.Option(help="File name of the run's report, which is beside the page.")],
    out: Out,
    table: Annotated[list[Path] | None, typer.Option(help="Table of explanations; once per style kind.")] = None,
    threads: Threads = None,
    log_file: Log = None,
) -> None:
    """Render a page of all explanations, to filter, sort and look at."""
    from quac.report.explorer import write_explorer
    from quac.system.threads import default_threads

    most = default_threads()
    limit = read_key(key).report.explorer_mb
    write_explorer(table or [], split, report, out, limit, min(threads or most, most))


@user_command
def compare(
    numbers: Annotated[list[Path], typer.Argument(help="JSON files of reports; the others are compared to the first.")],
    out: Annotated[Path, typer.Option(help="The page.")],
    log_file: Log = None,
) -> None:
    """Compare runs: settings that differ, scores, matrices, curves."""
    from quac.report.compare import write_comparison

    refuse_overwrite(out, *numbers)
    write_comparison(numbers, out)


@stage
def track_results(
    config: Annotated[Path, typer.Option(help="Resolved config of the run.")],
    trained: Annotated[Path, typer.Option(help="What `train` wrote.")],
    scores: Annotated[str, typer.Option(help="Tables of the checkpoints' tries: a path with {step:06d} in it.")],
    html: Annotated[Path, typer.Option(help="The report.")],
    numbers: Annotated[Path, typer.Option(help="JSON file with every number of the report.")],
    out: Out,
    log_file: Log = None,
) -> None:
    """Add rates, matrices and the report to the tracker's run of the training. A failure is only logged."""
    from quac.report.tracker_results import send_results
    from quac.system.files import write_json

    write_json(out, send_results(config, trained, scores, html, numbers))
