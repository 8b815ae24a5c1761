import pytest

from quac.system.errors import QuacError
from quac.system.files import file_sha256, read_json, write_json
from quac.training.marker import damaged_checkpoints, publish, stale_keys


@pytest.fixture
def files(tmp_path):
    """The marker of a training, its checkpoint and its inputs."""
    paths = {name: tmp_path / name for name in ("trained.json", "key", "index", "classifier", "save_plan")}
    paths["state.ckpt"] = tmp_path / "state/0123456789abcdef/000010_nets_ema.ckpt"
    paths["state.ckpt"].parent.mkdir(parents=True)
    for name, path in paths.items():
        path.write_bytes(name.encode())
    paths["state.ckpt"].write_bytes(b"weights")
    checkpoint = {
        "file": "moved/state/0123456789abcdef/000010_nets_ema.ckpt",
        "sha256": file_sha256(paths["state.ckpt"]),
    }
    inputs = {name: file_sha256(paths[name]) for name in ("key", "index", "save_plan")}
    write_json(paths["trained.json"], {"inputs": inputs, "checkpoints": {"10": checkpoint}})
    return paths


def at(file, digest="of other weights"):
    return {"file": str(file), "sha256": digest}


def mark(files, file):
    write_json(files["trained.json"], read_json(files["trained.json"]) | {"checkpoints": {"10": at(file)}})


def published(files, step=10, **inputs):
    target = files["trained.json"].with_name("published.ckpt")
    publish(files["trained.json"], step, target, files["key"], files["index"], **inputs)
    return target


def test_publishing_links_and_checks(files):
    published(files)
    assert published(files).samefile(files["state.ckpt"])
    files["state.ckpt"].write_bytes(b"weihgts")
    with pytest.raises(QuacError, match=r"000010_nets_ema\.ckpt: damaged or lost\. Run the workflow again"):
        published(files)
    assert not files["state.ckpt"].exists()  # so that training makes it again
    assert not files["trained.json"].exists()  # and is carried out


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


def test_a_marker_from_elsewhere_deletes_nothing_but_its_own_checkpoint(files, tmp_path):
    mine = tmp_path / "mine/000010_nets_ema.ckpt"
    mine.parent.mkdir()
    mine.write_bytes(b"of another run")
    for file in (str(mine), "../mine/000010_nets_ema.ckpt", "0123456789abcdef/../../../mine/000010_nets_ema.ckpt", ""):
        mark(files, file)
        with pytest.raises(QuacError, match=r"trained\.json: damaged"):
            published(files)
    assert mine.read_bytes() == b"of another run"
    files["state.ckpt"].parent.rename(tmp_path / "0123456789abcdef")
    (tmp_path / "state/0123456789abcdef").symlink_to(tmp_path / "0123456789abcdef")
    write_json(
        files["trained.json"], read_json(files["trained.json"]) | {"checkpoints": {"10": at(files["state.ckpt"])}}
    )
    with pytest.raises(QuacError, match="damaged or lost"):
        published(files)
    assert (tmp_path / "0123456789abcdef/000010_nets_ema.ckpt").is_file()  # links are not followed


def test_damaged_checkpoints_are_found(files):
    target = published(files)

    def damaged():
        return damaged_checkpoints(files["trained.json"], lambda step: target, file_sha256)

    assert damaged() == ([], [])
    target.unlink()
    assert damaged() == ([], [])  # it is published anyway
    files["state.ckpt"].unlink()
    assert damaged() == ([], [])  # it may have been deleted with its results, to save space
    target.write_bytes(b"weihgts")
    assert damaged() == ([10], [10])
    files["state.ckpt"].write_bytes(b"weights")
    assert damaged() == ([], [10])
    files["trained.json"].write_text("{")
    assert damaged() == ([], [])
    files["trained.json"].unlink()
    assert damaged() == ([], [])
