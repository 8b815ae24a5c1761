from helpers.builders import tiny_config

from quac.report.config_diff import changed_settings


def test_only_what_was_changed_is_listed():
    before, after = (dict(changed_settings(config)) for config in (tiny_config(), tiny_config(loss={"lambda_sty": 2})))
    assert before["model.conv_dim"] == 4
    assert before["solver.root_dir"] == "results/tiny"  # has no default
    assert before["test_data.source"] == "data/test"
    assert not [name for name in before if name.startswith("loss")]
    assert after == {**before, "loss.lambda_sty": 2.0}
