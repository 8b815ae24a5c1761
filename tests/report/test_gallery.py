import pandas as pd

from quac.report.gallery import MOST_ENTRIES, choose_entries


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
    entries, examples = choose_entries({"latent": table(hits=21, misses=5)}, ["a", "b"], 3)
    assert examples == 3
    assert [entry["query"] for entry in entries if entry["converted"]] == ["a/000.png", "a/010.png", "a/020.png"]
    assert [entry["query"] for entry in entries if not entry["converted"]] == ["a/025.png", "a/024.png", "a/023.png"]


def test_few_and_none():
    entries, _ = choose_entries({"latent": table(hits=1, misses=0)}, ["a", "b"], 4)
    assert len(entries) == 1
    assert choose_entries({"latent": table(hits=3, misses=3)}, ["a", "b"], 0)[0] == []


def test_many_classes_show_fewer_examples():
    classes = [str(number) for number in range(20)]
    _, examples = choose_entries({"latent": table(1, 0), "reference": table(1, 0)}, classes, 4)
    assert examples == 1
    assert 2 * examples * 2 * 20 * 19 <= 2 * MOST_ENTRIES
