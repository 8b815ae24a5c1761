import pandas as pd
from helpers.report_facts import facts_of, pictures_of

from quac.config.evaluation import KINDS
from quac.evaluation.metrics import MATRICES, RATES
from quac.report.matrices import NUMBERS, panels
from quac.report.page import render


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


def test_further_judges_have_their_own_matrices(finished):
    facts = facts_of(finished)
    facts["classifier"]["judges"]["strict"] = facts["classifier"]
    for matrix in facts["matrices"]:
        for numbers in (*matrix["cells"], matrix["averages"]):
            numbers["translation_rate_by_strict"] = numbers["conversion_rate_by_strict"] = 0.25
    found = [panel for panel in panels(facts) if panel["metric"].endswith("_by_strict")]
    assert [(panel["split"], panel["kind"], panel["metric"]) for panel in found] == [
        (split, kind, f"{rate}_by_strict") for split in ("test", "validation") for kind in KINDS for rate in RATES
    ]
    assert [panel["number"].label for panel in found[:2]] == [
        "Translation rate by strict",
        "Conversion rate by strict",
    ]
    assert (found[0]["average"], found[0]["interval"]) == ("25.0 %", "")
    cell = found[0]["rows"][0][1]
    assert (cell["text"], cell["level"], cell["interval"], cell["opens"]) == ("25.0", 5, "", True)
    html = render(facts, pictures_of(facts))
    assert '<button type="button" role="tab" id="tab-translation_rate_by_strict"' in html
