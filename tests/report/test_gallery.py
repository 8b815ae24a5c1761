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


def random_tries(count):
    """A random try of each of the first queries."""
    return table(8, 0).head(count).assign(kind="latent")


def chosen(hits, misses, examples, drawn=8):
    entries = choose_entries({"latent": table(hits, misses)}, random_tries(drawn), ["a", "b"], examples)
    return {
        group: [int(entry.query[2:5]) for entry in entries if entry.group == group]
        for group in ("best", "typical", "failed")
    }


def test_chooses_the_best_typical_ones_and_the_farthest():
    assert chosen(24, 5, 3) == {"best": [23, 22, 21], "typical": [0, 4, 7], "failed": [28, 27, 26]}


def test_typical_ones_are_random_tries_whatever_they_give():
    drawn = random_tries(2).assign(predicted=["a", "b"], p_target=[0.01, 0.8])
    drawn["try"] = 0
    best = table(24, 0).assign(**{"try": 3})
    other = drawn.assign(kind="reference", query=["a/100.png", "a/101.png"])
    entries = choose_entries({"latent": best}, pd.concat([drawn, other]), ["a", "b"], 3)
    typical = [entry for entry in entries if entry.group == "typical"]
    assert [(entry.query, entry.predicted, entry.p_target) for entry in typical] == [
        ("a/000.png", "a", 0.01),
        ("a/001.png", "b", 0.8),
    ]
    assert {entry.try_number for entry in typical} == {0}
    assert {entry.try_number for entry in entries if entry.group == "best"} == {3}


def test_few_or_no_examples():
    assert chosen(1, 0, 4, drawn=0) == {"best": [0], "typical": [], "failed": []}
    assert chosen(3, 3, 0) == {"best": [], "typical": [], "failed": []}


def test_pictures_over_the_limit_are_left_out_then_made_smaller():
    entries = choose_entries({"latent": table(9, 9)}, random_tries(8), ["a", "b"], 3)
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
