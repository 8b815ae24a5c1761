"""Key files on disk: which are written again, and how."""

from pathlib import Path

import pytest

from quac.config.keys import differing, require_version_2, write_texts
from quac.system.errors import QuacError


@pytest.fixture
def keys(tmp_path):
    (tmp_path / "keys").mkdir()
    keys = {str(tmp_path / "keys" / f"{stage}.json"): f'{{"format": 2, "stage": "{stage}"}}' for stage in ("a", "b")}
    for path, text in keys.items():
        (tmp_path / "keys" / path).write_text(text)
    return keys


def test_key_files_are_compared_by_content(keys, tmp_path):
    assert differing(keys) == []
    a, b = map(tmp_path.joinpath, keys)
    a.write_text("edited")
    b.unlink()
    assert differing(keys) == [str(a), str(b)]
    b.write_bytes(b"\xff\xfe")
    assert differing(keys) == [str(a), str(b)]


def test_the_texts_of_two_configs_do_not_replace_each_other(keys, tmp_path):
    first = write_texts(keys, str(tmp_path / "texts"))
    other = write_texts({path: text + " " for path, text in keys.items()}, str(tmp_path / "texts"))
    for path, text in keys.items():
        assert Path(first[path]).read_text() == text
        assert Path(other[path]).read_text() == text + " "


@pytest.mark.parametrize("damaged", [b"", b"{", b"3", b"null", b"[]", b"\xff\xfe"])
def test_a_damaged_key_file_stops_nothing(keys, tmp_path, damaged):
    (tmp_path / "keys" / "0.json").write_bytes(damaged)
    require_version_2(str(tmp_path))


def test_keys_of_version_1_are_refused_wherever_they_are(keys, tmp_path):
    (tmp_path / "keys" / "c.json").write_text('{"digests": {}, "settings": {}, "stage": "train"}')
    with pytest.raises(QuacError, match="holds results of version 1"):
        require_version_2(str(tmp_path))
