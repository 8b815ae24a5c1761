from types import SimpleNamespace

from helpers.report_facts import report_of

from quac.report.run_files import RunFiles


def test_the_gallery_has_the_probabilities_before_and_after(finished):
    for entry in report_of(finished).gallery.entries:
        assert 0 <= entry.query_p_target <= 1
        assert entry.group == "failed" or entry.predicted == entry.target


def test_sample_grids_of_later_steps_are_left_out(tmp_path):
    for step in (1, 2, 3, 4, 5, 6, 9):
        (tmp_path / f"{step:06d}.png").touch()
    run = SimpleNamespace(inputs={"samples": str(tmp_path)})
    assert list(RunFiles.sample_grids(run, end=6)) == [1, 2, 3, 4, 5, 6]
    run.inputs["samples"] = "nowhere"
    assert RunFiles.sample_grids(run, end=6) == {}


def test_data_are_shown_by_samples(finished):
    data = report_of(finished).data
    assert {name: len(paths) for name, paths in data.samples.items()} == {"across": 8, "along": 8}
    assert data.splits["test"].bits == {"8": 8}
    assert [rule.fact for rule in data.one_fact_rules] == [
        "mean intensity",
        "width",
        "height",
        "bit depth",
        "bytes a pixel",
    ]
    assert {rule.images for rule in data.one_fact_rules} == {24}
    assert {rule.accuracy for rule in data.one_fact_rules if rule.fact != "mean intensity"} >= {0.5}
