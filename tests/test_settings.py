"""Which key files change with which setting: what runs again is decided by this."""

import pytest
from builders import tiny_config

from quac.settings import stage_settings

STAGES = ["index_train", "index_test", "checks", "store", "classifier", "check", "train", "schedule_2", "schedule_10"]
STAGES += ["conversion_validation", "conversion_test", "select"]
CONVERSION = {"conversion_validation", "conversion_test"}


def changed(**sections):
    before, after = tiny_config(), tiny_config(**sections)
    return {stage for stage in STAGES if stage_settings(before, stage) != stage_settings(after, stage)}


@pytest.mark.parametrize(
    ("sections", "stages"),
    [
        ({"loss": {"lambda_cyc": 2}}, {"train"}),
        ({"solver": {"lr": 1e-5}}, {"train"}),
        ({"data": {"batch_size": 5}}, {"train"}),
        ({"data": {"augment": {"hflip": 0.5}}}, {"train"}),
        ({"data": {"rand_crop_prob": 0.5}}, {"train"}),
        ({"data": {"sampling": "natural"}}, {"train"}),
        ({"data": {"range": [0, 4095]}}, {"index_train", "index_test", "store", "train"}),
        ({"data": {"layout": "class_first"}}, {"index_train", "index_test"}),
        ({"checks": {"severity": {"blank": "error"}}}, {"checks"}),
        ({"run": {"save_every": 3}}, {"schedule_2", "schedule_10", "select"}),
        ({"run": {"total_iters": 9}}, {"schedule_10", "select"}),
        ({"run": {"seed": 1}}, {"train", "classifier", *CONVERSION}),
        ({"model": {"conv_dim": 5}}, {"train", *CONVERSION}),
        ({"model": {"num_domains": 2}}, {"checks"}),
        ({"data": {"img_size": 64}}, {"checks", "store", "train", "classifier", "check", *CONVERSION}),
        ({"data": {"grayscale": False}}, {"store", "train", "check", *CONVERSION}),
        ({"data": {"source": "elsewhere"}}, {"index_train"}),
        ({"test_data": {"source": "elsewhere"}}, {"index_test"}),
        ({"data": {"classes": ["b", "a"]}}, {"index_train", "index_test"}),
        ({"validation_config": {"num_outs_per_domain": 3}}, CONVERSION),
        ({"validation_config": {"min_accuracy": 0.5}}, {"check"}),
        ({"validation_config": {"scale": 0.5}}, {"classifier", "check", *CONVERSION}),
        ({"test_data": {"reference": "data/test"}}, {"conversion_test"}),
        ({"classifier": {"epochs": 3}}, {"classifier"}),
    ],
)
def test_a_setting_changes_the_keys_of_the_stages_that_depend_on_it(sections, stages):
    assert changed(**sections) == stages


@pytest.mark.parametrize(
    "sections",
    [
        {"run": {"log_every": 7, "state_every": 7, "segment_iters": 7, "threads": 2, "device": "cpu"}},
        {"log": {"notes": "x", "mode": "offline"}, "log_type": "none"},
        {"data": {"num_workers": 2, "device_cache": "never"}},
        {"report": {"examples": 9, "title": "x"}},
    ],
)
def test_how_a_stage_is_carried_out_changes_no_key(sections):
    assert changed(**sections) == set()
    assert stage_settings(tiny_config(**sections), "config") != stage_settings(tiny_config(), "config")
