import pytest
import yaml
from helpers.builders import ROOT, tiny_config

from quac.config.choices import SEVERITIES
from quac.config.resolve import resolve
from quac.system.errors import QuacError

# The keys of QuAC's example_experiment/config.yaml (funkelab/quac at 9ef0f04), paths filled in.
QUAC_EXAMPLE = """
data: {source: in/train, img_size: 128, batch_size: 16, num_workers: 12, mean: 0.5, std: 0.5, grayscale: true}
validation_data: {source: in/val, img_size: 128, batch_size: 16, num_workers: 12, mean: 0.5, std: 0.5, grayscale: true}
model: {img_size: 128, style_dim: 64, latent_dim: 16, num_domains: 3, input_dim: 1, final_activation: "tanh"}
solver: {root_dir: out}
validation_config: {classifier_checkpoint: classifier.pt, val_batch_size: 16}
log:
  log_dir: tutorial_logs
  project: quac_example_project
  name: name_of_your_run
  notes: Stargan training on my dataset
  tags: [stargan, training]
run: {log_every: 1000, total_iters: 5000, save_every: 1000, eval_every: 1000}
"""


def raw(**sections):
    return {
        "data": {"source": "a"},
        "validation_data": {"source": "b"},
        "solver": {"root_dir": "r"},
        **sections,
    }


def fault(config):
    with pytest.raises(QuacError) as error:
        resolve(config)
    return str(error.value)


def test_quac_example_runs_as_it_is():
    config = resolve(yaml.safe_load(QUAC_EXAMPLE))
    assert (config.data.scale, config.data.shift) == (2, -1)
    assert (config.data.grayscale, config.data.rgb, config.model.input_dim) == (True, False, 1)
    assert config.model.conv_dim == 2**14 // 128
    assert config.steps == [1000, 2000, 3000, 4000, 5000]


def test_every_key_of_quac_is_accepted():
    config = yaml.safe_load(QUAC_EXAMPLE)
    config["data"] |= {"rand_crop_prob": 0.5, "reference": "in/train", "rgb": False}
    config["validation_data"] |= {"reference": "in/val"}
    config["solver"] |= {"lr": 1e-4, "f_lr": 1e-6, "beta1": 0.0, "beta2": 0.99, "weight_decay": 1e-4}
    config["validation_config"] |= {"do_nothing": True, "img_size": 128, "num_outs_per_domain": 10, "scale": 1}
    config["run"] |= {"resume_iter": 0}
    config["loss"] = {"lambda_reg": 1, "lambda_sty": 1, "lambda_cyc": 1, "ds_iter": 100000}
    config["log_type"] = "tensorboard"
    config["log"] |= {"comment": "x"}
    config["attribution"] = {"attributions": ["DIntegratedGradients"]}
    assert resolve(config).validation_data.reference == "validation"


def test_resolving_again_changes_nothing():
    config = tiny_config()
    assert resolve(config.model_dump()) == config


def test_the_demo_is_valid():
    assert resolve(yaml.safe_load((ROOT / "config/config.yaml").read_text())).run_name == "digits"


