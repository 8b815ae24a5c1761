"""Outside of its mask, a generated image is its query: judged, measured and written so."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.builders import Brightness, converter_of, judging, make_index, save_classifier, styles_of, tiny_config
from PIL import Image

from quac.classifier.judge import Judge
from quac.conversion.engine import convert
from quac.conversion.image_folder import BestImages
from quac.data.batches import as_written
from quac.data.masks import Masks
from quac.data.store import Store, build_store
from quac.evaluation.in_training import TrainingEvaluation
from quac.evaluation.style_grids import make_grids
from quac.evaluation.tries import measure_tries
from quac.models.starganv2.networks import build_networks
from quac.system.tables import read_table

CPU, CONFIG = torch.device("cpu"), tiny_config()


class White:
    """A converter into white images, whatever the query."""

    info, device, classes = SimpleNamespace(scale=2.0, shift=-1.0), CPU, ["a", "b"]

    def prepare(self, x):
        return x

    def render(self, prepared, style, target):
        return torch.ones_like(prepared)


class NoStyle:
    def draw(self, digests, label, number):
        return torch.zeros(len(digests), 1), [str(number)] * len(digests)

    def shared(self, label, count):
        return torch.zeros(count, 1), [str(number) for number in range(count)]


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    """Dark queries, a/0 to a/4 and b/0: a/0 has no mask, a/<n> one of n columns from the left, b/0 one of 16."""
    folder = tmp_path_factory.mktemp("masked")
    rows = ["path,class,mask"]
    for name, count in {"a": 5, "b": 1}.items():
        (folder / name).mkdir()
        for number in range(count):
            levels = np.random.default_rng([number, *name.encode()]).integers(0, 60, (32, 32)).astype(np.uint8)
            Image.fromarray(levels).save(folder / name / f"{number}.png")
            columns, mask = 16 if name == "b" else number, np.zeros((32, 32), np.uint8)
            mask[:, :columns] = 255
            Image.fromarray(mask).save(folder / name / f"mask{number}.png")
            rows.append(f"{name}/{number}.png,{name},{name}/mask{number}.png" if columns else f"{name}/0.png,{name},")
    (folder / "list.csv").write_text("\n".join(rows))
    index = make_index(folder / "index.parquet", folder / "list.csv")
    build_store(folder / "pixels.store", index, CONFIG, "train")
    return SimpleNamespace(folder=folder, store=Store.open(folder / "pixels.store", folder / "index.parquet"))


def masks_of(masked, edge=0):
    return Masks(read_table(masked.folder / "index.parquet"), tiny_config(conversion={"mask_edge": edge}), "train")


def judge(folder):
    path = save_classifier(folder / "c.pt", Brightness())
    return Judge(path, judging(), SimpleNamespace(img_size=32, input_dim=1), ["a", "b"], CPU)


def test_outside_pixels_are_those_of_the_query_and_the_judge_sees_them(masked, tmp_path):
    who = judge(tmp_path)
    with BestImages(tmp_path / "out", masked.store) as write:
        table = convert(
            *(White(), who, masked.store, {"latent": NoStyle()}),
            tries=2,
            batch_size=4,
            masks=masks_of(masked),
            on_best=write,
        )
    for number in range(5):
        query = np.asarray(Image.open(masked.folder / f"a/{number}.png")).astype(int)
        result = np.asarray(Image.open(tmp_path / f"out/a/b/{number}.png")).astype(int)
        columns = number or 32  # a/0 is converted whole
        assert (result[:, :columns] == 255).all()
        assert np.array_equal(result[:, columns:], query[:, columns:])
        rows = table[table["query"] == f"a/{number}.png"]
        level = result.mean() / 255 * 2 - 1
        assert rows["p_target"].tolist() == pytest.approx([1 / (1 + np.exp(-2 * level))] * 2, abs=1e-5)
        assert rows["l1"].tolist() == pytest.approx([np.abs(result - query).mean() / 255 * 2] * 2, abs=1e-5)
    assert table[table["target"] == "b"].groupby("query")["predicted"].first().tolist() == ["b", *["a"] * 4]


def test_a_soft_edge_goes_from_the_query_to_the_generated_image(masked, tmp_path):
    kept = {}
    who = judge(tmp_path)
    masks, x = masks_of(masked, edge=7), masked.store[5][0].astype(float)
    convert(
        *(White(), who, masked.store, {"latent": NoStyle()}),
        tries=2,
        batch_size=4,
        masks=masks,
        on_best=lambda kind, row, target, image: kept.update({row: image[0]}),
    )
    share = (kept[5] - x) / (255 - x)
    assert (share[:, 16:] == 0).all()
    assert (share[:, :9] == 1).all()
    assert (np.diff(share[:, 8:17].mean(0)) < 0).all()
    assert share[:, 12].mean() == pytest.approx(4 / 8, abs=0.01)


def test_style_grids_are_masked_too(masked, tmp_path):
    kept = {}
    made = make_grids(
        *(White(), judge(tmp_path), masked.store, {"latent": NoStyle()}),
        batch_size=4,
        on_image=lambda image, kind, target, query, style: kept.update({(target, query): image[0]}),
        masks=masks_of(masked),
    )
    for number, query in enumerate(made["queries"]):
        row = masked.store.paths.tolist().index(query["query"])
        image, columns = kept["b" if query["source"] == "a" else "a", number], row or 32
        columns = 16 if query["source"] == "b" else columns
        assert (image[:, :columns] == 255).all()
        assert np.array_equal(image[:, columns:], masked.store[row][0][:, columns:])
    assert len(kept) == len(made["queries"]) == 5


def test_the_evaluation_in_training_is_of_masked_images(masked, untrained, tmp_path):
    def evaluate(mask):
        config = tiny_config(conversion={"mask": mask})
        files = masked.folder / "pixels.store", masked.folder / "index.parquet"
        path = save_classifier(tmp_path / "judge.pt", Brightness())
        return TrainingEvaluation(config, path, *files, masked.store, CPU)(untrained.networks, lambda: False)[0]

    tries = untrained.convert(masks=masks_of(masked))
    pairs = tries[(tries["kind"] == "latent") & (tries["source"] != tries["target"])].groupby("source")["l1"].mean()
    assert evaluate("paste")["l1_latent"] == pytest.approx(pairs.mean(), rel=1e-4)
    assert evaluate("none")["l1_latent"] > 2 * pairs.mean()


@pytest.fixture(scope="module")
def untrained(masked, tmp_path_factory):
    """A function that converts the queries by untrained networks, and measures them in full."""
    torch.manual_seed(0)
    networks = build_networks(CONFIG.model, 2).eval().requires_grad_(False)
    who = judge(tmp_path_factory.mktemp("judge"))

    def run(store=masked.store, **options):
        converter, measure = converter_of(networks, "ab"), partial(measure_tries, {}, ["a", "b"])
        styles = styles_of(converter, store, batch_size=2)
        how = {"tries": 2, "batch_size": 2, "measure": measure, "diagonal": True}
        return convert(converter, who, store, styles, **how, **options)

    return SimpleNamespace(convert=run, networks=networks)


def test_the_tables_of_shards_together_are_the_whole_table(masked, untrained):
    whole = untrained.convert(masks=masks_of(masked))
    shards = [untrained.convert(masks=masks_of(masked), shard=(i, 3)) for i in range(3)]
    together = pd.concat(shards).sort_values("batch", kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(together, whole, check_exact=True)


def test_metrics_are_of_the_masked_images(masked, untrained):
    """Also after conversion back, which is by the same mask: nothing is left of what lies outside."""
    table, plain = untrained.convert(masks=masks_of(masked)), untrained.convert()
    keys = ["kind", "source", "target", "correction", "try", "query"]
    both = table.merge(plain, on=keys, suffixes=("", "_whole"))
    assert len(both) == len(table) == len(plain)
    whole = both["query"] == "a/0.png"
    for name in ("p_target", "l1", "ssim", "cycle", "logit_a"):
        assert both.loc[whole, name].tolist() == pytest.approx(both.loc[whole, f"{name}_whole"].tolist(), abs=1e-6)
    masked_columns = both["query"].map({f"a/{n}.png": n for n in range(1, 5)} | {"b/0.png": 16})[~whole]
    drawn = ~whole & (both["kind"] == "latent") & (both["source"] != both["target"])
    for name in ("l1", "cycle", "diversity"):
        assert (both.loc[drawn, name] > 0).all()
        assert (both.loc[drawn, name] < both.loc[drawn, f"{name}_whole"]).all()
    assert (both.loc[~whole, "l1"] <= 2 * masked_columns / 32).all()
    generator, encoder = untrained.networks["generator"], untrained.networks["style_encoder"]
    x = torch.from_numpy(masked.store[5][None].copy()).float() / 255 * 2 - 1
    own, mask = encoder(x, torch.tensor([1])), torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 1

    def pasted(query):
        return as_written(torch.lerp(query, generator(query, own), mask), 2.0, -1.0, torch.uint8)

    back = pasted(pasted(x))
    row = table[(table["query"] == "b/0.png") & (table["style"] == "own")].iloc[0]
    assert row["cycle"] == pytest.approx((back - x).abs().mean().item(), abs=5e-5)
    assert torch.equal(back[..., 16:], x[..., 16:])
