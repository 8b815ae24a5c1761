"""Paths of a config are expanded, and results do not lie among the images."""

import pytest
from helpers.builders import write_images
from helpers.config_builders import tiny_config

from quac.config.resolve import validate
from quac.system.errors import QuacError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DISK", str(tmp_path / "disk"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def faults(**sections):
    with pytest.raises(QuacError) as raised:
        tiny_config(**sections)
    return str(raised.value)


def test_every_path_of_a_config_is_expanded(home):
    config = tiny_config(
        data={"source": "$DISK/train"},
        validation_data={"source": None, "sources": {"~a": [{"path": "~/a"}], "b": [{"path": "${DISK}/b"}]}},
        solver={"root_dir": "~/results"},
        validation_config={"classifier_checkpoint": "~/c.pt"},
        init={"from": "$DISK/i.ckpt"},
        log={"log_dir": "~/logs", "name": "~/$x", "notes": "costs $5 ~"},
    )
    assert config.data.source == f"{home}/disk/train"
    assert config.validation_data.origin == {
        "~a": [{"path": f"{home}/home/a", "weight": 1.0}],
        "b": [{"path": f"{home}/disk/b", "weight": 1.0}],
    }
    assert config.solver.root_dir == f"{home}/home/results"
    assert config.validation_config.classifier_checkpoint == f"{home}/home/c.pt"
    assert (config.init.checkpoint, config.log.log_dir) == (f"{home}/disk/i.ckpt", f"{home}/home/logs")
    assert (config.log.name, config.log.notes) == ("~/$x", "costs $5 ~")


def test_the_lists_of_the_split_maker_lie_in_the_expanded_folder(home):
    splits = {"data": {"source": None}, "validation_data": {"source": None}, "test_data": None}
    config = tiny_config(split={"source": "~/all"}, solver={"root_dir": "~/r"}, **splits)
    assert config.split.source == f"{home}/home/all"
    assert config.data.source == f"{home}/home/r/data/split/train.csv"


def test_a_variable_that_is_not_set_is_a_fault_of_its_key():
    assert "solver.root_dir: $GONE/x: the environment has no variable GONE" in faults(solver={"root_dir": "$GONE/x"})
    wrong = {"source": None, "sources": {"a": [{"path": "$GONE/a"}]}}
    assert "data.sources.a.0.path: $GONE/a: the environment has no" in faults(data=wrong)


@pytest.mark.parametrize("root", ["images/results", "images", "link/x", "images/new/../cat/r", "images/cat"])
def test_results_among_the_images_are_refused(home, root):
    write_images(home / "images", {"cat": 1, "dog": 1})
    (home / "link").symlink_to("images")
    for sections in (
        {"data": {"source": "images"}},
        {"test_data": {"source": "images"}},
        {"split": {"source": "images"}, "data": {"source": None}, "validation_data": {"source": None}},
    ):
        key = next(iter(sections))
        others = {"test_data": None} if "split" in sections else {}
        message = faults(solver={"root_dir": root}, **others, **sections)
        assert f"solver.root_dir: {root} lies in {key}.source, images, so that results would count" in message


def test_a_folder_beside_the_classes_that_are_used_is_fine(home):
    write_images(home / "images", {"cat": 1, "dog": 1})
    named = {"source": "images", "classes": ["cat", "dog"]}
    assert tiny_config(data=named, solver={"root_dir": "images/results"})
    assert "lies in data.source" in faults(data=named, solver={"root_dir": "images/dog/results"})
    folders = {"source": None, "sources": {"cat": [{"path": "images/cat"}], "dog": [{"path": "images/dog"}]}}
    assert "lies in data.sources" in faults(data=folders, solver={"root_dir": "images/dog/results"})


def test_images_beside_the_results_are_fine_but_not_where_results_are_written(home):
    write_images(home / "mine/train", {"cat": 1})
    write_images(home / "mine/data/train", {"cat": 1})
    write_images(home / "mine/generated_images/test/latent", {"cat": 1})
    for source in ("mine/train", "mine/data/train"):
        assert tiny_config(data={"source": source}, solver={"root_dir": "mine"})
    for source in ("mine/data", "mine/generated_images/test/latent"):
        assert "is where this run writes its results" in faults(data={"source": source}, solver={"root_dir": "mine"})


def test_a_config_with_every_fault_names_each_once():
    _, found = validate({"solver": {"root_dir": "$GONE"}, "data": {"source": "$GONE"}, "validation_data": {}})
    assert len([fault for fault in found if "GONE" in fault]) == 2
