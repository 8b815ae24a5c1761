"""Shards that do not belong together are not put together."""

import pandas as pd
import pytest

from quac.evaluation.gather import gather_images, gather_tables
from quac.system.errors import QuacError


def shard(i, count=2, digest="d", rows=2, **record):
    table = pd.DataFrame({"batch": [i + count * n for n in range(rows)], "query": f"of {i}"})
    about = {"stage": "convert", "keys": ["k"], "classifier": "c", "seconds": 1.5 + i}
    table.attrs = {"shard": [i, count], "checkpoint_digest": digest, "tries": 3, "provenance": {**about, **record}}
    return table


def test_rows_come_in_the_order_of_one_job_whatever_that_of_the_shards():
    for order in ((0, 1, 2), (2, 0, 1)):
        whole = gather_tables({f"{i}.parquet": shard(i, 3) for i in order})
        assert whole["batch"].tolist() == list(range(6))
        assert whole["query"].tolist() == ["of 0", "of 1", "of 2"] * 2
        assert whole.attrs["shard"] == [0, 1]
        assert whole.attrs["tries"] == 3
        assert whole.attrs["provenance"]["seconds"] == 1.5 + 2.5 + 3.5


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ([shard(0, 3), shard(1, 3)], "is one of 3 shards, but the others given are not those"),
        ([shard(0), shard(0)], "is one of 2 shards"),
        ([shard(0), shard(1, 3)], "is one of 2 shards"),
        ([shard(0), shard(1, digest="e")], r"1\.parquet: was not made from what 0\.parquet was"),
        ([shard(0), shard(1, keys=["l"])], "was not made from what"),
        ([shard(0), shard(1, classifier="e")], "was not made from what"),
    ],
)
def test_what_is_no_whole_is_named(tables, said):
    with pytest.raises(QuacError, match=said):
        gather_tables({f"{i}.parquet": table for i, table in enumerate(tables)})


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


def test_a_shard_without_queries_is_no_trouble():
    """More jobs than batches."""
    empty = pd.DataFrame({"batch": pd.Series(dtype=int)})
    empty.attrs = shard(1).attrs
    whole = gather_tables({"1.parquet": empty, "0.parquet": shard(0)})
    pd.testing.assert_frame_equal(whole, shard(0))
