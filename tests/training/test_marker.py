import pytest

from quac.system.errors import QuacError
from quac.system.files import file_sha256, read_json, write_json
from quac.training.marker import publish, stale_keys


@pytest.fixture
def files(tmp_path):
    """The marker of a training, its checkpoint and its inputs."""
    paths = {
        name: tmp_path / name for name in ("state.ckpt", "trained.json", "key", "index", "classifier", "save_plan")
    }
    for name, path in paths.items():
        path.write_bytes(name.encode())
    paths["state.ckpt"].write_bytes(b"weights")
    checkpoint = {"file": str(paths["state.ckpt"]), "sha256": file_sha256(paths["state.ckpt"])}
    inputs = {name: file_sha256(paths[name]) for name in ("key", "index", "save_plan")}
    write_json(paths["trained.json"], {"inputs": inputs, "checkpoints": {"10": checkpoint}})
    return paths


def published(files, step=10, **inputs):
    target = files["state.ckpt"].with_name("published.ckpt")
    publish(files["trained.json"], step, target, files["key"], files["index"], **inputs)
    return target


def test_publishing_links_and_checks(files):
    published(files)
    assert published(files).samefile(files["state.ckpt"])
    files["state.ckpt"].write_bytes(b"weihgts")
    with pytest.raises(QuacError, match=r"damaged or lost; delete .*trained\.json and run the workflow again"):
        published(files)
    assert not files["state.ckpt"].exists()  # so that training makes it again


def test_a_file_system_without_links_gets_a_copy(files, monkeypatch):
    def refuse(*_):
        raise OSError

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    target = published(files)
    assert target.read_bytes() == b"weights"
    assert not target.samefile(files["state.ckpt"])


@pytest.mark.parametrize("name", ["key", "index"])
def test_a_training_with_other_inputs_is_refused(files, name):
    files[name].write_text("changed")
    with pytest.raises(QuacError, match=rf"had another {name}, so .*; run the workflow again"):
        published(files)


def test_a_classifier_that_is_new_gone_or_changed_is_refused(files):
    for recorded, given in ((None, "classifier"), ("classifier", None), ("state.ckpt", "classifier")):
        marker = read_json(files["trained.json"])
        marker["inputs"].pop("classifier", None)
        if recorded:
            marker["inputs"]["classifier"] = file_sha256(files[recorded])
        write_json(files["trained.json"], marker)
        with pytest.raises(QuacError, match="had another classifier"):
            published(files, classifier=given and files[given])
    marker["inputs"]["classifier"] = file_sha256(files["classifier"])
    write_json(files["trained.json"], marker)
    assert published(files, classifier=files["classifier"]).is_file()


def test_a_longer_save_plan_does_not_matter_but_a_step_must_have_been_saved(files):
    files["save_plan"].write_text("longer")
    assert published(files).is_file()
    with pytest.raises(QuacError, match="saved no checkpoint of step 20; run the workflow again"):
        published(files, step=20)


def test_a_marker_of_version_1_is_refused(files):
    write_json(files["trained.json"], {"checkpoints": {}})
    with pytest.raises(QuacError, match="had another index and another key"):
        published(files)


def stale(files, **texts):
    texts = {"key": "key", "save_plan": "save_plan", **texts}
    others = {"index": str(files["index"])} | (
        {"classifier": str(files["classifier"])} if "classifier" in files else {}
    )
    return stale_keys(str(files["trained.json"]), texts, others)


def test_the_keys_of_a_training_with_other_inputs_are_stale(files):
    del files["classifier"]
    assert stale(files) == []
    assert stale(files, key="another") == ["key"]
    assert stale(files, save_plan="another") == ["save_plan"]
    files["index"].write_bytes(b"other images")
    assert stale(files) == ["key"]
    files["index"].unlink()  # it is made first, and then trained on
    assert stale(files) == []


def test_another_classifier_of_the_loss_makes_a_training_stale(files):
    assert stale(files) == ["key"]  # the marker knows none
    marker = read_json(files["trained.json"])
    marker["inputs"]["classifier"] = file_sha256(files["classifier"])
    write_json(files["trained.json"], marker)
    assert stale(files) == []
    files["classifier"].write_bytes(b"fitted again")
    assert stale(files) == ["key"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"checkpoints": {}, "inputs": 3}'])
def test_a_damaged_marker_is_stale_and_a_missing_one_is_not(files, text):
    files["trained.json"].write_text(text)
    assert stale(files) == ["key", "save_plan"]
    files["trained.json"].unlink()
    assert stale(files) == []
