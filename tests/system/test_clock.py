import os
import time

from quac.system.clock import date_now


def test_what_is_dated_in_the_future_is_dated_now_in_its_order(tmp_path):
    now = time.time()
    dates = {
        **{"a/past": now - 100, "a/first": now + 3600, "a/b/second": now + 3601, "a/b/as second": now + 3601},
        **{"a/made/.snakemake_timestamp": now + 3700, "a/made/x/image.png": now + 3800, "report": now + 3602},
    }
    for name, date in dates.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (date, date))
    (tmp_path / "a/link").symlink_to(tmp_path / "elsewhere")
    assert date_now([tmp_path / "a"], [tmp_path / "report", tmp_path / "gone"]) == 5
    found = {name: os.stat(tmp_path / name).st_mtime for name in dates}
    assert found["a/past"] == dates["a/past"]
    assert found["a/made/x/image.png"] == dates["a/made/x/image.png"]
    order = ["a/past", "a/first", "a/b/second", "report", "a/made/.snakemake_timestamp"]
    assert sorted(order, key=found.__getitem__) == order
    assert found["a/b/second"] == found["a/b/as second"]
    assert now - 1 < found["a/first"] < found["a/made/.snakemake_timestamp"] <= time.time()
    assert date_now([tmp_path / "a"], [tmp_path / "report"]) == 0
