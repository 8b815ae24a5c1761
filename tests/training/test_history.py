import errno

import pytest

from quac.system.errors import QuacError
from quac.training.history import History


def rows(path):
    return path.read_text().splitlines()


def test_a_step_that_is_logged_again_replaces_its_row(tmp_path):
    path = tmp_path / "history.csv"
    history = History(path)
    for step in (10, 20, 30):
        history.append({"step": step, "a": step / 10})
    again = History(path)
    again.append({"step": 20, "a": 9.5})
    again.append({"step": 25, "a": 2.5})
    again.append({"step": 40, "a": 4.0})
    assert rows(path) == ["step,a", "10,1.0", "20,9.5", "25,2.5", "30,3.0", "40,4.0"]
    assert again.text(20) == "step,a\n10,1.0\n20,9.5\n"


def test_a_row_is_on_disk_before_a_state_that_covers_it(tmp_path, monkeypatch):
    history, synced = History(tmp_path / "history.csv"), []
    history.append({"step": 1, "a": 1.0})
    monkeypatch.setattr("os.fsync", lambda _: synced.append(rows(tmp_path / "history.csv")))
    history.append({"step": 2, "a": 2.0})
    assert synced == [["step,a", "1,1.0", "2,2.0"]]


def test_a_row_that_failed_on_a_full_disk_can_be_appended_again_and_damages_no_other(tmp_path, monkeypatch):
    path = tmp_path / "history.csv"
    history = History(path)
    history.append({"step": 1, "a": 0.5})
    for row in ({"step": 2, "a": 0.4, "rate": 3.0}, {"step": 3, "a": 0.3, "rate": 2.0}):
        with monkeypatch.context() as full:
            full.setattr("quac.training.history.write_text", raise_full)
            full.setattr("os.fsync", raise_full)
            with pytest.raises(OSError, match="No space"):
                history.append(row)
        history.append(row)
    assert rows(path) == ["step,a,rate", "1,0.5,", "2,0.4,3.0", "3,0.3,2.0"]
    assert list(History(path).rows) == [1, 2, 3]


def raise_full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_torn_row_is_dropped(tmp_path):
    path = tmp_path / "history.csv"
    History(path).append({"step": 100, "a": 1.0})
    path.write_text(path.read_text() + "20")
    assert list(History(path).rows) == [100]
    assert rows(path) == ["step,a", "100,1.0"]
    path.write_text("step")
    History(path).append({"step": 1, "b": 2})
    assert rows(path) == ["step,b", "1,2"]


def test_a_term_that_ends_leaves_its_column_empty(tmp_path):
    history = History(tmp_path / "history.csv")
    history.append({"step": 1, "ds": 0.5})
    history.append({"step": 2})
    assert rows(tmp_path / "history.csv") == ["step,ds", "1,0.5", "2,"]


def test_a_term_that_begins_later_gets_a_column(tmp_path):
    path = tmp_path / "history.csv"
    History(path).append({"step": 1, "a": 0.5})
    History(path).append({"step": 2, "a": 0.4, "cls": 3.0})
    assert rows(path) == ["step,a,cls", "1,0.5,", "2,0.4,3.0"]


def test_nothing_logged_is_an_empty_text(tmp_path):
    assert History(tmp_path / "history.csv").text(9) == ""


@pytest.mark.parametrize("content", [b"\xff\xfe", b"step,a\n1,2\nx,2\n", b"step,a\n1,two\n", b"a,step\n1.5,2\n"])
def test_a_damaged_history_is_named(tmp_path, content):
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(QuacError, match=r"history\.csv: damaged \(.*\)\. Delete it and run the workflow again"):
        History(tmp_path / "history.csv")
