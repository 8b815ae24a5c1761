"""Synthetic cells: the classes differ where the masks say, and nothing else tells them apart."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from helpers.builders import make_index, restricted_config
from PIL import Image
from scipy import ndimage

from quac.data.checks import check_splits
from quac.data.folders import tree_digest
from quac.data.synthetic import CLASSES, RADIUS, Nucleus, Nuisance, draw_cell, truth, write_synthetic
from quac.system.errors import QuacError
from quac.system.files import read_json

SIZE = 64
SEEDS = range(20)
STILL = {"background": 0.0, "illumination": 1.0, "gradient": 0.0, "noise": 0.0, "debris": (), "angle": 0.0}


def nuisance(seed, **changes):
    return dataclasses.replace(Nuisance.draw(np.random.default_rng(seed), SIZE), **changes)


def still(nucleus):
    """The grey image of a nucleus alone, in the centre and along the columns, 12 pixels in radius."""
    cell = nuisance(0, **STILL, x=32.0, y=32.0, radius=12.0, body_radius=0.0)
    return draw_cell(cell, nucleus, np.zeros((SIZE, SIZE, 3))).max(2)


def bright(image):
    return image > 102  # half of the nucleus' 204


def images_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_classes_differ_inside_the_mask_only(seed):
    cell, noise = nuisance(seed), np.random.default_rng(seed).standard_normal((SIZE, SIZE, 3))
    images = np.stack([draw_cell(cell, nucleus, noise) for nucleus in CLASSES.values()])
    different = (images != images[0]).any(axis=(0, 3))
    inside = truth(cell, SIZE)[:, :, 0] == 255
    assert not (different & ~inside).any()
    assert (different & inside).sum() > 0.3 * inside.sum()


def test_the_whole_mask_lies_in_the_image():
    for seed in range(200):
        cell = nuisance(seed)
        assert RADIUS[0] * SIZE <= cell.radius <= RADIUS[1] * SIZE
        inside = (truth(cell, SIZE)[:, :, 0] == 255).sum()
        assert inside == pytest.approx(np.pi * (1.6 * cell.radius + 1) ** 2, rel=0.03)


def test_each_nucleus_has_what_makes_its_class():
    images = {name: still(nucleus) for name, nucleus in CLASSES.items()}
    area = np.pi * 12**2
    assert bright(images["round"]).sum() == pytest.approx(area, rel=0.02)
    assert bright(images["small"]).sum() == pytest.approx(0.65**2 * area, rel=0.02)
    assert bright(images["ring"]).sum() == pytest.approx(0.75 * area, rel=0.03)
    assert bright(images["spotted"]).sum() == pytest.approx((1 - 4 / 16) * area, rel=0.03)
    assert bright(images["long"]).sum() == pytest.approx(area, rel=0.03)
    rows, columns = np.nonzero(bright(images["long"]))
    assert np.ptp(columns) / np.ptp(rows) == pytest.approx(2.4, rel=0.1)
    holes = {name: ndimage.label(~bright(image))[1] - 1 for name, image in images.items()}
    assert {name: holes[name] for name in ("round", "long", "spotted", "ring", "small")} == {
        "round": 0,
        "long": 0,
        "spotted": 4,
        "ring": 1,
        "small": 0,
    }
    across = images["striped"][32, 22:43].astype(int)  # 6.6 pixels a stripe
    assert (np.diff(np.sign(np.diff(across))) > 0).sum() == 3  # dark stripes
    assert np.ptp(images["striped"][22:43, 32]) == 0  # along a stripe


def test_the_nucleus_lies_where_the_parameters_say():
    cell = nuisance(0, **{**STILL, "angle": np.pi / 6}, x=40.0, y=25.0, radius=9.0, body_radius=0.0)
    rows, columns = np.nonzero(bright(draw_cell(cell, CLASSES["long"], np.zeros((SIZE, SIZE, 3))).max(2)))
    assert (columns.mean() + 0.5, rows.mean() + 0.5) == pytest.approx((40, 25), abs=0.1)
    covariance = np.cov(columns, rows)
    angle = np.arctan2(2 * covariance[0, 1], covariance[0, 0] - covariance[1, 1]) / 2
    assert angle == pytest.approx(np.pi / 6, abs=0.03)


def test_files_by_split_with_masks_and_parameters_beside_the_classes(tmp_path):
    write_synthetic(tmp_path / "cells", 3, SIZE, 20, seed=1)
    cells = tmp_path / "cells"
    assert sorted(path.name for path in cells.iterdir()) == sorted(
        ["train", "validation", "test", "masks", "parameters", "synthetic.json"]
    )
    counts = {split: len(images_below(cells / split)) for split in ("train", "validation", "test")}
    assert counts == {"train": 42, "validation": 9, "test": 9}
    of_splits = [f"{split}/{path}" for split in sorted(counts) for path in images_below(cells / split)]
    assert images_below(cells / "masks") == of_splits
    about = read_json(cells / "synthetic.json")
    assert about["classes"] == {name: dataclasses.asdict(CLASSES[name]) for name in ("round", "long", "spotted")}
    for name in about["classes"]:
        records = read_json(cells / f"parameters/{name}.json")
        assert sorted(record["path"] for record in records) == [path for path in of_splits if f"/{name}/" in path]
        for record in records[:3]:  # the truth is in the record: the mask can be drawn from it
            mask = np.asarray(Image.open(cells / "masks" / record["path"]))
            assert (mask == truth(Nuisance(**record["nuisance"]), SIZE)[:, :, 0]).all()
            assert record["split"] == record["path"].split("/")[0]
            assert Nucleus(**record["nucleus"]) == CLASSES[name]


def test_the_seed_determines_every_byte(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_synthetic(tmp_path / name, 2, 32, 10, seed)
    digests = [tree_digest(tmp_path / name) for name in "abc"]
    assert digests[0] == digests[1] != digests[2]
    write_synthetic(tmp_path / "a", 2, 32, 10, 0)  # again, as after an interruption
    assert tree_digest(tmp_path / "a") == digests[0]


def test_no_finding_of_the_checks_and_no_shortcut(tmp_path):
    write_synthetic(tmp_path / "cells", len(CLASSES), 32, 100, seed=0)
    splits = ("train", "validation", "test")
    indexes = {split: make_index(tmp_path / f"{split}.parquet", tmp_path / "cells" / split) for split in splits}
    assert set(indexes["train"]["class"]) == set(CLASSES)
    assert check_splits(indexes, restricted_config("checks")) == []


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    write_synthetic(tmp_path, 2, 32, 10, seed=0)
    own = tmp_path / "train/round/mine.png"
    Image.new("L", (32, 32)).save(own)
    with pytest.raises(QuacError, match=r"has other files, such as train/round/mine\.png; choose another folder"):
        write_synthetic(tmp_path, 2, 32, 10, seed=0)
    assert own.is_file()
    own.unlink()
    with pytest.raises(QuacError, match=r"has other files, such as masks/test/long/0009\.png"):
        write_synthetic(tmp_path, 1, 32, 10, seed=0)  # fewer classes would leave the images of the others


def test_the_command_says_what_it_wrote(tmp_path):
    command = [sys.executable, "-m", "quac", "synthetic", str(tmp_path / "cells"), "--classes", "2", "--size", "32"]
    done = subprocess.run([*command, "--images", "10"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "10 images of each of 2 classes" in done.stderr
    assert len(images_below(tmp_path / "cells/train")) == 14
    refused = subprocess.run([*command, "--images", "9"], capture_output=True, text=True)
    assert refused.returncode == 2
    (tmp_path / "cells/train/round/x.png").touch()
    refused = subprocess.run([*command, "--images", "10"], capture_output=True, text=True)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "has other files, such as train/round/x.png; choose another folder, or delete this one" in refused.stderr
