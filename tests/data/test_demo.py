from collections import Counter

import numpy as np
import pytest
from helpers.builders import make_index, restricted_config
from PIL import Image

from quac.data.checks import check_splits
from quac.data.demo import write_demo
from quac.data.folders import tree_digest
from quac.data.shortcuts import one_fact_rules
from quac.system.files import read_json


def test_the_demo_is_real_digits_split_by_the_seed(tmp_path):
    folders = {split: tmp_path / split for split in ("train", "validation", "test")}
    write_demo(tmp_path / "digest.json", seed=0)
    indexes = {split: make_index(tmp_path / f"{split}.parquet", folder) for split, folder in folders.items()}
    counts = {split: Counter(index["class"]) for split, index in indexes.items()}
    assert counts == {
        "train": {"3": 350, "5": 350, "8": 350},
        "validation": {"3": 75, "5": 75, "8": 75},
        "test": {"3": 75, "5": 75, "8": 75},
    }
    assert check_splits(indexes, restricted_config("checks")) == []
    rules = {rule["fact"]: rule for rule in one_fact_rules(indexes["train"])}
    assert list(rules) == ["mean intensity", "width", "height", "bit depth", "bytes a pixel"]
    for name in ("width", "height", "bit depth"):
        assert rules[name]["accuracy"] == pytest.approx(1 / 3)
    for name in ("mean intensity", "bytes a pixel"):  # eights have more ink
        assert 1 / 3 < rules[name]["accuracy_low"] < rules[name]["accuracy_high"] < 0.6
    assert read_json(tmp_path / "digest.json") == {split: tree_digest(folder) for split, folder in folders.items()}
    pixels = np.asarray(Image.open(folders["train"] / indexes["train"]["path"][0]))
    assert pixels.shape == (28, 28)
    assert pixels.max() > 200
    assert pixels[0].max() == 0
