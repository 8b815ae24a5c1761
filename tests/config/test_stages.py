"""Which key files change with which setting: this decides what runs again."""

import ast
import json
from pathlib import Path

import pytest
from helpers.config_builders import tiny_config

from quac.config import Config
from quac.config.keys import _covers, _leaves, changed_settings, key_text, read_key, restricted
from quac.config.section import key
from quac.config.stages import STAGES, StageJob, job_named, stage_jobs
from quac.config.training import Loss, Ramp
from quac.system.errors import QuacError

CONVERT = {"convert_validation", "convert_test"}
CONTROLS = {"controls_validation", "controls_test"}
CONVERTING = {*CONVERT, *CONTROLS, "style_grids_validation", "style_grids_test", "score"}
FITTED = {"classifier", "oracle"}
EXPLAIN = {"explain_validation", "explain_test"}
STORES = {"store_train", "store_validation", "store_test"}
NO_SOURCE = {"source": None}
SPLIT_MADE = {"split": {"source": "a"}, "data": NO_SOURCE, "validation_data": NO_SOURCE, "test_data": NO_SOURCE}
INDEXES = {"index_train", "index_validation", "index_test"}


def keys_of(config):
    return {str(job): changed_settings(config, job) for job in stage_jobs(config) if job.name != "config"}


def changed(**sections):
    before, after = keys_of(tiny_config()), keys_of(tiny_config(**sections))
    return {stage for stage in before.keys() | after.keys() if before.get(stage) != after.get(stage)}


@pytest.mark.parametrize(
    ("sections", "stages"),
    [
        ({"loss": {"lambda_cyc": 2}}, {"train"}),
        ({"solver": {"lr": 1e-5}}, {"train"}),
        ({"solver": {"precision": "bf16"}}, {"train"}),
        ({"loss": {"lambda_cls": 1}}, {"train"}),
        ({"data": {"batch_size": 5}}, {"train"}),
        ({"data": {"augment": {"hflip": 0.5}}}, {"train", *FITTED}),
        ({"data": {"rand_crop_prob": 0.5}}, {*STORES, "train", *FITTED}),
        ({"data": {"sampling": "natural"}}, {"train", "checks"}),
        ({"data": {"sampling": {"a": 1, "b": 2}}}, {"train", "checks"}),
        ({"data": {"preprocess": "crop"}}, {"checks", *STORES, "train"}),
        ({"data": {"load_size": 32}}, set()),  # the default
        ({"validation_data": {"preprocess": "none"}}, {"checks", "store_validation"}),
        ({"data": {"range": [0, 4095]}}, {*INDEXES, *STORES, "checks", "train"}),
        ({"data": {"layout": "class_first"}}, INDEXES),
        ({"checks": {"severity": {"blank": "error"}}}, {"checks"}),
        ({"run": {"save_every": 3}}, {"save_plan", "select"}),
        ({"run": {"save_from": 3}}, {"save_plan", "select"}),
        ({"run": {"save_from": 0}}, set()),
        ({"run": {"total_iters": 9}}, {"save_plan", "select"}),
        ({"run": {"seed": 1}}, {"train", *FITTED, *CONVERTING, *EXPLAIN}),
        ({"model": {"conv_dim": 5}}, {"train"}),
        ({"model": {"num_domains": 2}}, {"checks"}),
        ({"data": {"img_size": 64}}, {"checks", *STORES, "train", *FITTED, "check", *CONVERTING, *EXPLAIN}),
        ({"data": {"grayscale": False}}, {*STORES, "train", *FITTED, "check", *CONVERTING, *EXPLAIN}),
        ({"data": {"source": "elsewhere"}}, {"index_train"}),
        ({"test_data": {"source": "elsewhere"}}, {"index_test"}),
        ({"data": {"classes": ["b", "a"]}}, INDEXES),
        ({"validation_config": {"num_outs_per_domain": 3}}, {*CONVERT, "score"}),
        ({"validation_config": {"min_accuracy": 0.5}}, {"check"}),
        ({"validation_config": {"scale": 0.5}}, {"classifier", "check", *CONVERTING, *EXPLAIN}),
        ({"test_data": {"reference": "data/test"}}, {"convert_test", "style_grids_test"}),
        ({"explanation": {"methods": ["residual"]}}, EXPLAIN),
        ({"attribution": {"attributions": ["DInGrad"]}}, EXPLAIN),
        ({"report": {"explorer_mb": 5}}, {"explorer"}),
        ({"classifier": {"epochs": 3}}, {*FITTED}),
        ({"classifier": {"backbone": "resnet18"}}, {"classifier"}),
        ({"oracles": {"strict": "c.pt"}}, {"oracle", "check", *CONVERT, *CONTROLS, *EXPLAIN}),
        ({"oracles": "none"}, {"oracle", "check", *CONVERT, *CONTROLS, *EXPLAIN}),
    ],
)
def test_a_setting_changes_the_keys_of_the_stages_that_depend_on_it(sections, stages):
    assert changed(**sections) == stages


