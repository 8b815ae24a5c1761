from helpers.builders import tiny_config

from quac.report.current import Result
from quac.report.provenance import config_diff, stage_records


def test_a_job_is_listed_once_and_the_training_by_its_sessions():
    record = {"keys": ["0"], "commit": None, "versions": {}, "machine": "", "started": "", "seconds": 1.0}
    record |= {"peak_memory_mb": 1.0}
    results = [
        Result(path, label, {"provenance": {**record, "stage": stage}})
        for path, label, stage in (("a", "train", "index"), ("b", "train", "index"), ("c", "up to step 4", "train"))
    ]
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
