"""What a tracker is told when the report is made."""

from dataclasses import dataclass

import pandas as pd

from quac.evaluation.metrics import RATES
from quac.evaluation.scores import matrix, rates_of
from quac.system.files import read_json
from quac.system.tables import read_table


@dataclass(frozen=True)
class Results:
    """Results of a run.

    `step`: of the selected checkpoint. `rates`: of every checkpoint on validation, {step: {name: rate}}, ascending, by
    such names as `translation_rate_latent/<source>/<target>`, and `translation_rate_latent` for the mean over the class
    pairs. `tables`: the matrices of the selected one, {`<split>_<kind>_<metric>`: DataFrame}. `files`: paths of the
    report, and of the numbers behind it.
    """

    step: int
    rates: dict
    tables: dict
    files: list


def collect_results(html, numbers, scores):
    """Results out of the report's two files, and the tables of the checkpoints' tries."""
    facts, tables = read_json(numbers), {}
    for made in facts["matrices"]:
        cells = pd.DataFrame(made["cells"])
        for metric in RATES:
            tables[f"{made['split']}_{made['kind']}_{metric}"] = matrix(cells, facts["classes"], metric)
    tries = [read_table(path) for path in scores]
    rates = {table.attrs["step"]: rates_of(table) for table in sorted(tries, key=lambda table: table.attrs["step"])}
    return Results(facts["selection"]["step"], rates, tables, [html, numbers])
