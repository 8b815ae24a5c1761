from helpers.report_facts import facts_of

from quac.report.build import _sample_grids


def test_the_gallery_has_the_probabilities_before_and_after(finished):
    for entry in facts_of(finished)["gallery"]["entries"]:
        assert 0 <= entry["query_p_target"] <= 1
        assert entry["group"] == "failed" or entry["predicted"] == entry["target"]


def test_grids_of_steps_that_were_trained_later_are_left_out(tmp_path):
    (tmp_path / "samples").mkdir()
    for step in (1, 2, 3, 4, 5, 6, 9):
        (tmp_path / f"samples/{step:06d}.png").touch()
    marker = {"end": 6, "checkpoints": {"6": {"file": str(tmp_path / "000006_nets_ema.ckpt")}}}
    assert list(_sample_grids(marker)) == [1, 3, 4, 6]
    marker["checkpoints"]["6"]["file"] = "nowhere/x.ckpt"
    assert _sample_grids(marker) == {}


def test_data_are_shown_by_samples(finished):
    data = facts_of(finished)["data"]
    assert {name: len(paths) for name, paths in data["samples"].items()} == {"across": 8, "along": 8}
    assert data["splits"]["test"]["bits"] == {"8": 8}
