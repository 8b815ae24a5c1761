import pandas as pd

from quac.report.gallery import MOST_BYTES, choose_entries, choose_examples


def table(hits, misses):
    rows = [
        {
            "query": f"a/{n:03d}.png",
            "source": "a",
            "target": "b",
            "style": "s",
            "try": 0,
            "predicted": "b" if n < hits else "a",
            "p_source": 0.5,
            "p_target": 0.9 if n < hits else 0.4 - 0.01 * n,
            "l1": 0.1,
            "best": True,
        }
        for n in range(hits + misses)
    ]
    return pd.DataFrame([*rows, {**rows[0], "try": 1, "best": False}])


def test_hits_are_spread_evenly_and_misses_come_farthest_first():
    entries = choose_entries({"latent": table(hits=21, misses=5)}, ["a", "b"], 3)
    assert [entry["query"] for entry in entries if entry["converted"]] == ["a/000.png", "a/010.png", "a/020.png"]
    assert [entry["query"] for entry in entries if not entry["converted"]] == ["a/025.png", "a/024.png", "a/023.png"]


def test_few_and_none():
    assert len(choose_entries({"latent": table(hits=1, misses=0)}, ["a", "b"], 4)) == 1
    assert choose_entries({"latent": table(hits=3, misses=3)}, ["a", "b"], 0) == []


def test_pictures_that_take_too_much_become_fewer_then_smaller_then_end():
    tables = {"latent": table(hits=9, misses=0)}

    def show(bytes_of_side):
        return choose_examples(tables, ["a", "b"], 4, lambda _, side: ("x" * bytes_of_side(side), ""))

    entries, pictures, examples = show(lambda side: 1000)
    assert (len(entries), len(pictures), examples) == (4, 4, 4)
    entries, pictures, examples = show(lambda side: MOST_BYTES // 3)
    assert (len(entries), len(pictures), examples) == (3, 3, 3)
    entries, pictures, examples = show(lambda side: 2 * MOST_BYTES if side > 64 else 1000)
    assert (len(pictures), len(pictures[0][0]), examples) == (1, 1000, 1)
    entries, pictures, examples = show(lambda side: 2 * MOST_BYTES)
    assert len(entries) == len(pictures) == 1  # never nothing
    assert choose_examples(tables, ["a", "b"], 0, None) == ([], [], 0)
