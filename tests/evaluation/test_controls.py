"""Controls on images of two levels of grey, with a classifier that noise fools and an oracle that it does not."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.builders import (
    Brightness,
    make_index,
    restricted_config,
    save_classifier,
    storing,
    tries_of,
)
from PIL import Image

from quac.classifier.adversarial_noise import LADDER
from quac.data.store import Store, build_store
from quac.evaluation.controls import MAX_IMAGES, ControlFiles, Controls, max_queries, summarize
from quac.system.tables import read_table, write_table

CPU, CLASSES, LEVELS = torch.device("cpu"), ["bright", "dark"], {"bright": 190, "dark": 60}
CONFIG = {"oracles": {"strict": "strict.pt"}}


class Fooled(torch.nn.Module):
    """Sees the level of grey, and a checkerboard far better."""

    def __init__(self):
        super().__init__()
        y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
        self.register_buffer("board", 1.0 - 2.0 * ((x + y) % 2))

    def forward(self, x):
        level = -x.mean(dim=(1, 2, 3)) + 10 * (x * self.board).mean(dim=(1, 2, 3))
        return torch.stack([-level, level], 1)


class Detached(Brightness):
    def forward(self, x):
        level = x.detach().mean(dim=(1, 2, 3))
        return torch.stack([level, -level], 1)


class Bright(torch.nn.Module):
    """Brightness, in the order of CLASSES."""

    def forward(self, x):
        level = x.mean(dim=(1, 2, 3))
        return torch.stack([level, -level], 1)


def write_split(folder, split, count, sizes=((32, 32),)):
    for name in CLASSES:
        (folder / split / name).mkdir(parents=True)
        for number in range(count):
            rng = np.random.default_rng([number, *split.encode(), *name.encode()])
            pixels = rng.integers(-20, 20, sizes[number % len(sizes)][::-1]) + LEVELS[name]
            Image.fromarray(pixels.astype(np.uint8)).save(folder / split / name / f"{number}.png")
    index = make_index(folder / f"{split}.parquet", folder / split)
    build_store(folder / f"{split}.store", index, storing(preprocess="none"), "train")
    write_table(folder / f"{split}.parquet", index, **{**index.attrs, "split": split})


def tries_table(kind, index, hits, own_style=True):
    """A table of two tries, of which `hits` are called the target by both classifiers; l1 0.3, or 0.1 by own style."""
    rows = []
    for source, query in zip(index["class"], index["path"], strict=True):
        for target in CLASSES:
            for number in range(1 if source == target else 2):
                called = target if number < hits or source == target else source
                row = {"query": query, "source": source, "target": target, "try": number, "kind": kind}
                row |= {"style": "own" if source == target and own_style else str(number), "predicted": called}
                rows.append({**row, "predicted_by_strict": called, "l1": 0.1 if source == target else 0.3})
    return pd.DataFrame(rows).assign(query_predicted=lambda rows: rows["source"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("controls")
    write_split(folder, "train", 5)
    write_split(folder, "test", 4)
    for name, module in {"fooled": Fooled(), "strict": Bright(), "detached": Detached()}.items():
        save_classifier(folder / f"{name}.pt", module)
    index = read_table(folder / "test.parquet")
    for kind, hits in {"latent": 1, "reference": 2}.items():
        tries_of(tries_table(kind, index, hits), classes=CLASSES).write(folder / f"{kind}.parquet")
    return folder


def controls_of(folder, classifier="fooled", tables=("latent", "reference"), **config):
    stores = [folder / f"{split}.{end}" for split in ("test", "train") for end in ("store", "parquet")]
    paths = [folder / f"{kind}.parquet" for kind in tables]
    files = ControlFiles(folder / f"{classifier}.pt", [folder / "strict.pt"], *stores, paths)
    return Controls(restricted_config("controls", "test", **{**CONFIG, **config}), files, CPU)


@pytest.fixture(scope="module")
def measured(folder):
    return controls_of(folder).measure()


def averages(measured):
    return {control["name"]: control["average"] for control in measured["controls"]}


def test_every_control_is_measured_by_both_classifiers(measured):
    names = ["latent", "reference", "own_style", "unchanged", "nearest", "noise", "real"]
    assert [control["name"] for control in measured["controls"]] == names
    assert (measured["split"], measured["seed"], measured["max_queries"], measured["step"]) == ("test", 0, 50, 4)
    found = averages(measured)
    assert {name: numbers["translation_rate"] for name, numbers in found.items() if name != "noise"} == {
        **{"latent": 0.5, "reference": 1.0, "own_style": 0.0},
        **{"unchanged": 0.0, "nearest": 1.0, "real": 1.0},
    }
    assert found["unchanged"]["l1"] == 0
    assert found["own_style"]["l1"] == pytest.approx(0.1)
    assert all(numbers["queries"] == 8 for numbers in found.values())
    pairs = [("bright", "dark"), ("dark", "bright")]
    for control in measured["controls"]:
        assert sorted((pair["source"], pair["target"]) for pair in control["pairs"]) == pairs
        assert [pair["queries"] for pair in control["pairs"]] == [4, 4]


def test_noise_fools_the_classifier_and_not_the_oracle(measured, folder):
    noise, found = measured["noise"], averages(measured)
    assert noise["wanted"] == 0.75  # of both style kinds
    assert (noise["reached"], noise["fault"]) == (True, "")
    assert found["noise"]["translation_rate"] >= 0.75
    assert found["noise"]["translation_rate_by_strict"] == 0
    assert found["noise"]["l1"] < found["nearest"]["l1"] / 5
    # By hand: the board reaches 10 eps, the levels are at most 0.53 from the border; 0.1 of the range is enough.
    before = LADDER[LADDER.index(noise["eps"]) - 1]
    controls = controls_of(folder)
    assert noise["eps"] < 0.1
    assert controls._noise_of(before)["translation_rate"].mean() < 0.75
    assert controls._noise_of(before, 0.75) is None
    pd.testing.assert_frame_equal(controls._noise_of(noise["eps"], 0.75), controls._noise_of(noise["eps"]))


def test_what_is_judged_is_what_would_be_written(measured):
    """Differences of images of 8 bits are multiples of 2 / 255."""
    for control in measured["controls"]:
        if control["name"] in ("nearest", "noise", "real"):
            steps = control["pairs"][0]["l1"] * 127.5 * 32 * 32 * 4 * (4 if control["name"] == "real" else 1)
            assert steps == pytest.approx(round(steps), abs=0.05)


def test_noise_that_reaches_too_little_says_so(folder):
    measured = controls_of(folder, "strict").measure()
    noise, found = measured["noise"], averages(measured)
    assert (noise["eps"], noise["reached"]) == (LADDER[-1], False)
    assert found["noise"]["translation_rate"] < noise["wanted"]


def test_a_classifier_without_gradients_has_no_noise(folder):
    measured = controls_of(folder, "detached").measure()
    assert measured["noise"]["eps"] is None
    assert "does not require grad" in measured["noise"]["fault"]
    assert "noise" not in averages(measured)
    assert averages(measured)["nearest"]["translation_rate"] == 1


def test_the_scale_of_the_distance(measured):
    found = averages(measured)
    near = found["nearest"]["l1"]
    assert found["latent"]["l1_scaled"] == pytest.approx((0.3 - 0.1) / (near - 0.1), rel=1e-5)
    assert found["own_style"]["l1_scaled"] == 0
    assert found["nearest"]["l1_scaled"] == 1
    pairs = measured["controls"][0]["pairs"], measured["controls"][4]["pairs"]
    for pair, nearest in zip(*pairs, strict=True):
        assert pair["l1_scaled"] == pytest.approx(0.2 / (nearest["l1"] - 0.1), rel=1e-5)


def test_there_is_no_scale_if_the_nearest_image_is_nearer_than_the_own_style():
    def frame(l1):
        return pd.DataFrame({"source": ["a"], "target": ["b"], "query": ["0"], "translation_rate": 1.0, "l1": [l1]})

    near, far = (
        summarize({"latent": frame(0.5), "own_style": frame(own), "nearest": frame(0.3)}) for own in (0.3, 0.1)
    )
    assert [control["average"]["l1_scaled"] for control in near] == [None] * 3
    assert [control["pairs"][0]["l1_scaled"] for control in near] == [None] * 3
    assert far[0]["average"]["l1_scaled"] == pytest.approx(2)
    without = summarize({"latent": frame(0.5), "own_style": pd.DataFrame(), "nearest": frame(0.3)})
    assert [control["name"] for control in without] == ["latent", "nearest"]
    assert without[0]["average"]["l1_scaled"] is None


def test_a_style_kind_without_own_styles_gives_no_floor(folder):
    index = read_table(folder / "test.parquet")
    tries_of(tries_table("latent", index, 1, own_style=False), classes=CLASSES).write(folder / "other.parquet")
    measured = controls_of(folder, tables=["other"]).measure()
    assert "own_style" not in averages(measured)
    assert averages(measured)["latent"]["l1_scaled"] is None


def test_the_same_queries_are_chosen_for_the_tables_and_the_controls(folder, monkeypatch):
    monkeypatch.setattr("quac.evaluation.controls.max_queries", lambda classes: 2)
    controls = controls_of(folder)
    paths = {controls.store.paths[row] for rows in controls.chosen for row in rows}
    assert len(paths) == 4
    assert set(controls._tries(controls.tables[0].frame)["query"]) == paths
    assert set(controls._real_images()["nearest"]["query"]) == paths


def test_many_classes_have_fewer_queries():
    assert [max_queries(classes) for classes in (2, 3, 5, 10, 40)] == [50, 50, 50, 11, 5]
    assert max_queries(10) * 90 <= MAX_IMAGES


def test_images_of_many_sizes(tmp_path):
    sizes = ((32, 32), (48, 32))
    write_split(tmp_path, "train", 2, sizes)
    write_split(tmp_path, "test", 3, sizes)
    for name, module in {"fooled": Bright(), "strict": Bright()}.items():
        save_classifier(tmp_path / f"{name}.pt", module)
    index = read_table(tmp_path / "test.parquet")
    tries_of(tries_table("latent", index, 2), classes=CLASSES).write(tmp_path / "latent.parquet")
    assert len({tuple(shape) for shape in Store.open(tmp_path / "test.store", tmp_path / "test.parquet").shapes}) == 2
    found = averages(controls_of(tmp_path, tables=["latent"]).measure())
    assert (found["nearest"]["translation_rate"], found["real"]["translation_rate"]) == (1, 1)
    assert found["nearest"]["l1"] == pytest.approx(130 / 127.5, rel=0.05)
    assert found["nearest"]["queries"] == 6


def test_outside_of_a_mask_the_query_stays(tmp_path):
    """The right half of each query stays: its image is changed by half as much."""
    write_split(tmp_path, "train", 2)
    write_split(tmp_path, "test", 2)
    mask = np.zeros((32, 32), np.uint8)
    mask[:, :16] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    index = read_table(tmp_path / "test.parquet")
    write_table(tmp_path / "test.parquet", index.assign(mask=str(tmp_path / "mask.png")), **index.attrs)
    for name, module in {"fooled": Fooled(), "strict": Bright()}.items():
        save_classifier(tmp_path / f"{name}.pt", module)
    tries_of(tries_table("latent", index, 2), classes=CLASSES).write(tmp_path / "latent.parquet")
    whole = averages(controls_of(tmp_path, tables=["latent"]).measure())
    half = averages(controls_of(tmp_path, tables=["latent"], conversion={"mask": "paste"}).measure())
    assert half["nearest"]["l1"] == pytest.approx(whole["nearest"]["l1"] / 2, rel=0.05)
    assert half["real"] == {**whole["real"], "l1_scaled": half["real"]["l1_scaled"]}
    assert half["noise"]["translation_rate"] == 1
