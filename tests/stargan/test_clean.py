import fcntl

import pytest
from builders import make_index, write_images

from quac.errors import QuacError
from quac.files import write_json
from quac.stargan.clean import training_id, unused

SETTINGS = {"loss": {"lambda_cyc": 1.0}, "seed": 0, "judge": None}


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path / "images", {"a": 2, "b": 2})
    (tmp_path / "data").mkdir()
    index = make_index(tmp_path / "data/train.parquet", tmp_path / "images")
    write_json(tmp_path / "keys/train.json", {"settings": SETTINGS, "digests": {}})
    for name in ("published", "old", training_id({**SETTINGS, "digests": {}}, index)):
        folder = tmp_path / "training/state" / name
        folder.mkdir(parents=True)
        (folder / "state_000020.pt").write_bytes(b"x" * 1000)
        write_json(folder / "settings.json", {**SETTINGS, "digests": {}, "loss": {"lambda_cyc": 2.0, "lambda_ds": 1.0}})
    made = {"20": {"file": str(tmp_path / "training/state/published/000020_nets_ema.ckpt")}}
    write_json(tmp_path / "training/010000.json", {"checkpoints": made})
    return tmp_path


def test_what_neither_the_settings_nor_the_results_use_is_found_and_removed(root):
    (found,) = unused(root)
    assert found.path == root / "training/state/old"
    assert (found.step, found.differs) == (20, ["loss.lambda_cyc", "loss.lambda_ds"])
    assert 1000 < found.size < 2000
    found.remove()
    assert unused(root) == []
    assert len(list((root / "training/state").iterdir())) == 2


def test_a_running_training_is_left_alone(root):
    with open(root / "training/state/old/lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert unused(root) == []


def test_nothing_is_listed_where_the_classifier_of_the_training_is_not_known(root):
    write_json(root / "keys/train.json", {"settings": {**SETTINGS, "judge": {"scale": 1.0}}, "digests": {}})
    with pytest.raises(QuacError, match=r"check\.json: does not exist"):
        unused(root)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(QuacError, match=r"train\.json: does not exist; is .* the folder of a run"):
        unused(tmp_path)
