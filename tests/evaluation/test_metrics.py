from helpers.builders import ROOT

from quac.evaluation.metrics import METRICS, metrics_table


def test_the_reference_of_the_metrics_is_up_to_date():
    page = (ROOT / "docs/reference/metrics.md").read_text()
    assert page.split("<!-- metrics -->\n")[1].split("<!-- /metrics -->")[0] == metrics_table()


def test_the_docs_table_has_every_metric():
    lines = metrics_table().splitlines()
    assert [line.split("`")[1] for line in lines[2:]] == list(METRICS)
    assert "from 0, lower" in next(line for line in lines if "`l1`" in line)
    assert "0 to 1, higher" in next(line for line in lines if "`p_target`" in line)
