import numpy as np
import pandas as pd
import pytest
from helpers.builders import make_index
from helpers.image_files import noise
from helpers.try_tables import Data
from PIL import Image

from quac.data.shortcuts import MAX_SKILL, one_fact_rules


def index_of(labels, **columns):
    """An index of images that differ in nothing but the given columns."""
    facts = {"group": "", "error": "", "mean": 0.5, "width": 32, "height": 32, "bits": 8, "bytes": 900}
    return pd.DataFrame({"class": np.asarray(labels).astype(str), **facts, **columns})


def rules_of(index):
    return {rule["fact"]: rule for rule in one_fact_rules(index)}


def warned(rule):
    return (rule["accuracy_low"] - rule["chance"]) / (1 - rule["chance"]) > MAX_SKILL


def facts_found(data):
    """The facts that the data is warned about."""
    findings = [finding for finding in data.find() if finding["code"] == "shortcut"]
    return [finding["message"].removeprefix("data/train: the ").split(" alone")[0] for finding in findings]


def data_of(count=70, **changes):
    """Data whose training images of each class are changed: {class: {column: value}}."""
    data = Data(train=count)
    for row in data.rows["train"]:
        row |= changes.get(row["class"], {})
    return data


def indexed(tmp_path, save, count=70):
    """The index of `count` images of noise of each of the classes 0 and 1, saved by `save(image, class, path)`."""
    for label in range(2):
        (tmp_path / f"images/{label}").mkdir(parents=True)
        for number in range(count):
            image = Image.fromarray(noise(1000 * label + number, 120, 120))
            save(image, label, tmp_path / f"images/{label}/{number}")
    return make_index(tmp_path / "index.parquet", tmp_path / "images")


def test_classes_that_differ_in_brightness_alone():
    data = Data(train=70)
    for number, row in enumerate(data.rows["train"]):
        row["mean"] = (0.3 if row["class"] == "across" else 0.5) + number / 1000
    (finding,) = data.find()
    assert finding["code"] == "shortcut"
    assert finding["severity"] == "warning"
    assert finding["message"] == (
        "data/train: the mean intensity alone tells the classes apart, with an accuracy of 1.00 [0.96, 1.00] where "
        "chance is 0.50: it may be the reason, or a shortcut"
    )
    assert "normalise" in finding["remedy"]
    assert data.find(severity={"shortcut": "ignore"}) == []
    assert data.find(severity={"shortcut": "error"})[0]["severity"] == "error"


@pytest.mark.parametrize(("count", "found"), [(61, []), (62, ["bit depth"])])
def test_a_perfect_rule_needs_enough_images(count, found):
    assert facts_found(data_of(count, along={"bits": 16})) == found


def test_sizes_by_class(tmp_path):
    def save(image, label, path):
        image.crop((0, 0, 100 + 20 * label, 100 + 20 * label)).save(f"{path}.png")

    rules = rules_of(indexed(tmp_path, save))
    assert [name for name, rule in rules.items() if warned(rule)] == ["width", "height", "bytes a pixel"]
    assert rules["width"]["accuracy"] == rules["height"]["accuracy"] == 1
    assert rules["bit depth"]["accuracy"] == 0.5


def test_jpeg_quality_by_class(tmp_path):
    rules = rules_of(indexed(tmp_path, lambda image, label, path: image.save(f"{path}.jpg", quality=75 + 15 * label)))
    assert warned(rules["bytes a pixel"])
    assert not warned(rules["mean intensity"])
    assert rules["width"]["accuracy"] == rules["height"]["accuracy"] == 0.5


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_separated_values_are_told_apart_whatever_their_order_and_number(classes):
    counts = [40 + 150 * (label % 2) for label in range(classes)]
    labels = np.repeat(np.arange(classes), counts)
    values = np.random.default_rng(0).random(len(labels)) + 2 * ((labels * 7) % classes)
    rule = rules_of(index_of(labels, mean=values, width=(labels * 3) % classes))
    assert rule["mean intensity"]["accuracy"] == pytest.approx(1, abs=0.01)
    assert rule["width"]["accuracy"] == pytest.approx(1 if classes != 3 else 1 / 3)


def test_a_class_between_two_clusters_of_another_is_told_apart():
    labels = np.repeat([0, 1], 100)
    values = np.r_[np.repeat([100, 140], 50), np.full(100, 120)]
    assert rules_of(index_of(labels, width=values))["width"]["accuracy"] == 1


