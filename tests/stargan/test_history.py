from quac.stargan.history import History


def rows(path):
    return path.read_text().splitlines()


def test_rows_after_a_step_are_forgotten_and_torn_ones_too(tmp_path):
    path = tmp_path / "history.csv"
    history = History(path)
    for step in (10, 20, 30):
        history.append({"step": step, "a": step / 10})
    path.write_text(path.read_text() + "40,4")
    history.cut(20)
    assert rows(path) == ["step,a", "10,1.0", "20,2.0"]
    history.append({"step": 25, "a": 2.5})
    assert rows(path)[-1] == "25,2.5"
    assert history.text(20) == "step,a\n10,1.0\n20,2.0\n"
    history.cut(5)
    history.append({"step": 1, "b": 0})
    assert rows(path) == ["step,b", "1,0"]


def test_a_term_that_ends_leaves_its_column_empty(tmp_path):
    history = History(tmp_path / "history.csv")
    history.append({"step": 1, "ds": 0.5})
    history.append({"step": 2})
    assert rows(tmp_path / "history.csv") == ["step,ds", "1,0.5", "2,"]


def test_nothing_logged_is_an_empty_text(tmp_path):
    assert History(tmp_path / "history.csv").text(9) == ""
