"""A conversion in several jobs: the same files as in one, also after a shard was lost."""

import pandas as pd
import pytest
from helpers.workflow import Workflow

from quac.system.tables import read_table


def results(workflow):
    tables = {
        path.relative_to(workflow.root): read_table(path)
        for path in (
            *workflow.root.glob("selection/??????.parquet"),
            *workflow.root.glob("conversion/*/??????*.parquet"),
        )
        if "-of-" not in path.name
    }
    images = {p.relative_to(workflow.root): p.read_bytes() for p in workflow.root.glob("generated_images/**/*.png")}
    return tables, images


@pytest.mark.slow
def test_the_results_do_not_depend_on_the_number_of_jobs(tmp_path):
    workflow = Workflow(tmp_path)
    workflow.run()
    tables, images = results(workflow)
    assert len(tables) == 2 + 4
    workflow.edit("conversion", shards=2)
    assert workflow.plan() == {
        **{"score_shard": 4, "gather_scores": 2, "select_checkpoint": 1},
        **{"convert_shard": 8, "gather_conversion": 4, "matrices": 4, "controls": 1},
        **{"explain": 2, "features": 1, "explorer": 1, "show_styles": 1, "report": 1},
    }
    for path in tables:
        (workflow.root / path).unlink()
    workflow.run()
    assert workflow.plan() == {}
    found, found_images = results(workflow)
    assert found_images == images
    assert found.keys() == tables.keys()
    for path, table in tables.items():
        pd.testing.assert_frame_equal(found[path], table, check_exact=True)
    (workflow.root / "conversion/test/latent_1-of-2.parquet").unlink()
    workflow.run()
    pd.testing.assert_frame_equal(results(workflow)[0].popitem()[1], tables.popitem()[1])
    assert workflow.plan() == {}
