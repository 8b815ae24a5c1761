import pandas as pd
from facts import facts_of

from quac.conversion.metrics import MATRICES
from quac.report.matrices import NUMBERS, panels


def test_every_matrix_is_shown():
    assert tuple(NUMBERS) == MATRICES


def test_the_table_beside_the_report_has_every_cell(finished):
    table = pd.read_csv(finished.folder / "reports/tiny.csv").set_index(["split", "kind"])
    for split in ("validation", "test"):
        cells = pd.read_csv(finished.root / f"evaluation/{split}/latent_cells.csv")
        assert table.loc[split, "latent"].reset_index(drop=True).equals(cells)


def test_distances_are_shaded_by_the_largest_of_the_split(finished):
    facts = facts_of(finished)
    for matrix, size in zip(facts["matrices"], (1, 2, 5, 10), strict=True):  # validation, validation, test, test
        for cell in matrix["cells"]:
            cell["l1"] = size if cell["source"] != cell["target"] else 100
    levels = {
        (panel["split"], panel["kind"]): panel["rows"][0][1]["level"]
        for panel in panels(facts)
        if panel["metric"] == "l1"
    }
    assert list(levels.values()) == [10, 20, 10, 20]


def test_a_number_that_is_not_there(finished):
    facts = facts_of(finished)
    for cell in facts["matrices"][0]["cells"]:
        cell["diversity"] = None
    (panel,) = [
        panel
        for panel in panels(facts)
        if (panel["split"], panel["kind"], panel["metric"]) == ("validation", "latent", "diversity")
    ]
    cell = panel["rows"][0][1]
    assert (cell["text"], cell["value"], cell["level"]) == ("\N{EN DASH}", "", None)
