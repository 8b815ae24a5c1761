import pytest
from helpers.builders import tiny_config

from quac.report.provenance import config_diff, require_current, stage_records
from quac.system.errors import QuacError


def test_results_of_other_settings_are_not_reported(tmp_path):
    (tmp_path / "key.json").write_text('{"a": 1}')
    with pytest.raises(QuacError, match=r"results of train were made with other settings .*; run the workflow again"):
        require_current([("", {"stage": "train", "keys": ["0123"]})], [tmp_path / "key.json"], [], {})


def test_results_of_another_checkpoint_are_not_reported():
    checkpoints = {"2": {"sha256": "a"}, "4": {"sha256": "b"}}
    made = [{"step": step, "checkpoint_digest": "a", "provenance": {"stage": "convert"}} for step in (2, 4)]
    require_current([], [], made[:1], checkpoints)
    for unknown in (made, [{**made[0], "step": 6}]):
        with pytest.raises(QuacError, match="results of convert were made with other settings"):
            require_current([], [], unknown, checkpoints)


def test_the_training_is_listed_by_its_sessions():
    record = {"keys": ["0"], "commit": None, "versions": {}, "machine": "", "started": "", "seconds": 1.0}
    record |= {"peak_memory_mb": 1.0}
    results = [("train", {**record, "stage": "index"}), ("up to step 4", {**record, "stage": "train"})]
    sessions = [{**record, "stage": "train", "device": name} for name in ("cpu", "cuda")]
    records = [(found.stage, found.result, found.device) for found in stage_records(results, sessions)]
    assert records == [("index", "train", ""), ("train", "session 1", "cpu"), ("train", "session 2", "cuda")]


def test_only_changed_settings_are_listed():
    before, after = (dict(config_diff(config)) for config in (tiny_config(), tiny_config(loss={"lambda_sty": 2})))
    assert before["model.conv_dim"] == 4
    assert before["solver.root_dir"] == "results/tiny"  # has no default
    assert before["test_data.source"] == "data/test"
    assert not [name for name in before if name.startswith("loss")]
    assert after == {**before, "loss.lambda_sty": 2.0}
