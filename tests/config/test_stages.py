"""Which key files change with which setting: what runs again is decided by this."""

import pytest
from helpers.builders import tiny_config

from quac.config.stages import stage_settings

STAGES = ["index_train", "index_test", "checks", "store_train", "store_validation", "store_test", "classifier", "check"]
STAGES += ["train", "schedule_2", "schedule_10", "conversion_validation", "conversion_test", "select"]
STAGES += ["styles_validation", "styles_test"]
CONVERSION = {"conversion_validation", "conversion_test"}
CONVERTING = {*CONVERSION, "styles_validation", "styles_test"}
STORES = {"store_train", "store_validation", "store_test"}


def changed(**sections):
    before, after = tiny_config(), tiny_config(**sections)
    return {stage for stage in STAGES if stage_settings(before, stage) != stage_settings(after, stage)}


@pytest.mark.parametrize(
    ("sections", "stages"),
    [
        ({"loss": {"lambda_cyc": 2}}, {"train"}),
        ({"solver": {"lr": 1e-5}}, {"train"}),
        ({"solver": {"precision": "bf16"}}, {"train"}),
        ({"loss": {"lambda_cls": 1}}, {"train"}),
        ({"data": {"batch_size": 5}}, {"train"}),
        ({"data": {"augment": {"hflip": 0.5}}}, {"train", "classifier"}),
        ({"data": {"rand_crop_prob": 0.5}}, {"train", "classifier"}),
        ({"data": {"sampling": "natural"}}, {"train"}),
        ({"data": {"sampling": {"a": 1, "b": 2}}}, {"train", "checks"}),
        ({"data": {"preprocess": "crop"}}, {"checks", *STORES, "train"}),
        ({"data": {"load_size": 32}}, set()),  # the default
        ({"validation_data": {"preprocess": "none"}}, {"checks", "store_validation"}),
        ({"data": {"range": [0, 4095]}}, {"index_train", "index_test", *STORES, "train"}),
        ({"data": {"layout": "class_first"}}, {"index_train", "index_test"}),
        ({"checks": {"severity": {"blank": "error"}}}, {"checks"}),
        ({"run": {"save_every": 3}}, {"schedule_2", "schedule_10", "select"}),
        ({"run": {"save_from": 3}}, {"schedule_2", "schedule_10", "select"}),
        ({"run": {"save_from": 0}}, set()),
        ({"run": {"total_iters": 9}}, {"schedule_10", "select"}),
        ({"run": {"seed": 1}}, {"train", "classifier", *CONVERTING}),
        ({"model": {"conv_dim": 5}}, {"train", *CONVERTING}),
        ({"model": {"num_domains": 2}}, {"checks"}),
        ({"data": {"img_size": 64}}, {"checks", *STORES, "train", "classifier", "check", *CONVERTING}),
        ({"data": {"grayscale": False}}, {*STORES, "train", "classifier", "check", *CONVERTING}),
        ({"data": {"source": "elsewhere"}}, {"index_train"}),
        ({"test_data": {"source": "elsewhere"}}, {"index_test"}),
        ({"data": {"classes": ["b", "a"]}}, {"index_train", "index_test"}),
        ({"validation_config": {"num_outs_per_domain": 3}}, CONVERSION),
        ({"validation_config": {"min_accuracy": 0.5}}, {"check"}),
        ({"validation_config": {"scale": 0.5}}, {"classifier", "check", *CONVERTING}),
        ({"test_data": {"reference": "data/test"}}, {"conversion_test", "styles_test"}),
        ({"classifier": {"epochs": 3}}, {"classifier"}),
        ({"classifier": {"backbone": "resnet18"}}, {"classifier"}),
    ],
)
def test_a_setting_changes_the_keys_of_the_stages_that_depend_on_it(sections, stages):
    assert changed(**sections) == stages


@pytest.mark.parametrize(
    "sections",
    [
        {
            "run": {"accumulate": 2, "state_minutes": 1, "keep_states": 5},
            "solver": {"channels_last": "never", "compile": "never"},
        },
        {"run": {"log_every": 7, "eval_every": 7, "state_every": 7, "segment_iters": 7, "threads": 2, "device": "cpu"}},
        {"log": {"notes": "x", "mode": "offline", "level": 2}, "log_type": "none"},
        {"data": {"num_workers": 2, "device_cache": "never"}},
        {"report": {"examples": 9, "title": "x"}},
    ],
)
def test_how_a_stage_is_carried_out_changes_no_key(sections):
    assert changed(**sections) == set()
    assert stage_settings(tiny_config(**sections), "config") != stage_settings(tiny_config(), "config")


def test_masks_are_in_the_keys_of_what_converts_and_only_where_they_are_used():
    """Without them the keys are what they were before there were masks: no conversion of an older run is done again."""
    converting = {
        "score",
        *(f"{stage}_{split}" for stage in ("conversion", "styles") for split in ("validation", "test")),
    }
    keys = {stage: stage_settings(tiny_config(), stage) for stage in {*STAGES, *converting}}
    assert not any("mask" in key for key in keys.values())
    assert all(keys[stage] == stage_settings(tiny_config(conversion={"mask_edge": 3}), stage) for stage in keys)
    pasted = {stage: stage_settings(tiny_config(conversion={"mask": "paste"}), stage) for stage in keys}
    assert {stage for stage in keys if pasted[stage] != keys[stage]} == converting
    soft = {stage: stage_settings(tiny_config(conversion={"mask": "paste", "mask_edge": 3}), stage) for stage in keys}
    assert {stage for stage in keys if pasted[stage] != soft[stage]} == converting
