"""What each edit would run again: dry runs on a finished workflow."""

import json
import os
import random
import shutil
import time

import pytest
from helpers.builders import Brightness, save_classifier, write_images

ONLY_CHOSEN_ANEW = {"select_checkpoint": 1, "convert": 4, "matrices": 4, "controls": 1, "explain": 2, "features": 1}
ONLY_CHOSEN_ANEW |= {"show_styles": 1, "explorer": 1, "report": 1}
AFTER_JUDGE = {"score_checkpoint": 2, **ONLY_CHOSEN_ANEW}
AFTER_TRAINING = {"publish_checkpoint": 2, **AFTER_JUDGE}
ONE_CHECKPOINT_MORE = {"publish_checkpoint": 1, "score_checkpoint": 1, **ONLY_CHOSEN_ANEW}
FITTED = {"fit_classifier": 1, "fit_oracle": 1}
EIGHT_CHECKPOINTS_MORE = {"publish_checkpoint": 8, "score_checkpoint": 8}


@pytest.fixture
def edited(finished):
    """The finished workflow, for an edit that is taken back."""
    config = json.loads(json.dumps(finished.config))
    images = finished.folder / "data"
    shutil.copytree(images, finished.folder / "backup")
    yield finished
    finished.config = config
    shutil.rmtree(images)
    (finished.folder / "backup").rename(images)


def test_nothing_changed(finished):
    assert finished.plan() == {}


def test_a_touch_changes_nothing_not_even_of_large_files(finished):
    files = [path for folder in ("data", "results") for path in (finished.folder / folder).rglob("*") if path.is_file()]
    assert max(path.stat().st_size for path in files if path.suffix == ".ckpt") > 1_000_000
    random.Random(0).shuffle(files)  # noqa: S311 (an order, not a secret)
    now = time.time_ns()
    for number, path in enumerate(files):  # each at a time of its own, in no order that stages made them
        os.utime(path, ns=(now + number, now + number))
    assert finished.plan() == {}


@pytest.mark.parametrize(
    ("section", "values", "planned"),
    [
        ("loss", {"lambda_cyc": 2.0}, {"train": 1, **AFTER_TRAINING}),
        ("loss", {"lambda_cls": 1.0}, {"train": 1, **AFTER_TRAINING}),
        ("run", {"total_iters": 6}, {"train": 1, **ONE_CHECKPOINT_MORE}),
        ("run", {"total_iters": 20}, {"train": 1, **AFTER_JUDGE, **EIGHT_CHECKPOINTS_MORE}),
        ("run", {"total_iters": 2}, {"train": 1, **ONLY_CHOSEN_ANEW}),
        ("run", {"save_every": 4}, {"train": 1, **ONLY_CHOSEN_ANEW}),
        ("run", {"save_from": 3}, {"train": 1, **ONLY_CHOSEN_ANEW}),
        ("run", {"save_every": 3}, {"train": 1, **ONE_CHECKPOINT_MORE}),
        ("validation_config", {"min_accuracy": 0.01}, {"check_classifier": 1, "report": 1}),
        ("validation_config", {"num_outs_per_domain": 3}, AFTER_JUDGE),
        ("selection", {"rule": "one_se"}, ONLY_CHOSEN_ANEW),
        ("selection", {"tries": 1}, AFTER_JUDGE),
        ("model", {"num_domains": 2}, {"check_splits": 1, "report": 1}),
        ("explanation", {"methods": ["residual"]}, {"explain": 2, "features": 1, "explorer": 1, "report": 1}),
        ("explanation", {"methods": []}, {"report": 1}),
        ("report", {"examples": 1}, {"report": 1}),
        ("report", {"explorer_mb": 1}, {"explorer": 1, "report": 1}),
        ("log", {"notes": "a word"}, {"report": 1}),
        ("run", {"threads": 2, "state_every": 1, "accumulate": 2, "keep_states": 3}, {"report": 1}),
        ("run", {"log_every": 2}, {"report": 1}),
        ("run", {"eval_every": 1}, {"report": 1}),
    ],
)
def test_an_edit_runs_what_depends_on_it(edited, section, values, planned):
    edited.edit(section, **values)
    assert edited.plan() == planned