def test_splits_take_omitted_keys_from_the_training_split():
    config = resolve(raw(data={"source": "a", "img_size": 64, "grayscale": True, "batch_size": 3}))
    assert (config.validation_data.img_size, config.validation_data.grayscale) == (64, True)
    assert (config.model.img_size, config.model.input_dim, config.validation_config.img_size) == (64, 1, 64)
    assert config.test_data is None
    assert list(config.splits) == ["train", "validation"]


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"loss": {"lambda_cycle": 2}}, "loss.lambda_cycle: unknown key; did you mean loss.lambda_cyc?"),
        ({"loss": {"lr": 2}}, "loss.lr: unknown key; did you mean solver.lr?"),
        ({"modell": {}}, "modell: unknown key; did you mean model?"),
        ({"solver": {}}, "solver.root_dir: missing"),
        ({"run": {"total_iters": 0}}, "run.total_iters: input should be greater than or equal to 1 (given: 0)"),
        ({"data": {"source": "a", "img_size": 100}}, "the nearest are 64 and 128"),
        ({"data": {"source": "a", "img_size": 16}}, "the nearest are 32 and 64"),
        ({"data": {"source": "a", "grayscale": True, "rgb": True}}, "data: grayscale and rgb are both true"),
        ({"validation_data": {"source": "b", "img_size": 64}}, "img_size is 64, but 128 in data"),
        ({"model": {"img_size": 64}}, "model.img_size: is 64, but the data has 128"),
        ({"model": {"input_dim": 1}}, "model.input_dim: is 1, but the data has 3"),
        ({"model": {"final_activation": "sigmoid"}}, "put the images into [-1, 1]"),
        ({"data": {"source": "a", "mean": 0.5, "std": 0.5, "scale": 1.0}}, "mean and std contradict scale"),
        ({"validation_config": {"do_nothing": True, "scale": 0.5}}, "do_nothing: true means scale 1 and shift 0"),
        ({"validation_data": {"source": "b", "reference": "c"}}, "c is neither a split nor the source of one"),
        (
            {"loss": {"ramps": {"cyc": {"start_step": 9, "start": 1, "end_step": 9, "end": 2}}}},
            "loss.ramps.cyc.end_step: must be above start_step (9)",
        ),
        ({"loss": {"ramps": {"cycle": {"end_step": 9, "end": 2}}}}, "loss.ramps.cycle"),
        ({"classifier": {"backbone": "resnet19"}}, "classifier.backbone: input should be 'small', 'resnet18'"),
        ({"classifier": {"weights": "x.pt"}}, "classifier.weights: belong to a network of torchvision; name it in"),
        (
            {"classifier": {"backbone": "resnet18"}, "validation_config": {"img_size": 28}},
            "validation_config.img_size: 28 is too small for resnet18: at least 32",
        ),
        ({"init": {"freeze_d": 1}}, "init.freeze_d: needs a trained discriminator; give init.from"),
        ({"init": {"form": "x"}}, "init.form: unknown key; did you mean init.from?"),
        ({"data": {"source": "a", "reference": "b"}}, "training draws its references from data.source"),
        ({"data": {"source": "a", "classes": ["x", "x"]}}, "data.classes: must name at least two classes, each once"),
        (
            {"data": {"source": "a", "classes": ["x", "y"]}, "model": {"num_domains": 3}},
            "model.num_domains: is 3, but data.classes names 2",
        ),
    ],
)
def test_faults_name_the_key_and_the_remedy(sections, expected):
    assert expected in fault(raw(**sections))


SPLIT = {"source": "all", "train": 0.8, "validation": 0.2, "test": 0}


def test_oracles_are_one_by_default_several_or_none():
    assert resolve(raw()).oracles == "auto"
    assert resolve(raw(oracles="none")).oracles == "none"
    config = resolve(raw(oracles={"strict": "c.pt", "large": {"classifier_checkpoint": "d.pt", "img_size": 224}}))
    assert {name: (oracle.classifier_checkpoint, oracle.img_size) for name, oracle in config.oracles.items()} == {
        "strict": ("c.pt", 128),
        "large": ("d.pt", 224),
    }
    assert resolve(config.model_dump()) == config


@pytest.mark.parametrize(
    ("sections", "faults"),
    [
        ({"judges": {"strict": "c.pt"}}, ["judges: renamed; call it oracles. It has the same entries."]),
        ({"oracles": "c.pt"}, ["oracles: must be auto, none, or {name: file or section} (given: 'c.pt')"]),
        ({"oracles": {"a b": "c.pt"}}, ["oracles.a b: string should match pattern '^[\\w-]+$' (given: 'a b')"]),
        ({"oracles": {"a": {"scale": 2.0}}}, ["oracles.a.classifier_checkpoint: missing; it has no default"]),
    ],
)
def test_faults_of_oracles_are_named_once(sections, faults):
    assert fault(raw(**sections)).splitlines()[1:] == [f"  {text}" for text in faults]


def test_a_split_maker_names_the_sources():
    config = resolve({"split": {"source": "all"}, "solver": {"root_dir": "r"}})
    assert [section.source for section in config.splits.values()] == [
        f"r/data/split/{split}.csv" for split in ("train", "validation", "test")
    ]
    assert resolve(config.model_dump()) == config
    assert list(resolve({"split": SPLIT, "solver": {"root_dir": "r"}}).splits) == ["train", "validation"]


def test_folders_with_weights_are_a_source():
    sources = {"cat": [{"path": "a", "weight": 4}, {"path": "b"}], "dog": [{"path": "c"}]}
    config = resolve(raw(data={"sources": sources}))
    assert config.data.origin["cat"] == [{"path": "a", "weight": 4.0}, {"path": "b", "weight": 1.0}]
    assert resolve(config.model_dump()) == config


def test_classes_may_be_called_by_numbers():
    assert resolve(raw(data={"source": "a", "classes": [3, 5], "sampling": {3: 1, 5: 2}})).data.classes == ["3", "5"]
    assert "3" in resolve(raw(data={"sources": {3: [{"path": "a"}]}})).data.origin


