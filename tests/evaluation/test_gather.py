"""Shards are put together if they belong together."""

from dataclasses import replace

import pandas as pd
import pytest
from helpers.builders import tries_of

from quac.evaluation.gather import gather_images, gather_tries
from quac.system.errors import QuacError


def shard(i, count=2, digest="d", rows=2, **record):
    table = pd.DataFrame({"batch": [i + count * n for n in range(rows)], "query": f"of {i}"})
    record = {"stage": "convert", "keys": ["k"], "classifier": "c", "seconds": 1.5 + i, **record}
    return tries_of(table, shard=[i, count], checkpoint_digest=digest, tries=3, provenance=record)


def test_rows_come_in_the_order_of_one_job_whatever_that_of_the_shards():
    for order in ((0, 1, 2), (2, 0, 1)):
        whole = gather_tries({f"{i}.parquet": shard(i, 3) for i in order})
        assert whole.frame["batch"].tolist() == list(range(6))
        assert whole.frame["query"].tolist() == ["of 0", "of 1", "of 2"] * 2
        assert whole.shard == [0, 1]
        assert whole.tries == 3
        assert whole.provenance["seconds"] == 1.5 + 2.5 + 3.5


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([shard(0, 3), shard(1, 3)], "is one of 3 shards, but the others given are not those"),
        ([shard(0), shard(0)], "is one of 2 shards"),
        ([shard(0), shard(1, 3)], "is one of 2 shards"),
        ([shard(0), shard(1, digest="e")], r"1\.parquet: was not made from the same inputs as 0\.parquet"),
        ([shard(0), shard(1, keys=["l"])], "was not made from the same inputs"),
        ([shard(0), shard(1, classifier="e")], "was not made from the same inputs"),
    ],
)
def test_shards_that_do_not_belong_together_are_named(tables, message):
    with pytest.raises(QuacError, match=message):
        gather_tries({f"{i}.parquet": table for i, table in enumerate(tables)})


def test_images_of_all_shards_lie_in_one_folder(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "a" / "b").mkdir(parents=True)
        (tmp_path / name / "a" / "b" / f"{name}.png").write_text(name)
    for _ in range(2):  # also where a killed job left a part
        gather_images([tmp_path / "one", tmp_path / "two"], tmp_path / "all")
    assert {file.name: file.read_text() for file in (tmp_path / "all/a/b").iterdir()} == {
        "one.png": "one",
        "two.png": "two",
    }


def test_a_shard_may_have_no_queries():
    """More jobs than batches."""
    empty = replace(shard(1), table=pd.DataFrame({"batch": pd.Series(dtype=int)}))
    whole = gather_tries({"1.parquet": empty, "0.parquet": shard(0)})
    pd.testing.assert_frame_equal(whole.frame, shard(0).frame)