@pytest.mark.parametrize(
    "sections",
    [
        {"run": {"accumulate": 2, "state_minutes": 1, "keep_states": 5}, "solver": {"compile": "never"}},
        {"run": {"log_every": 7, "eval_every": 7, "state_every": 7, "threads": 2, "device": "cpu"}},
        {"log": {"notes": "x", "mode": "offline", "level": 2}, "log_type": "none"},
        {"data": {"num_workers": 0, "device_cache": "never"}},
        {"report": {"examples": 9, "title": "x"}},
    ],
)
def test_how_a_stage_is_carried_out_changes_no_key(sections):
    assert changed(**sections) == set()
    job = StageJob("config")
    assert changed_settings(tiny_config(**sections), job) != changed_settings(tiny_config(), job)


def test_mask_settings_are_in_the_keys_of_what_converts_if_masks_are_used():
    keys, edge = keys_of(tiny_config()), {"mask_edge": 3}
    assert not any("mask" in setting for stage in keys.values() for setting in stage)
    assert changed(conversion=edge) == set()
    assert changed(conversion={"mask": "paste"}) == {*CONVERTING, *EXPLAIN}
    pasted, soft = (keys_of(tiny_config(conversion={"mask": "paste", **more})) for more in ({}, edge))
    assert {stage for stage in keys if pasted[stage] != soft[stage]} == {*CONVERTING, *EXPLAIN}


def test_oracles_are_no_input_of_training_selection_and_the_classifier():
    """Whatever they are, none of these runs again for them."""
    strict = {"strict": {"classifier_checkpoint": "c.pt", "scale": -1.0}}
    for oracles in ("none", {"strict": "c.pt"}, strict):
        assert not changed(oracles=oracles) & {"train", "save_plan", "select", "score", "classifier"}
        assert changed(oracles=oracles) >= {"check", *CONVERT}
    own = {"classifier_checkpoint": "mine.pt"}
    assert "oracle" in keys_of(tiny_config(validation_config=own))  # also with a classifier of the user's
    assert keys_of(tiny_config(oracles="none"))["check"]["oracles"] == "none"
    for oracles in ("auto", "none"):
        settings = changed_settings(tiny_config(oracles=oracles), StageJob("check"))
        assert restricted(StageJob("check"), settings).oracles == oracles


def with_value(section, path, value):
    """A copy of a section with another value, not validated."""
    copy, (name, *rest) = section.model_copy(), path
    field = next(own for own, field in type(section).model_fields.items() if (field.alias or own) == name)
    copy.__dict__[field] = with_value(getattr(section, field), rest, value) if rest else value
    return copy


OTHER = {"conversion.mask": "paste", "loss.lambda_cls": 1.0, "loss.ramps": {"cyc": Ramp(end_step=2, end=1)}}
EVERY_KEY = [leaf for leaf, *_ in _leaves(tiny_config(**SPLIT_MADE)) if not leaf.endswith("?")]


@pytest.mark.parametrize("leaf", EVERY_KEY)
def test_every_key_of_the_schema_changes_exactly_the_stages_that_list_it(leaf):
    before = tiny_config(**SPLIT_MADE)
    after = with_value(before, leaf.split("."), OTHER.get(leaf, "another value"))
    listed, found = set(), set()
    for job in stage_jobs(before):
        if changed_settings(before, job) != changed_settings(after, job):
            found.add(str(job))
        if any(_covers(read, leaf) for read in (*job.reads(before), *job.reads(after))):
            listed.add(str(job))
    assert found == listed
    assert "config" in found


def test_a_new_option_at_its_default_changes_no_key():
    class LossWithNew(Loss):
        lambda_new: float = key(0.5, "A term of a later version.")

    config = tiny_config()
    job = StageJob("train")
    newer = config.model_copy(update={"loss": LossWithNew(**config.loss.model_dump())})
    assert changed_settings(newer, job) == changed_settings(config, job)
    newer = config.model_copy(update={"loss": LossWithNew(**config.loss.model_dump(), lambda_new=1)})
    assert changed_settings(newer, job) == {**changed_settings(config, job), "loss.lambda_new": 1.0}


