import json

import pandas as pd
import pytest

from quac.system.errors import QuacError
from quac.system.spreadsheets import csv_plain, csv_safe
from quac.system.tables import csv_text, read_table, write_table

FRAME = pd.DataFrame({"class": ["a", "b"] * 50, "number": range(100), "rate": [0.1] * 100})
ATTRIBUTES = {"classes": ["a", "b"], "found": {"10": 1, "9": 2}, "masked": None, "range": (0.0, 1.5)}


def test_a_table_is_read_as_it_was_written(tmp_path):
    write_table(tmp_path / "t.parquet", FRAME, **ATTRIBUTES)
    table = read_table(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(table, FRAME)
    assert table.attrs == json.loads(json.dumps(ATTRIBUTES))
    assert read_table(tmp_path / "t.parquet", columns=[]).attrs == table.attrs
    FRAME.to_parquet(tmp_path / "old.parquet")
    assert read_table(tmp_path / "old.parquet").attrs == {}


def test_a_flipped_bit_changes_nothing_unseen(tmp_path):
    path, messages = tmp_path / "t.parquet", []
    write_table(path, FRAME, **ATTRIBUTES)
    content, kept = path.read_bytes(), json.loads(json.dumps(ATTRIBUTES))
    for number in range(150):
        damaged = bytearray(content)
        damaged[number * len(content) // 150] ^= 1 << number % 8
        path.write_bytes(damaged)
        try:
            table = read_table(path)
        except QuacError as error:
            messages.append(str(error))
            continue
        pd.testing.assert_frame_equal(table, FRAME, check_dtype=False)  # some bits of a footer mean nothing
        assert not table.attrs or table.attrs.items() >= kept.items()
    assert len(messages) > 50
    for message in messages:
        assert message.startswith(f"{path}: cannot be read (")
        assert message.endswith("). Delete it and run the workflow again.")
        assert "\n" not in message


@pytest.mark.parametrize("damage", [b"", b"rubbish", None])
def test_a_file_that_is_no_table_is_named(tmp_path, damage):
    path = tmp_path / "t.parquet"
    write_table(path, FRAME)
    path.write_bytes(path.read_bytes()[:-300] if damage is None else damage)
    with pytest.raises(QuacError, match=r"t\.parquet: cannot be read \(.*\)\. Delete it and run the workflow again"):
        read_table(path)


def test_no_cell_of_a_csv_file_is_a_formula():
    names = ["=1+1", "+a", "-a", "@a", "\ta", "'=a", "a=b", "'a"]
    table = pd.DataFrame({"=x": names, "rate": [-0.5] * 8}, index=pd.Index(names, name="source"))
    lines = csv_text(table, index=True).splitlines()
    assert lines[:3] == ["source,'=x,rate", "'=1+1,'=1+1,-0.5", "'+a,'+a,-0.5"]
    assert lines[6:] == ["''=a,''=a,-0.5", "a=b,a=b,-0.5", "'a,'a,-0.5"]
    assert [csv_plain(csv_safe(name)) for name in names] == names
