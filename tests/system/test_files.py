import pytest

from quac.system.files import canonical, digest_of, whole, write_json, write_text


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "folder" / "file.txt"
    write_text(path, "old")

    def fail():
        with whole(path) as temporary:
            temporary.write_text("half of the n")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["file.txt"]


def test_an_error_without_a_name_gets_the_files(tmp_path):
    with pytest.raises(OSError, match="No space") as error, whole(tmp_path / "file"):
        raise OSError(28, "No space left on device")
    assert error.value.filename == str(tmp_path / "file")


def test_the_longest_file_name_can_be_written(tmp_path):
    write_text(tmp_path / ("x" * 255), "text")


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert canonical({"b": 1, "a": [1.0, None]}) == canonical({"a": [1.0, None], "b": 1}) == '{"a":[1.0,null],"b":1}'
    assert digest_of({"a": 1}) != digest_of({"a": 2})


def test_json_refuses_what_json_cannot_say(tmp_path):
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "file.json", {"rate": float("nan")})
    assert not (tmp_path / "file.json").exists()