def test_rand_crop_prob_of_quac_becomes_crop_probability():
    config = resolve(raw(data={"source": "a", "rand_crop_prob": 0.5}))
    assert (config.data.augment.crop_probability, config.data.rand_crop_prob) == (0.5, None)


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"data": {}}, "data.source: missing; it has no default: give source, or sources, or a section `split`"),
        ({"data": {"source": "a", "sources": {"x": [{"path": "y"}]}}}, "data.source: given, and sources as well"),
        ({"data": {"source": "a", "range": [5, 5]}}, "data.range: the lowest value comes first"),
        ({"data": {"source": "a", "background": [0, 0, 256]}}, "data.background.2: input should be less than or equal"),
        ({"data": {"source": "a", "classes": ["x", "y"], "sampling": {"x": 1}}}, "data.sampling: give a weight for"),
        ({"data": {"source": "a", "sampling": {"x": 0}}}, "data.sampling: at least one class needs a weight above 0"),
        ({"data": {"source": "a", "sampling": "even"}}, "data.sampling: must be balanced, natural, or {class: weight}"),
        ({"data": {"source": ""}}, "data.source: missing"),
        ({"data": {"sources": {}}}, "data.source: missing"),
        ({"data": {"source": "a", "preprocess": "scale"}}, "data.preprocess: input should be 'resize', 'scale_width'"),
        ({"data": {"source": "a", "preprocess": "none"}}, "training needs squares of data.img_size; choose crop"),
        ({"data": {"source": "a", "preprocess": "scale_width"}}, "choose scale_width_and_crop"),
        ({"data": {"source": "a", "preprocess": "crop", "load_size": 256}}, "data.load_size: crop does not scale"),
        ({"data": {"source": "a", "load_size": 256}}, "data.load_size: resize scales to data.img_size"),
        ({"data": {"source": "a", "preprocess": "resize_and_crop"}}, "data.load_size: missing"),
        (
            {"data": {"source": "a", "preprocess": "resize_and_crop", "load_size": 64}},
            "data.load_size: 64 is smaller than the crop, data.img_size (128)",
        ),
        (
            {"validation_data": {"source": "b", "preprocess": "resize_and_crop", "load_size": 64}},
            "validation_data.load_size: 64 is smaller than the crop",
        ),
        (
            {"validation_data": {"source": "b", "preprocess": "none", "load_size": 64}},
            "validation_data.load_size: none does not scale; leave it out",
        ),
        (
            {"data": {"source": "a", "rand_crop_prob": 0.5, "augment": {"crop_probability": 0.4}}},
            "data.rand_crop_prob: sets the same as data.augment.crop_probability",
        ),
        ({"data": {}, "validation_data": {}, "split": SPLIT | {"group_by": "("}}, "split.group_by: ( is not a regular"),
        ({"checks": {"severity": {"blnk": "ignore"}}}, "checks.severity: blnk: unknown; the findings are one-class"),
        ({"split": SPLIT}, "data.source: given, but the section `split` makes the splits"),
        (
            {"data": {}, "validation_data": {}, "split": SPLIT | {"train": 0.7}},
            "(train 0.7, validation 0.2, test 0) must add up to 1",
        ),
        (
            {"data": {}, "validation_data": {}, "split": SPLIT | {"group_by": "x", "group_column": "y"}},
            "split.group_by: give it or split.group_column, not both",
        ),
        (
            {"data": {}, "validation_data": {}, "test_data": {}, "split": SPLIT},
            "test_data: given, but split.test is 0",
        ),
    ],
)
def test_faults_of_sources_and_checks(sections, expected):
    assert expected in fault(raw(**sections))


# Errors with which later stages go on: such data can be trained on and judged.
ALLOWED = {"num-domains", "class-names-alike", "too-few"}
ALLOWED |= {"identical-across-splits", "identical-across-classes", "group-across-splits"}


@pytest.mark.parametrize("code", [code for code, severity in SEVERITIES.items() if severity == "error"])
@pytest.mark.parametrize("severity", ["warning", "ignore"])
def test_an_error_that_no_later_stage_survives_stays_one(code, severity):
    config = raw(checks={"severity": {code: severity}})
    if code in ALLOWED:
        assert resolve(config).checks.severity == {code: severity}
    else:
        assert f"checks.severity.{code}: must stay an error; " in fault(config)