@pytest.mark.parametrize("log_type", ["wandb", "tensorboard"])
def test_a_new_tracker_runs_only_the_report_and_track_results(edited, log_type):
    edited.edit("log", mode="offline")
    edited.config["log_type"] = log_type
    assert edited.plan() == {"report": 1, "track_results": 1}


def test_another_classifier_does_not_train_again(edited):
    save_classifier(edited.folder / "other.pt", Brightness())
    edited.edit("validation_config", classifier_checkpoint="other.pt")
    assert edited.plan() == {"check_classifier": 1, **AFTER_JUDGE}


@pytest.mark.parametrize("oracles", [{"strict": "further.pt"}, "none"])
def test_an_oracle_judges_what_is_reported_and_chooses_nothing(edited, oracles):
    save_classifier(edited.folder / "further.pt", Brightness())
    edited.config["oracles"] = oracles
    assert edited.plan() == {
        "check_classifier": 1,
        "convert": 4,
        "matrices": 4,
        "controls": 1,
        "explain": 2,
        "features": 1,
        "explorer": 1,
        "report": 1,
    }


def test_another_classifier_trains_again_with_a_classifier_loss(edited):
    save_classifier(edited.folder / "other.pt", Brightness())
    edited.edit("validation_config", classifier_checkpoint="other.pt")
    edited.edit("loss", lambda_cls=1.0)
    assert edited.plan() == {"check_classifier": 1, "train": 1, **AFTER_TRAINING}


def test_a_new_validation_image_does_not_train(edited):
    write_images(edited.folder / "data/validation", {"along": 1}, seed=9)
    data = {"index_images": 1, "check_splits": 1, "store_images": 1, **FITTED, "check_classifier": 1}
    assert edited.plan() == {**data, **AFTER_JUDGE}


def test_a_new_training_image_trains_again(edited):
    write_images(edited.folder / "data/train", {"along": 1}, seed=9)
    data = {"index_images": 1, "check_splits": 1, "store_images": 1, **FITTED, "check_classifier": 1}
    assert edited.plan() == {**data, "train": 1, **AFTER_TRAINING}


def test_a_deleted_image_is_noticed_in_its_split_alone(edited):
    (edited.folder / "data/test/along/along-00.png").unlink()
    planned = edited.plan()
    assert planned["index_images"] == planned["store_images"] == 1
    assert (planned["convert"], "train" in planned, "score_checkpoint" in planned) == (2, False, False)


def test_two_edits_run_the_union_of_their_stages(edited):
    """The first one's stages lie before the training, behind a gate that must not hide the second one's."""
    edited.edit("model", num_domains=2)
    edited.edit("loss", lambda_cyc=2.0)
    assert edited.plan() == {"check_splits": 1, "train": 1, **AFTER_TRAINING}
    edited.edit("run", total_iters=6)
    edited.edit("validation_config", min_accuracy=0.01)
    later = {**AFTER_TRAINING, "publish_checkpoint": 3, "score_checkpoint": 3}
    assert edited.plan() == {"check_splits": 1, "check_classifier": 1, "train": 1, **later}


def test_a_test_split_comes_and_goes_without_scoring_again(edited):
    del edited.config["test_data"]
    planned = {"check_splits": 1, "check_classifier": 1, "controls": 1, "explain": 2, "show_styles": 1}
    after = {"features": 1, "explorer": 1, "report": 1}
    assert edited.plan() == {**planned, **after}
    edited.edit("test_data", source="data/test", reference="data/test")
    assert edited.plan() == {"convert": 2, "matrices": 2, "controls": 1, "explain": 2, "show_styles": 1, **after}
