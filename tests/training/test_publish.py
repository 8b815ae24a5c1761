import pytest

from quac.system.errors import QuacError
from quac.system.files import digest_of_file, write_json
from quac.training.publish import publish, step_of


def test_publishing_links_and_checks(tmp_path):
    trained, marker, target = tmp_path / "state.ckpt", tmp_path / "10.json", tmp_path / "published.ckpt"
    trained.write_bytes(b"weights")
    write_json(marker, {"checkpoints": {"10": {"file": str(trained), "sha256": digest_of_file(trained)}}})
    publish(marker, 10, target)
    publish(marker, 10, target)
    assert target.samefile(trained)
    trained.write_bytes(b"weihgts")
    with pytest.raises(QuacError, match=r"was damaged or lost; delete .*10\.json and run the same command again"):
        publish(marker, 10, target)
    assert not trained.exists()  # so that training makes it again


def test_a_file_system_without_links_gets_a_copy(tmp_path, monkeypatch):
    trained, marker, target = tmp_path / "state.ckpt", tmp_path / "10.json", tmp_path / "published.ckpt"
    trained.write_bytes(b"weights")
    write_json(marker, {"checkpoints": {"10": {"file": str(trained), "sha256": digest_of_file(trained)}}})

    def refuse(*_):
        raise OSError

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    publish(marker, 10, target)
    assert target.read_bytes() == b"weights"


def test_the_step_of_a_checkpoint_is_in_its_name():
    assert step_of("a/b/001200_nets_ema.ckpt") == 1200
    with pytest.raises(QuacError, match=r"expected <step>_nets_ema\.ckpt"):
        step_of("final.ckpt")
