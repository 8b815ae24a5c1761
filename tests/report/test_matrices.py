from dataclasses import replace

import pandas as pd
from helpers.report_facts import KINDS, pictures_of, tiny_report

from quac.evaluation.metrics import METRICS, RATES
from quac.report.matrices import panels_of
from quac.report.page import render
from quac.report.schema import CheckedClassifier, Matrix

DASH = "\N{EN DASH}"


def test_every_matrix_is_shown():
    found = [(panel.split, panel.kind, panel.metric.name) for panel in panels_of(tiny_report())]
    names = [*METRICS, "translation_rate_by_oracle", "conversion_rate_by_oracle", "agreement_with_oracle"]
    assert found == [(split, kind, name) for split in ("test", "validation") for kind in KINDS for name in names]


def test_the_table_beside_the_report_has_every_cell(finished):
    table = pd.read_csv(finished.folder / "reports/tiny.csv").set_index(["split", "kind"])
    for split in ("validation", "test"):
        cells = pd.read_csv(finished.root / f"evaluation/{split}/latent_cells.csv")
        assert table.loc[split, "latent"].reset_index(drop=True).equals(cells)


def test_distances_are_shaded_by_the_largest_of_the_split():
    report = tiny_report()
    for matrix, size in zip(report.matrices, (1, 2, 5, 10), strict=True):  # validation, validation, test, test
        for cell in matrix.cells:
            cell.l1 = size if cell.source != cell.target else 100
    shades = {
        (panel.split, panel.kind): panel.rows[0][1].shade for panel in panels_of(report) if panel.metric.name == "l1"
    }
    assert list(shades.values()) == [10, 20, 10, 20]


def panel_of(report, split, kind, metric):
    (panel,) = [
        panel for panel in panels_of(report) if (panel.split, panel.kind, panel.metric.name) == (split, kind, metric)
    ]
    return panel


def test_a_number_that_could_not_be_measured_is_a_dash():
    report = tiny_report()
    for cell in report.matrices[0].cells:
        cell.diversity = None
    cell = panel_of(report, "validation", "latent", "diversity").rows[0][1]
    assert (cell.text, cell.value, cell.shade) == (DASH, "", None)


def without(matrix, *metrics):
    """A matrix as an older version wrote it, without some of the columns."""
    content = matrix.model_dump()
    for numbers in (content["averages"], *content["cells"]):
        for name in [name for name in numbers if name.startswith(metrics)]:
            del numbers[name]
    return Matrix.model_validate(content)


def test_a_table_that_lacks_a_column_gives_dashes():
    report = tiny_report()
    report.matrices = [without(matrix, "kernel", "conversion_rate") for matrix in report.matrices]
    for metric in ("kernel", "conversion_rate"):
        panel = panel_of(report, "test", "latent", metric)
        assert (panel.average, panel.interval) == (DASH, "")
        assert {cell.text for row in panel.rows for cell in row} == {DASH}
    assert panel_of(report, "test", "latent", "l1").rows[0][1].text != DASH
    assert "Kernel distance" in render(report, pictures_of(report))


def test_a_metric_that_an_older_report_does_not_have_is_shown_with_dashes(monkeypatch):
    monkeypatch.setitem(METRICS, "toy", replace(METRICS["l1"], name="toy", label="Toy distance"))
    report = tiny_report()
    report.matrices = [without(matrix, "toy") for matrix in report.matrices]
    assert panel_of(report, "test", "latent", "toy").average == DASH
    assert "Toy distance" in render(report, pictures_of(report))


def test_oracles_have_their_own_matrices():
    report = tiny_report()
    checked = report.classifier.model_dump(exclude={"oracles", "fit", "classes"})
    report.classifier.oracles["strict"] = CheckedClassifier.model_validate(checked)
    for matrix in report.matrices:
        for numbers in (*matrix.cells, matrix.averages):
            numbers.translation_rate_by_strict = numbers.conversion_rate_by_strict = 0.25
    found = [panel for panel in panels_of(report) if panel.metric.name.endswith("_by_strict")]
    assert [(panel.split, panel.kind, panel.metric.name) for panel in found] == [
        (split, kind, f"{rate}_by_strict") for split in ("test", "validation") for kind in KINDS for rate in RATES
    ]
    assert [panel.metric.label for panel in found[:2]] == [
        "Translation rate by strict",
        "Conversion rate by strict",
    ]
    assert (found[0].average, found[0].interval) == ("25.0 %", "")
    cell = found[0].rows[0][1]
    assert (cell.text, cell.shade, cell.interval, cell.opens) == ("25.0", 5, "", True)
    html = render(report, pictures_of(report))
    assert '<button type="button" role="tab" id="tab-translation_rate_by_strict"' in html