def test_the_accuracy_is_that_of_the_best_threshold():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 20_000)
    rule = rules_of(index_of(labels, mean=rng.normal(labels * 2.0)))["mean intensity"]
    assert rule["accuracy"] == pytest.approx(0.8413, abs=0.005)  # of the normal distribution at 1
    assert not warned(rule)


@pytest.mark.parametrize("count", [10, 50, 200])
def test_equal_distributions_give_chance_and_no_warning(count):
    accuracies, warnings = [], 0
    for seed in range(60):
        rng, n = np.random.default_rng([seed, count]), 3 * count
        sizes = {
            "width": rng.integers(100, 103, n),
            "height": rng.geometric(0.1, n),
            "bytes": rng.integers(900, 1e6, n),
        }
        groups = {"group": rng.integers(n // 4, size=n).astype(str), "manifest.plate": rng.choice([*"abcd"], n)}
        index = index_of(np.repeat([0, 1, 2], count), mean=rng.normal(size=n), **sizes, **groups)
        rules = one_fact_rules(index)
        assert len(rules) == 7
        accuracies += [rule["accuracy"] for rule in rules]
        warnings += sum(map(warned, rules))
    assert warnings == 0
    assert np.mean(accuracies) == pytest.approx(1 / 3, abs=0.02)


def test_a_plate_that_is_a_class(tmp_path):
    assert facts_found(data_of(across={"group": "plate 1"}, along={"group": "plate 2"})) == ["group"]
    labels = np.repeat([0, 1], 70)
    for column in ("manifest.plate", "manifest.Plate"):
        rule = rules_of(index_of(labels, **{column: np.where(labels, "P1", "P2")}))["plate"]
        assert warned(rule)
        assert rule["accuracy"] == 1


@pytest.mark.parametrize(("shared", "found"), [(False, []), (True, ["group"])])
def test_many_groups_of_one_class_are_a_shortcut_only_if_splits_share_them(shared, found):
    data = data_of()
    for number, row in enumerate(data.rows["train"]):
        row["group"] = f"patient {number // 10}"
    if shared:
        data.rows["test"][0]["group"] = "patient 0"
    assert facts_found(data) == found


def test_groups_are_kept_apart():
    labels = np.repeat([0, 1], 100)
    groups = np.repeat(np.arange(20), 10)
    brightness = np.random.default_rng(0).permutation(20)[groups]  # tells the group, but not the class
    assert rules_of(index_of(labels, mean=brightness))["mean intensity"]["accuracy"] > 0.9
    rules = rules_of(index_of(labels, mean=brightness, group=groups.astype(str)))
    assert 0.3 < rules["mean intensity"]["accuracy"] < 0.7
    assert rules["group"]["accuracy"] > 0.9


def test_few_images_and_missing_values():
    assert one_fact_rules(index_of([])) == one_fact_rules(index_of([0, 0, 0])) == []
    lone = rules_of(index_of([0, 1]))
    assert {rule["accuracy"] for rule in lone.values()} == {None}
    alone = rules_of(index_of(np.repeat([0, 1], 100), group=np.arange(200).astype(str)))  # a group has one image
    assert alone["group"]["accuracy"] == 0.5
    assert "plate" not in rules_of(index_of([0, 0, 1, 1], **{"manifest.plate": ["", None, "", ""]}))
    plates = ["a", "a", None, "b", "", "b"]
    some = rules_of(
        index_of([0, 0, 0, 1, 1, 1], **{"manifest.plate": plates, "mean": [0.1, 0.1, np.nan, 0.2, 0.2, 0.2]})
    )
    assert (some["plate"]["images"], some["mean intensity"]["images"], some["width"]["images"]) == (4, 5, 6)
    assert some["plate"]["accuracy"] == some["mean intensity"]["accuracy"] == 1
    assert not any(map(warned, some.values()))
    one_plate = index_of([0, 0, 1, 1], **{"manifest.plate": ["a", "a", "", ""]})
    assert rules_of(one_plate)["plate"]["accuracy"] is None


def test_images_that_cannot_be_used_do_not_count():
    labels = np.repeat([0, 1], 100)
    index = index_of(labels, error=np.where(np.arange(200) % 2, "", "is empty"), width=np.arange(200) % 2)
    rule = rules_of(index)["width"]
    assert (rule["images"], rule["accuracy"]) == (100, 0.5)
