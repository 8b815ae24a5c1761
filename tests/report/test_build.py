from facts import facts_of


def test_the_gallery_has_the_probabilities_before_and_after(finished):
    for entry in facts_of(finished)["gallery"]["entries"]:
        assert 0 <= entry["query_p_target"] <= 1
        assert entry["group"] == "failed" or entry["predicted"] == entry["target"]
