"""Stale results are never reported."""

import pytest

from quac.report.current import Current, Result, require_current
from quac.system.errors import QuacError
from quac.system.files import file_sha256, files_sha256, json_sha256, write_json

KEY = {"stage": "convert"}


@pytest.fixture
def current(tmp_path):
    write_json(tmp_path / "key.json", KEY)
    (tmp_path / "c.pt").write_text("classifier")
    trained = {"checkpoints": {"2": {"sha256": "two"}, "4": {"sha256": "four"}}}
    return Current.of([tmp_path / "key.json"], tmp_path / "c.pt", trained, {"step": 4})


def result(current, path="tries.parquet", step=4, made_from=None, **record):
    """A table of tries of the selected checkpoint that is as it should be, but for what is given."""
    record = {"stage": "convert", "keys": [json_sha256(KEY)], "classifier": current.classifier, **record}
    about = {"step": step, "checkpoint": f"{step}.ckpt", "checkpoint_digest": {2: "two", 4: "four"}.get(step, "six")}
    return Result(path, "", {**about, "provenance": record}, made_from or {})


def message(current, *results):
    with pytest.raises(QuacError) as error:
        require_current(results, current)
    return str(error.value)


def test_current_results_are_reported(current, tmp_path):
    (tmp_path / "t").write_text("table")
    digest = file_sha256(tmp_path / "t")
    several = {"table": digest, "tables": files_sha256([tmp_path / "t"] * 2)}
    files = {"table": tmp_path / "t", "tables": [tmp_path / "t"] * 2}
    require_current([result(current), result(current, step=2, stage="score_checkpoint")], current)
    require_current([result(current, files=several, made_from=files)], current)
    require_current([Result("checks.json", "", {"provenance": {"stage": "check_splits", "keys": []}})], current)


@pytest.mark.parametrize(
    ("change", "reason", "deleted"),
    [
        ({"keys": ["0123"]}, "made with other settings than the current ones", ["tries.parquet"]),
        ({"classifier": "other"}, "made by another classifier", ["tries.parquet"]),
        ({"step": 6}, "made by another checkpoint of step 6 than the training's", ["tries.parquet", "6.ckpt"]),
        ({"step": 2}, "made by the checkpoint of step 2, but step 4 is selected", ["tries.parquet"]),
    ],
)
def test_a_stale_result_is_named_with_its_stage_and_the_files_to_delete(current, change, reason, deleted):
    assert message(current, result(current, "cells.parquet"), result(current, **change)).splitlines() == [
        "Stale results cannot be reported:",
        f"  tries.parquet (convert): {reason}",
        "Delete these files and run the workflow again:",
        *(f"  {path}" for path in deleted),
    ]


def test_another_checkpoint_of_the_same_step_is_stale(current):
    other = result(current)
    other.content["checkpoint_digest"] = "two"
    assert "another checkpoint of step 4 than the training's" in message(current, other)


def test_results_of_other_files_are_stale(current, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    recorded = {"table": file_sha256(tmp_path / "one")}
    cells = result(current, "cells.parquet", files=recorded, made_from={"table": tmp_path / "two"})
    assert "cells.parquet (convert): made from another version of the table" in message(current, cells)
    unknown = result(current, "old.parquet", made_from={"table": tmp_path / "one"})
    selected = result(current, "selected.json", made_from={"tables": [tmp_path / "one"]}, files={"tables": "other"})
    lines = message(current, unknown, selected).splitlines()
    assert lines[-2:] == ["  old.parquet", "  selected.json"]
    assert "selected.json (convert): made from another version of the tables" in "\n".join(lines)


def test_a_training_with_another_classifier_or_other_images_is_stale(current, tmp_path):
    (tmp_path / "index").write_text("x")
    inputs = {"classifier": "other", "index": "other"}
    made = {"provenance": {"stage": "train", "keys": []}, "inputs": inputs}
    found = message(current, Result("trained.json", "", made, {"index": tmp_path / "index"}))
    assert "trained.json (train): made by another classifier" in found
    assert "trained.json (train): made from another version of the index" in found
    assert found.count("\n  trained.json\n") + found.endswith("\n  trained.json") == 1


def test_a_result_without_provenance_is_stale(current):
    assert "cells.parquet (unknown stage): has no provenance" in message(current, Result("cells.parquet", "", {}))