@pytest.mark.parametrize("name", [str(job) for job in stage_jobs(tiny_config(**SPLIT_MADE))])
def test_a_key_file_gives_back_the_settings_of_its_stage(tmp_path, name):
    config = tiny_config(
        split={"source": "a"},
        data={"source": None, "augment": {"hflip": 0.5}, "range": [0, 4095], "sampling": {"a": 1, "b": 2}},
        validation_data={"source": None},
        test_data={"source": None, "reference": "test"},
        oracles={"strict": {"classifier_checkpoint": "c.pt", "scale": [1.0, 2.0]}},
        loss={"lambda_cls": 1, "ramps": {"cyc": {"end_step": 5, "end": 2}}},
        conversion={"mask": "paste", "mask_edge": 3},
        checks={"severity": {"blank": "error"}},
        init={"from": "x.ckpt", "classes": ["a"]},
    )
    job = job_named(name)
    (tmp_path / "key.json").write_text(key_text(config, job, {}))
    found = read_key(tmp_path / "key.json")
    values = {leaf: value for leaf, value, _ in _leaves(config)}
    read = [leaf for leaf in values if not leaf.endswith("?") and any(_covers(key, leaf) for key in job.reads(config))]
    for leaf in read:
        section = found
        expected = config
        for part in leaf.split("."):
            attribute = "checkpoint" if part == "from" else part
            section, expected = (s[part] if isinstance(s, dict) else getattr(s, attribute) for s in (section, expected))
        assert section == expected, leaf


def test_a_stage_cannot_read_a_key_that_it_does_not_list():
    config = tiny_config()
    job = StageJob("train")
    found = restricted(job, changed_settings(config, job))
    assert found.loss == config.loss
    assert found.solver.lr == config.solver.lr
    for read in (
        lambda: found.solver.root_dir,
        lambda: found.run.total_iters,
        lambda: found.model.num_domains,
        lambda: found.validation_config,
        lambda: found.init.checkpoint,
        lambda: found.report,
    ):
        with pytest.raises(AttributeError):
            read()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stage": "train"}', '{"stage": "no", "settings": {}}', "\0"])
def test_a_damaged_key_file_is_named(tmp_path, text):
    (tmp_path / "key.json").write_text(text)
    with pytest.raises(QuacError, match=r"key\.json: not a key file"):
        read_key(tmp_path / "key.json")


def test_every_key_that_a_stage_lists_exists():
    config = tiny_config(oracles={"strict": "c.pt"}, conversion={"mask": "paste"}, loss={"lambda_cls": 1})
    leaves = [leaf for leaf, *_ in _leaves(config)]
    for job in stage_jobs(config):
        for read in (*job.reads(config), *job.files(config)):
            if not read.startswith("split"):
                assert any(_covers(read, leaf) or read == leaf for leaf in leaves), (str(job), read)


RECORD = Path(__file__).with_name("stage_defaults.json")


def defaults():
    """{stage: its version, and the default of every key that it reads}."""
    config = tiny_config(**SPLIT_MADE, conversion={"mask": "paste"}, loss={"lambda_cls": 1})
    return {
        str(job): {
            "version": job.stage.version,
            "defaults": {
                leaf: default
                for leaf, _, default in _leaves(config)
                if any(_covers(read, leaf) for read in job.reads(config))
            },
        }
        for job in stage_jobs(config)
        if job.name != "config"
    }


def test_a_default_does_not_change_without_a_new_version():
    """A default is not in the keys: with another one old results would pass for current.

    Raise the `version` of the stages in quac/config/stages.py, then run this file as a program to record.
    """
    recorded, current = json.loads(RECORD.read_text()), json.loads(json.dumps(defaults()))
    for stage, now in current.items():
        before = recorded.get(stage, {"version": 0, "defaults": {}})
        different = {
            leaf
            for leaf, value in before["defaults"].items()
            if leaf in now["defaults"] and now["defaults"][leaf] != value
        }
        assert not different or now["version"] > before["version"], (stage, different)
    assert recorded == current, "new keys or versions: record them by running this file as a program"


def test_no_hasattr_and_no_getattr_default_on_a_config():
    """`hasattr`, or `getattr` with a default, would take a key that a stage does not list for one that is not set."""
    found = []
    for path in Path(__file__).parents[2].glob("quac/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                asks = node.func.id == "hasattr" or (node.func.id == "getattr" and len(node.args) == 3)
                names = {part.id for part in ast.walk(node.args[0]) if isinstance(part, ast.Name)}
                names |= {part.attr for part in ast.walk(node.args[0]) if isinstance(part, ast.Attribute)}
                if asks and names & {"config", "settings", "options", *Config.model_fields}:
                    found.append(f"{path}:{node.lineno}")
    assert found == []


def test_stages_are_named_apart_from_splits():
    assert {job_named(str(job)) for job in stage_jobs(tiny_config())} == set(stage_jobs(tiny_config()))
    assert all(name.rpartition("_")[2] not in ("train", "validation", "test") or name == "train" for name in STAGES)


if __name__ == "__main__":
    RECORD.write_text(json.dumps(defaults(), indent=1) + "\n")
