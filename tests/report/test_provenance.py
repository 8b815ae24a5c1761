import pytest

from quac.report.provenance import require_current
from quac.system.errors import QuacError


def test_results_of_other_settings_are_not_reported(tmp_path):
    (tmp_path / "key.json").write_text('{"a": 1}')
    with pytest.raises(QuacError, match=r"results of train were made from other settings .*; run the same"):
        require_current([("", {"stage": "train", "keys": ["0123"]})], [tmp_path / "key.json"], [], {})


def test_results_of_another_checkpoint_are_not_reported():
    checkpoints = {"2": {"sha256": "a"}, "4": {"sha256": "b"}}
    made = [{"step": step, "checkpoint_digest": "a", "provenance": {"stage": "convert"}} for step in (2, 4)]
    require_current([], [], made[:1], checkpoints)
    with pytest.raises(QuacError, match="results of convert were made from other settings"):
        require_current([], [], made, checkpoints)
