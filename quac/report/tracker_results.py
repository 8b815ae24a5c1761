"""What a tracker gets when the report is made."""

from pathlib import Path
from typing import Any

import pandas as pd

from quac.config.resolve import read_config
from quac.evaluation.metrics import RATES
from quac.evaluation.scores import matrix, rates_of
from quac.report.reading import read_report
from quac.system.tables import read_table
from quac.training.tracking.base import Results, add_results, id_of


def collect_results(html: Path, numbers: Path, scores: list[Path]) -> Results:
    """Results from the report's two files, and from the tables of the checkpoints' tries."""
    report, tables = read_report(numbers), {}
    for made in report.matrices:
        cells = pd.DataFrame([cell.model_dump() for cell in made.cells])
        for metric in RATES:
            tables[f"{made.split}_{made.kind}_{metric}"] = matrix(cells, report.classes, metric)
    tries = sorted((read_table(path) for path in scores), key=lambda table: table.attrs["step"])
    rates = {table.attrs["step"]: rates_of(table) for table in tries}
    return Results(report.selection.step, rates, tables, [html, numbers])


def send_results(config_file: Path, trained_file: Path, scores: str, html: Path, numbers: Path) -> dict[str, Any]:
    """Add the results to the tracker's run of the training. A failure is only logged.

    Args:
        config_file: the resolved config.
        trained_file: `trained.json`.
        scores: path of a checkpoint's table of tries, with `{step:06d}`.
        html, numbers: the report.

    Returns:
        `tracker`: its name, or `none`; `added`: whether the results were added.
    """
    from quac.training.history import History
    from quac.training.marker import checkpoint_file, read_marker
    from quac.training.state import StateFolder

    config, trained = read_config(config_file), read_marker(trained_file)
    if not config.is_tracked:
        return {"tracker": "none", "added": False}
    checkpoint = next(iter(trained["checkpoints"].values()))
    folder = StateFolder(checkpoint_file(trained_file, checkpoint).parent)
    rows = list(folder.logged(History(folder.history), trained["end"]))
    results = collect_results(html, numbers, [Path(scores.format(step=step)) for step in config.steps])
    run_id = id_of(trained["id"], config.solver.root_dir)
    added = add_results(results, rows, config, folder.path / config.log_type, run_id)
    return {"tracker": config.log_type, "added": added}
