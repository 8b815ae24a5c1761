import time

import pytest

from quac.system.errors import QuacError
from quac.system.hand_written import parse_hand_written, read_hand_written

NAMES = ("classes", "name")


def refusal(text, place="a.yaml"):
    with pytest.raises(QuacError) as raised:
        parse_hand_written(text, place, NAMES)
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("data: {a: 1}\nloss: {}\ndata: {b: 2}\n", "lines 1 and 3: the key data is repeated; join the two"),
        ("data:\n  a: 1\n  b: 1\n  a: 2\n", "lines 2 and 4: the key a is repeated"),
        ("- {path: x, path: y}", "lines 1 and 1: the key path is repeated"),
        ('{"a": {"b": 1,\n"b": 2}}', "lines 1 and 2: the key b is repeated"),
        ("sampling: {3: 1, '3': 2}", "the key 3 is repeated"),
    ],
)
def test_a_repeated_key_is_refused_with_both_lines(text, fault):
    assert fault in refusal(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("classes: [010, '010', 10]", 'line 1: 010 would be read as 8; put it in quotes ("010") if it is a name'),
        ("a:\n- class: 007\n", "line 2: 007 would be read as 7"),
        ("lr: 007.5", "line 1: 007.5 would be read as 7.5"),
        ("sources: {012: x}", "line 1: 012 would be read as 10"),
        ("classes: [1.10, b]", "line 1: 1.10 would be read as 1.1"),
        ("classes: [yes, no]", "line 1: yes would be read as True"),
        ("name: 0x10", "line 1: 0x10 would be read as 16"),
        ("start: 12:30", "line 1: 12:30 would be read as 750"),
    ],
)
def test_a_name_that_would_be_read_as_a_number_is_refused(text, fault):
    assert fault in refusal(text)
    assert refusal(text).count("would be read") == text.count("[yes") + 1


def test_what_reads_as_it_says_is_read():
    text = "classes: [3, 09, '010', 1.5]\nlr: 1.0e-4\nsteps: 1_000\nzero: 0\nhalf: -0.5\n"
    text += "x: &x {a: 1}\ny:\n  <<: *x\n  a: 2\n"
    assert parse_hand_written(text, "a.yaml", NAMES) == {
        **{"classes": [3, "09", "010", 1.5], "lr": 1e-4, "steps": 1000, "zero": 0, "half": -0.5},
        **{"x": {"a": 1}, "y": {"a": 2}},
    }
    assert parse_hand_written("", "a.yaml") is None
    assert parse_hand_written('\t{"a": "\\/"}', "a.json") == {"a": "/"}


def test_aliases_that_stand_for_too_much_are_refused_at_once():
    bomb = "a0: &a0 [1, 1]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
    started = time.monotonic()
    assert "stand for more than 100000 values; write out what is meant" in refusal(bomb)
    assert time.monotonic() - started < 1
    assert "a.yaml: line 1 contains itself" in refusal("a: &a [*a]")


def test_a_file_is_named(tmp_path):
    (tmp_path / "a.yaml").write_bytes("ä: 1".encode("latin-1"))
    with pytest.raises(QuacError, match=r"a\.yaml: is not UTF-8 text \(byte 0\)"):
        read_hand_written(tmp_path / "a.yaml")
    with pytest.raises(QuacError, match=r"gone\.yaml: cannot be read \(no such file"):
        read_hand_written(tmp_path / "gone.yaml")
    assert refusal("[" * 5000).startswith("a.yaml: cannot be read as YAML (while increasing flow level")
    assert refusal("[{", "a.json").startswith("a.json: cannot be read as JSON")
