import pandas as pd

from quac.report.gallery import MAX_BYTES, choose_entries, show_examples


def table(hits, misses):
    rows = [
        {
            "query": f"a/{n:03d}.png",
            "source": "a",
            "target": "b",
            "style": "s",
            "try": 0,
            "predicted": "b" if n < hits else "a",
            "query_predicted": "a",
            "p_source": 0.5,
            "p_target": 0.6 + 0.01 * n if n < hits else 0.4 - 0.01 * n,
            "query_p_source": 0.9,
            "query_p_target": 0.1,
            "l1": 0.1,
            "best": True,
        }
        for n in range(hits + misses)
    ]
    return pd.DataFrame([*rows, {**rows[0], "try": 1, "best": False}, {**rows[0], "target": "a"}])


def chosen(hits, misses, examples):
    entries = choose_entries({"latent": table(hits, misses)}, ["a", "b"], examples)
    return {
        group: [int(entry.query[2:5]) for entry in entries if entry.group == group]
        for group in ("best", "typical", "failed")
    }


def test_chooses_the_best_typical_ones_and_the_farthest():
    assert chosen(24, 5, 3) == {"best": [23, 22, 21], "typical": [0, 10, 20], "failed": [28, 27, 26]}


def test_few_or_no_examples():
    assert chosen(1, 0, 4) == {"best": [0], "typical": [], "failed": []}
    assert chosen(3, 3, 0) == {"best": [], "typical": [], "failed": []}


def test_pictures_over_the_limit_are_left_out_then_made_smaller():
    entries = choose_entries({"latent": table(9, 9)}, ["a", "b"], 3)
    assert [entry.round for entry in entries] == [0, 0, 0, 1, 1, 1, 2, 2, 2]

    def show(bytes_of_side):
        found, pictures = show_examples(
            entries, lambda entry, side: "", lambda entry, side: "x" * int(bytes_of_side(side))
        )
        assert len(found) == len(pictures["generated"])
        assert set(pictures["queries"]) == {entry.query for entry in found}
        return len(found), len(pictures["generated"][0])

    assert show(lambda side: 1000) == (9, 1000)
    assert show(lambda side: MAX_BYTES / 4) == (4, MAX_BYTES / 4)
    assert show(lambda side: MAX_BYTES if side > 64 else 1000) == (9, 1000)
    assert show(lambda side: 2 * MAX_BYTES)[0] == 1  # never nothing
    assert show_examples([], None, None) == ([], {"queries": {}, "generated": []})
