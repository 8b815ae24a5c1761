import numpy as np
import pandas as pd
from helpers.report_facts import report_of

from quac.evaluation.metrics import RATES
from quac.report.query_hits import COLUMNS, QueryHits


def table(hits):
    """Tries of which so many are called the target: {(source, target, query): (hits, tries)}."""
    rows = [
        (source, target, query, f"{query}{'0' * 63}", target if number < count else source)
        for (source, target, query), (count, tries) in hits.items()
        for number in range(tries)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_hits_are_counted_by_query_in_the_order_of_the_digests():
    tries = table({("a", "b", "2"): (1, 2), ("a", "b", "1"): (2, 2), ("a", "a", "1"): (1, 1), ("b", "a", "3"): (0, 2)})
    found = QueryHits.count({"latent": tries}, ["a", "b"], tries=2)
    assert found.queries == {"a": f"1{'0' * 15} 2{'0' * 15}", "b": f"3{'0' * 15}"}
    assert found.hits == {"latent": {"a": {"b": "2 1"}, "b": {"a": "0"}}}
    rates = found.rates("latent")
    assert rates["a"].tolist() == [[[1.0, 1.0]], [[0.5, 1.0]]]
    assert rates["b"].tolist() == [[[0.0, 0.0]]]


def test_the_hits_of_a_report_give_its_rates(finished):
    report = report_of(finished)
    for kind in report.hits.hits:
        rates, matrix = report.hits.rates(kind), report.shown(kind)
        means = np.mean([values.mean((0, 1)) for values in rates.values()], axis=0)
        np.testing.assert_allclose(means, [matrix.averages.number(rate) for rate in RATES], atol=1e-12)
