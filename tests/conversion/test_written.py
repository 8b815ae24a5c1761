"""What is judged and measured is literally what is written: files that are read back get the same numbers."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.builders import (
    command,
    converter_of,
    judging,
    make_index,
    ours,
    save_classifier,
    storing,
    styles_of,
    tiny_config,
)
from helpers.image_files import noise
from PIL import Image
from torch import nn

from quac.classifier.judge import Judge
from quac.conversion.engine import convert
from quac.conversion.image_folder import BestImages
from quac.data.batches import to_range
from quac.data.store import Store, build_store
from quac.models.starganv2.networks import build_networks

CPU, CLASSES = torch.device("cpu"), ["a", "b", "c"]
RANGES = [("none", 2.0, -1.0), ("tanh", 1.0, 0.0)]


def judge_of(folder, size, classes):
    """Looks at every pixel; its labels and probabilities change where values beyond the range are clamped."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(size * size, len(classes)))
    module[1].weight.data *= 4
    path = save_classifier(folder / "c.pt", module)
    return Judge(path, judging(img_size=size), SimpleNamespace(img_size=size, input_dim=1), classes, CPU)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(("activation", "scale", "shift"), RANGES)
def test_the_files_of_a_split_get_the_numbers_of_its_table(tmp_path, dtype, activation, scale, shift):
    for label, name in enumerate(CLASSES):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(5):
            pixels = noise(10 * label + number, 32, 32, dtype=dtype)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    index = make_index(tmp_path / "index.parquet", tmp_path / "images")
    build_store(tmp_path / "pixels.store", index, storing(), "train")
    store = Store.open(tmp_path / "pixels.store", tmp_path / "index.parquet")
    sections = {"model": {"final_activation": activation}, "data": {"scale": scale, "shift": shift}}
    torch.manual_seed(0)
    networks = build_networks(tiny_config(**sections).model, 3).eval().requires_grad_(False)
    networks["generator"].to_rgb[-1].weight *= 5
    converter, judge = converter_of(networks, CLASSES, **sections), judge_of(tmp_path, 32, CLASSES)
    styles, kept = styles_of(converter, store, kinds=["latent"]), {}
    with BestImages(tmp_path / "out", store) as write:

        def on_best(kind, row, target, pixels):
            write(kind, row, target, pixels)
            kept[row, target] = pixels

        table = convert(converter, judge, store, styles, tries=3, batch_size=4, on_best=on_best)
    outside, changed = [], 0
    for row in table[table["best"]].itertuples():
        number, target = store.paths.tolist().index(row.query), CLASSES.index(row.target)
        pixels = np.asarray(Image.open(tmp_path / "out" / row.source / row.target / row.query.split("/")[1]))
        assert pixels.dtype == dtype
        assert np.array_equal(pixels, kept[number, target][0])
        image, x = (to_range(torch.tensor(each[None, None]), scale, shift) for each in (pixels, store[number][0]))
        p = judge(image)[0]
        assert row.predicted == CLASSES[p.argmax()]
        assert row.p_target == pytest.approx(p[target].item(), abs=1e-6)  # batches of other sizes round otherwise
        assert row.l1 == pytest.approx((image - x).abs().mean().item(), abs=1e-6)
        style, _ = styles["latent"].draw([row.digest], target, row[table.columns.get_loc("try") + 1])
        raw = networks["generator"](x, style)
        outside.append(((raw < shift) | (raw > shift + scale)).float().mean().item())
        changed += abs(judge(raw)[0, target].item() - row.p_target) > 0.01
    assert np.mean(outside) > 0.1
    assert changed > len(outside) / 4  # else this test could not fail


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize(("activation", "scale", "shift"), RANGES)
def test_files_of_quac_convert_get_the_numbers_of_its_table(
    tmp_path, monkeypatch, activation, scale, shift, masks, dtype
):
    """Where they have the size of the networks; also blended ones."""
    monkeypatch.chdir(tmp_path)
    ours("m.ckpt", classes=CLASSES, model={"final_activation": activation}, data={"scale": scale, "shift": shift})
    content = torch.load("m.ckpt", weights_only=True)
    content["generator"]["to_rgb.2.weight"] *= 5
    torch.save(content, "m.ckpt")
    judge = judge_of(tmp_path, 32, CLASSES)
    for folder in ("in", "masks"):
        (tmp_path / folder).mkdir()
        for number in range(4):
            pixels = noise(number + 10 * (folder == "masks"), 32, 32, dtype=dtype)
            Image.fromarray(pixels).save(f"{folder}/{number}.png")
    words = ["in", "--model", "m.ckpt", "--to", "a,b,c", "--out", "out", "--tries", 3, "--classifier", "c.pt"]
    done = command("convert", *words, *(["--masks", "masks"] if masks else []), "--threads", 1, "--device", "cpu")
    assert done.status == 0, done.output
    table = pd.read_csv("out/tries.csv")
    best = table[table["best"]]
    assert len(best) == 4 * 3
    for row in best.itertuples():
        image, x = (
            to_range(torch.tensor(np.asarray(Image.open(path))[None, None]), scale, shift)
            for path in (row.file, row.query)
        )
        p = judge(image)[0]
        assert row.predicted == CLASSES[p.argmax()]
        assert row.p_target == pytest.approx(p[CLASSES.index(row.target)].item(), abs=1e-6)
        assert row.l1 == pytest.approx((image - x).abs().mean().item(), abs=1e-6)
