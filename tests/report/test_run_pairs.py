"""Differences between runs: paired by query, and over seeds."""

import re

import pytest
from helpers.report_facts import CLASSES, tiny_report

from quac.report.compare import render_comparison, settings_of
from quac.report.query_hits import QueryHits
from quac.report.run_pairs import group_seeds, paired_differences, seed_groups, warn_of_single_seeds

IDS = {name: " ".join(f"{name}{number}" for number in range(40)) for name in CLASSES}


def run_with(hits, name="run", seed=0, tries=2, queries=IDS, **loss):
    """A report whose queries are hit as often as `hits` ({source: numbers}) says, with every style kind."""
    report = tiny_report()
    (first, second) = CLASSES
    counts = {first: {second: hits[first]}, second: {first: hits[second]}}
    texts = {source: {target: " ".join(map(str, n)) for target, n in by.items()} for source, by in counts.items()}
    report.hits = QueryHits(tries=tries, queries=queries, hits={"latent": texts, "reference": texts})
    report.run = name
    report.config["run"] = {"seed": seed}
    report.config["loss"] |= loss
    return report


def half(first=1, second=1):
    """Forty queries: the first half is hit so often, and the others."""
    return dict.fromkeys(CLASSES, [first] * 20 + [second] * 20)


def test_a_difference_is_paired_by_query():
    one, other = run_with(half(2, 0)), run_with(half(2, 1))
    limits = paired_differences([one, other])["0 1"]["latent"]["translation_rate"]
    difference, low, high = limits["average"]
    assert difference == -0.25
    # Of 40 differences of 0 or -0.5 each: the paired standard error of the mean of two sources is 0.028.
    assert (low, high) == pytest.approx((-0.25 - 1.96 * 0.028, -0.25 + 1.96 * 0.028), abs=0.01)
    assert limits["cells"][0][0] is limits["cells"][1][1] is None
    assert limits["cells"][0][1] == pytest.approx([-0.25, -0.25 - 1.96 * 0.0395, -0.25 + 1.96 * 0.0395], abs=0.02)


def test_equal_rates_of_each_query_have_no_difference_whatever_their_intervals():
    same = paired_differences([run_with(half(2, 0)), run_with(half(2, 0))])["0 1"]
    assert same["reference"]["conversion_rate"]["average"] == [0, 0, 0]
    # Unpaired, the intervals of both would overlap; each query is better by one try.
    better = paired_differences([run_with(half(2, 1)), run_with(half(1, 0))])["0 1"]["latent"]["translation_rate"]
    assert better["average"] == [0.5, 0.5, 0.5]


def test_cells_are_in_the_order_of_the_classes_of_the_first_run():
    hits = {CLASSES[0]: [2] * 40, CLASSES[1]: [1] * 40}
    one, other = run_with(hits), run_with(half(0, 0))
    one.classes = CLASSES[::-1]
    cells = paired_differences([one, other])["0 1"]["latent"]["translation_rate"]["cells"]
    assert [cells[0][1][0], cells[1][0][0]] == [0.5, 1.0]


def test_runs_of_other_queries_or_of_older_versions_are_not_paired():
    one, other, old = run_with(half()), run_with(half(), queries={**IDS, CLASSES[0]: "x " * 40}), run_with(half())
    old.hits = None
    assert paired_differences([one, other, old, run_with(half(2, 2))]).keys() == {"0 3"}


def test_runs_that_differ_in_the_seed_only_are_grouped():
    runs = [run_with(half(), name, seed) for name, seed in (("a", 0), ("b", 1), ("c", 2))]
    runs.append(run_with(half(), "d", 0, lambda_cyc=3.0))
    for run in runs:  # a label, as the folder of each run
        run.config["solver"]["root_dir"] = run.run
    for run, rate in zip(runs, (0.957, 0.345, 0.95, 0.5), strict=True):
        run.shown("latent").averages.translation_rate = rate
    settings = [settings_of(run) for run in runs]
    assert group_seeds(settings) == [[0, 1, 2], [3]]
    columns = [("translation_rate", "latent"), ("l1", "reference")]
    (group,) = seed_groups(runs, settings, columns)
    assert (group.runs, group.seeds) == (["a", "b", "c"], [0, 1, 2])
    assert group.numbers == ["75.1 ± 35.1", "0.438 ± 0.000"]
    html = render_comparison(runs, [None] * 4)
    assert "75.1 ± 35.1" in html
    runs[1].shown("latent").averages.translation_rate = None
    assert seed_groups(runs, settings, columns)[0].numbers[0] == "\N{EN DASH}"


def warning(*runs):
    return warn_of_single_seeds(runs, [settings_of(run) for run in runs])


def test_warns_of_settings_of_one_seed():
    one, twin, other = run_with(half()), run_with(half(), seed=1), run_with(half(), lambda_cyc=3.0)
    assert warning(one) is None
    assert warning(one, twin) is None
    assert warning(one, other).startswith("2 settings trained with one seed only: a difference may be that of another")
    assert warning(one, twin, other).startswith("1 setting trained with one seed only")
    assert warning(one, one.model_copy()).startswith("1 setting trained")
    html = render_comparison([one, other], [None, None])
    assert "a difference may be that of another seed" in html
    assert "Comparable: " in html
    assert "trained with one seed only" not in render_comparison([one, twin], [None, None])
    assert '<table id="seeds"' not in render_comparison([one, other], [None, None])


def test_the_comparison_states_what_its_intervals_are():
    html = re.sub(r"\s+", " ", render_comparison([run_with(half()), run_with(half())], [None, None]))
    assert "over the queries of one training, so they do not tell what another seed gives" in html
    assert "paired by query, does not contain 0" in html
