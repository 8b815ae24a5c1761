from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from helpers.report_facts import report_of

from quac.report.run_files import RunFiles
from quac.system.files import read_json
from quac.system.tables import read_table


def test_the_gallery_has_the_probabilities_before_and_after(finished):
    for entry in report_of(finished).gallery.entries:
        assert 0 <= entry.query_p_target <= 1
        assert entry.group == "typical" or (entry.predicted == entry.target) == (entry.group == "best")


def test_typical_examples_are_random_tries(finished):
    """Of queries, and by styles, that no result has chosen: they are those of the first try in the tables."""
    made = read_json(finished.root / "styles/test.json")["typical"]
    assert len(made) == 2 * 2 * 4  # kinds, pairs of classes, test images of a class
    columns = ["query", "target", "kind", "style"]
    for kind in ("latent", "reference"):
        table = read_table(finished.root / f"conversion/test/{kind}.parquet")
        first = table[(table["try"] == 0) & (table["source"] != table["target"])]
        shown = pd.DataFrame(made).query("kind == @kind")
        merged = shown.merge(first, on=columns, suffixes=("", "_of_table"), validate="one_to_one")
        assert len(merged) == len(shown)
        np.testing.assert_allclose(merged["p_target"], merged["p_target_of_table"], atol=1e-5)
    typical = [entry for entry in report_of(finished).gallery.entries if entry.group == "typical"]
    assert len(typical) == 2 * 2 * 2  # kinds, pairs, report.examples
    for entry in typical:
        path = f"styles/test/typical/{entry.kind}/{entry.source}/{entry.target}/{Path(entry.query).name}"
        assert (finished.root / path).is_file()


def test_sample_grids_of_later_steps_are_left_out(tmp_path):
    for step in (1, 2, 3, 4, 5, 6, 9):
        (tmp_path / f"{step:06d}.png").touch()
    run = SimpleNamespace(inputs={"samples": str(tmp_path)})
    assert list(RunFiles.sample_grids(run, end=6)) == [1, 2, 3, 4, 5, 6]
    run.inputs["samples"] = "nowhere"
    assert RunFiles.sample_grids(run, end=6) == {}


def test_data_are_shown_by_samples(finished):
    data = report_of(finished).data
    assert {name: len(paths) for name, paths in data.samples.items()} == {"across": 8, "along": 8}
    assert data.splits["test"].bits == {"8": 8}
    assert [rule.fact for rule in data.one_fact_rules] == [
        "mean intensity",
        "width",
        "height",
        "bit depth",
        "bytes a pixel",
    ]
    assert {rule.images for rule in data.one_fact_rules} == {24}
    assert {rule.accuracy for rule in data.one_fact_rules if rule.fact != "mean intensity"} >= {0.5}
