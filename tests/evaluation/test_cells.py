"""The numbers of class pairs, also of tables that an older version made."""

import numpy as np
import pandas as pd
import pytest
from helpers.builders import tries_of

from quac.evaluation.cells import cells_of, write_matrices
from quac.evaluation.metrics import METRICS, names_of
from quac.evaluation.scores import matrix
from quac.system.files import file_sha256, read_json
from quac.system.provenance import Provenance
from quac.system.tables import read_table, write_table

CLASSES = ["a", "b"]


@pytest.fixture
def index():
    frame = pd.DataFrame({"class": ["a", "b"], "path": ["a/0.png", "b/0.png"]})
    frame.attrs = {"classes": CLASSES, "split": "test"}
    return frame


def table(**columns):
    rows = [
        {"source": source, "target": target, "query": f"{source}/0.png", "try": number, "kind": "latent"}
        for source, target in (("a", "b"), ("b", "a"))
        for number in range(3)
    ]
    return pd.DataFrame(rows).assign(predicted="a", query_predicted="a", l1=0.5, p_target=0.25, **columns)


def judged(**columns):
    return pd.DataFrame({"split": ["test", "test", "train"], "class": ["a", "b", "b"], **columns})


def test_a_table_without_newer_columns_gives_empty_matrices(index, tmp_path):
    tries = tries_of(table(), found={"a": 1, "b": 1})
    cells, averages = cells_of(tries, index, judged(), "t.parquet")
    missing = {"identification", "ssim", "cycle", "diversity", *names_of("pair")}
    for name in METRICS:
        values = matrix(cells, CLASSES, name)
        assert values.isna().all(axis=None) == (name in missing), name
        assert (averages[name] is None) == (name in missing), name
    assert matrix(cells, CLASSES, "of a later version").isna().all(axis=None)
    paths = [tmp_path / f"{name}.csv" for name in METRICS]
    files = [tmp_path / name for name in ("tries.parquet", "index.parquet", "judged.parquet")]
    tries.write(files[0])
    write_table(files[1], index, **index.attrs)
    write_table(files[2], judged())
    made = [tmp_path / name for name in ("cells.parquet", "cells.csv", "averages.json")]
    write_matrices(*files, paths, *made, Provenance("matrices"))
    assert pd.read_csv(tmp_path / "ssim.csv", index_col=0).isna().all(axis=None)
    assert pd.read_csv(tmp_path / "conversion_rate.csv", index_col=0).loc["b", "a"] == 1
    assert read_json(tmp_path / "averages.json")["frechet"] is None
    table_of_cells = read_table(tmp_path / "cells.parquet")
    for record in (table_of_cells.attrs["provenance"], read_json(tmp_path / "averages.json")["provenance"]):
        assert record["files"] == {"table": file_sha256(files[0])}
    assert table_of_cells[["source", "target", "expected", "found", "scored"]].to_numpy().tolist() == [
        ["a", "b", 1, 1, 1],
        ["b", "a", 1, 1, 1],
    ]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "cells.csv"), table_of_cells, check_dtype=False)


def test_a_whole_table_gives_every_metric(index):
    rng = np.random.default_rng(0)
    logits = {f"logit_{name}": rng.normal(size=6) for name in CLASSES}
    real = {f"logit_{name}": rng.normal(size=9) for name in CLASSES}
    real = pd.DataFrame({"split": "test", "class": ["a", "b", "b"] * 3, **real})
    measured = {"identified": 1.0, "ssim": 0.5, "cycle": 0.5, "diversity": 0.5, **logits}
    tries = tries_of(table(**measured), found={"a": 1, "b": 1})
    cells, averages = cells_of(tries, index, real, "t.parquet")
    by_target = cells.set_index("target")
    assert by_target["real"].to_dict() == {"a": 3, "b": 6}
    assert by_target[["identification", "ssim", "cycle", "diversity", "frechet"]].notna().all(axis=None)
    assert by_target["kernel"].isna().all()  # tries of one query only
    assert averages["frechet"] == pytest.approx(by_target["frechet"].mean())
    assert averages["kernel"] is None