@pytest.mark.parametrize(
    ("training", "own", "converting"),
    [
        ({}, {}, ("resize", 128)),
        ({"preprocess": "resize_and_crop", "load_size": 150}, {}, ("resize_and_center_crop", 150)),
        ({"preprocess": "crop"}, {}, ("center_crop", None)),
        ({"preprocess": "crop"}, {"preprocess": "none"}, ("none", None)),
        ({"preprocess": "resize_and_crop", "load_size": 150}, {"preprocess": "scale_width"}, ("scale_width", 128)),
        (
            {"preprocess": "resize_and_crop", "load_size": 150},
            {"preprocess": "resize_and_crop"},
            ("resize_and_center_crop", 150),
        ),
        ({}, {"preprocess": "resize", "load_size": 256}, ("resize", 256)),
        ({}, {"preprocess": "scale_shortside_and_crop"}, ("scale_shortside_and_center_crop", 128)),
    ],
)
def test_conversion_has_a_preprocessing_of_its_own_by_default_that_of_the_training(training, own, converting):
    config = resolve(raw(data={"source": "a", **training}, validation_data={"source": "b", **own}))
    assert (config.validation_data.preprocess, config.validation_data.load_size) == converting
    assert resolve(config.model_dump()) == config


def test_references_are_named_by_split_or_source():
    one_list = {name: {"source": "list.csv"} for name in ("data", "validation_data", "test_data")}
    for reference, split in ((None, "train"), ("test", "test"), ("list.csv", "train")):
        config = resolve(raw(**{**one_list, "validation_data": {"source": "list.csv", "reference": reference}}))
        assert config.validation_data.reference == split


def test_all_faults_at_once():
    text = fault(raw(loss={"lambda_cycle": 2, "lambda_sty": "x"}, runs={}))
    assert all(name in text for name in ("loss.lambda_cycle", "loss.lambda_sty", "runs"))


def test_empty_sections_and_anchors_are_fine():
    assert resolve(raw(loss=None, **{"x-anchors": {"any": 1}})).loss.lambda_cyc == 1
    assert resolve(raw(data={"source": "a", "augment": {"hflip": None}, "img_size": None})).data.img_size == 128


def test_numbers_that_yaml_reads_as_text():
    assert resolve(raw(solver={"root_dir": "r", "lr": "1e-4"})).solver.lr == 1e-4


@pytest.mark.parametrize(("name", "safe"), [("a b/c", "a-b-c"), ("..", "run"), ("Ünï", "Ünï"), ("x.y-z_1", "x.y-z_1")])
def test_run_name_is_a_safe_file_name(name, safe):
    assert resolve(raw(log={"name": name})).run_name == safe


def test_the_last_step_is_always_saved():
    assert resolve(raw(run={"total_iters": 25, "save_every": 10})).steps == [10, 20, 25]
    assert resolve(raw(run={"total_iters": 5, "save_every": 10})).steps == [5]


def test_the_first_checkpoints_may_be_left_out():
    def steps(first):
        return resolve(raw(run={"total_iters": 25, "save_every": 10, "save_from": first})).steps

    assert [steps(first) for first in (0, 10, 11, 21, 99)] == [[10, 20, 25], [10, 20, 25], [20, 25], [25], [25]]


@pytest.mark.parametrize("name", ["config.yaml"])
def test_every_key_of_the_files_in_config_has_a_comment_above_it(name):
    lines = (ROOT / "config" / name).read_text().splitlines()
    keys = [i for i, line in enumerate(lines) if line.startswith("  ") and not line.strip().startswith("#")]
    assert [lines[i] for i in keys if not lines[i - 1].strip().startswith("#")] == []


def test_names_that_wandb_refuses_are_refused_at_once():
    log = {"project": "a/b:c", "tags": ["", "x" * 65, "fine"], "mode": "offline"}
    with pytest.raises(QuacError) as raised:
        resolve(raw(log=log))
    assert "log.project: wandb takes no / : in the name of a project; choose another" in str(raised.value)
    assert "log.tags: '' has 0 characters, but wandb takes 1 to 64" in str(raised.value)
    assert str(raised.value).count("log.tags") == 2
    with pytest.raises(QuacError, match=r"log\.project: wandb takes at most 128 characters"):
        resolve(raw(log={"project": "x" * 129}))
    for others in ({"log_type": "tensorboard"}, {"log_type": "none"}):
        assert resolve(raw(log=log, **others))
    assert resolve(raw(log=log | {"mode": "disabled"}))


def test_a_run_is_not_named_as_the_explorer_of_another():
    resolve(raw(log={"name": "explorer"}))
    for name in ("mine-explorer", "mine Explorer"):
        assert "how the page with the explanations of a run is named" in fault(raw(log={"name": name}))
