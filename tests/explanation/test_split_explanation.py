"""The explanation of a split, from the table of tries and the generated images to its files and its table."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.builders import Brightness, judging, make_store, save_classifier
from PIL import Image

from quac.classifier.judge import Judge
from quac.config.training import Model
from quac.data.batches import to_range
from quac.data.result_names import output_path
from quac.explanation.attribution import METHODS
from quac.explanation.split_explanation import ExplanationFolders, converted_tries, explain_noise, explain_split
from quac.explanation.summary import summarize
from quac.system.errors import QuacError

CLASSES = ["bright", "dark"]


class Corner(torch.nn.Module):
    """Calls an image bright if its upper left quarter is."""

    def forward(self, x):
        level = 5 * x[:, :, :16, :16].mean(dim=(1, 2, 3))
        return torch.stack([level, -level], 1)


class Rounding(torch.nn.Module):
    """A classifier without gradients, as quantised ones are."""

    def forward(self, x):
        level = x.detach().mean(dim=(1, 2, 3))
        return torch.stack([level, -level], 1)


def judge_of(path, module):
    path = save_classifier(path, module)
    return Judge(path, judging(), Model(img_size=32, input_dim=1), CLASSES, torch.device("cpu"))


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "queries", {"bright": 3, "dark": 3})


@pytest.fixture
def folders(tmp_path):
    return ExplanationFolders(*(tmp_path / name for name in ("generated", "attributions", "masks", "counterfactuals")))


@pytest.fixture
def tries(store, folders):
    """Dark queries whose upper left quarter is made bright, and bright ones whose is made dark: the best of two."""
    rows = []
    for row, query in enumerate(store.paths):
        source = CLASSES[store.labels[row]]
        target = CLASSES[1 - store.labels[row]]
        pixels = store[row][0].copy()
        pixels[:16, :16] = 255 if target == "bright" else 0
        path = folders.generated / output_path(query, source, target)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        about = {"query": query, "digest": store.digests[row], "source": source, "target": target, "kind": "latent"}
        about |= {"style": "s", "query_predicted": source, "correction": False}
        rows += [{**about, "try": number, "predicted": target, "best": number == 1} for number in range(2)]
        rows.append({**about, "target": source, "try": 0, "predicted": source, "best": True})
    return pd.DataFrame(rows)


def explained(tries, store, folders, tmp_path, methods=tuple(METHODS), oracles=()):
    judge = judge_of(tmp_path / "corner.pt", Corner())
    oracles = {name: judge_of(tmp_path / f"{name}.pt", module) for name, module in dict(oracles).items()}
    return explain_split(tries, store, judge, oracles, folders, methods, scale=2.0, shift=-1.0)


def test_every_converted_query_is_explained_by_every_method(tries, store, folders, tmp_path):
    chosen = converted_tries(tries, None, 0)
    assert chosen["try"].tolist() == [1] * 6
    table = explained(chosen, store, folders, tmp_path, oracles={"whole": Brightness()})
    assert len(table) == 6 * len(METHODS)
    assert table.groupby("query")["method"].apply(set).map(set(METHODS).__eq__).all()
    best = table[table["best"]]
    assert best["query"].nunique() == len(best) == 6
    assert "random" not in set(best["method"])
    assert (best["counterfactual_predicted"] == best["target"]).all()
    assert best["mask_size"].between(0, 0.25, inclusive="right").all()  # a quarter of the image is changed
    of_noise = table[table["method"] == "random"].set_index("query")["quac_score"]
    assert (best["quac_score"].to_numpy() > of_noise.loc[best["query"]].to_numpy()).all()
    assert set(table["counterfactual_predicted_by_whole"]) <= set(CLASSES)
    assert table[["cout", "quac_score", "mask_size", "generated_p_target"]].notna().all(axis=None)
    assert table["curve"].map(len).eq(101).all()


def test_the_files_are_what_was_judged(tries, store, folders, tmp_path):
    table = explained(converted_tries(tries, None, 0), store, folders, tmp_path, methods=["d_ig", "residual"])
    judge = judge_of(tmp_path / "corner.pt", Corner())
    for row in table.itertuples():
        written = np.array(Image.open(folders.counterfactuals / row.method / f"{row.file}.png"))
        p = judge(to_range(torch.from_numpy(written)[None, None], 2.0, -1.0))[0, CLASSES.index(row.target)]
        assert row.counterfactual_p_target == pytest.approx(float(p), abs=1e-6)
        mask = np.load(folders.masks / row.method / f"{row.file}.npy")
        assert (mask.dtype, mask.shape) == (np.uint8, (1, 32, 32))
        query, name = store[list(store.paths).index(row.query)][0], f"{row.source}/{row.target}/"
        assert row.file.startswith(name)
        generated = np.asarray(Image.open(folders.generated / f"{row.file}.png"))
        blended = query + (generated.astype(float) - query) * mask[0] / 255
        assert np.abs(blended - written).max() <= 1.01
        kept = folders.attributions / row.method / f"{row.file}.npy"
        assert kept.is_file() == (row.method == "d_ig")
        if kept.is_file():
            attribution = np.load(kept)
            assert (attribution.dtype, attribution.min(), attribution.max()) == (np.float16, 0, 1)


@pytest.fixture
def mistaken(tries, store, folders):
    """The first query of each class is called the other; converted into its own class it is called that."""
    rows = []
    for source in CLASSES:
        target = CLASSES[1 - CLASSES.index(source)]
        query = tries.loc[tries["source"] == source, "query"].iloc[0]
        tries.loc[tries["query"] == query, "query_predicted"] = target
        pixels = store[list(store.paths).index(query)][0].copy()
        pixels[:16, :16] = 255 if source == "bright" else 0
        path = folders.generated / output_path(query, source, source)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        about = tries[tries["query"] == query].iloc[0].to_dict()
        about |= {"target": source, "predicted": source, "try": 1, "correction": True, "best": True}
        rows.append(about)
    return pd.concat([tries, pd.DataFrame(rows)], ignore_index=True)


def test_mistakes_are_explained_into_their_own_class_and_counted_apart(mistaken, store, folders, tmp_path):
    chosen = converted_tries(mistaken, 2, 0)
    wrong = chosen[chosen["correction"]]
    assert (wrong["class"] == wrong["target"]).all()
    assert (wrong["source"] != wrong["class"]).all()
    assert sorted(wrong["target"]) == CLASSES
    right = chosen[~chosen["correction"]]
    assert right.groupby(["source", "target"]).size().tolist() == [2, 2]  # the third is the mistake
    assert not set(right["query"]) & set(wrong["query"])
    table = explained(chosen, store, folders, tmp_path, ["d_ig"])
    assert table.groupby("right").size().to_dict() == {False: 2, True: 4}
    for row in table[~table["right"]].itertuples():
        assert row.file.startswith(f"{row.target}/{row.target}/")
        assert row.counterfactual_predicted == row.target == row._3  # its class
        assert (folders.counterfactuals / f"d_ig/{row.file}.png").is_file()


def test_noise_is_explained_in_place_of_the_conversions_of_right_queries(mistaken, store, folders, tmp_path):
    """It changes what the classifier looks at, and no other classifier calls it the target."""
    judge = judge_of(tmp_path / "corner.pt", Corner())
    oracles = {"whole": judge_of(tmp_path / "whole.pt", Brightness())}
    chosen, scaling = converted_tries(mistaken, None, 0), {"scale": 2.0, "shift": -1.0}
    rows = {
        eps: explain_noise(chosen, store, judge, oracles, folders, "d_ig", eps, **scaling) for eps in (1 / 255, 0.6)
    }
    assert {len(table) for table in rows.values()} == {4}
    assert (rows[0.6]["counterfactual_predicted"] == rows[0.6]["target"]).all()
    assert rows[0.6]["mask_size"].between(0, 0.25, inclusive="right").all()
    assert (rows[0.6]["quac_score"] > rows[1 / 255]["quac_score"].max()).all()
    assert rows[1 / 255]["quac_score"].abs().max() < 0.05
    assert not list(folders.counterfactuals.glob("**/*"))
    nowhere = explain_noise(chosen, store, judge, {}, folders, "d_ig", 0.6, Nowhere(), **scaling)
    assert nowhere["quac_score"].abs().max() == 0


class Nowhere:
    """Masks that let nothing change."""

    def read(self, rows, quiet=False):
        pass

    def __getitem__(self, rows):
        return np.zeros((len(rows), 1, 32, 32), np.float32)


def test_explanations_in_numbers():
    curves = [np.linspace(0, top, 101) for top in (0.2, 0.4, 0.9)]
    rows = pd.DataFrame({"target": ["a", "a", "b"], "quac_score": [0.1, 0.3, 0.8], "mask_size": [0.5, 0.1, 0.2]})
    rows["counterfactual_predicted"], rows["counterfactual_predicted_by_o"] = ["a", "b", "b"], ["b", "b", "a"]
    numbers = summarize(rows.assign(curve=curves))
    assert (numbers["conversions"], numbers["quac_score"], numbers["mask_size"]) == (3, 0.3, 0.2)
    assert (numbers["flipped"], numbers["flipped_by"]) == (pytest.approx(2 / 3), {"o": 0.0})
    assert numbers["curve"] == pytest.approx(np.linspace(0, 0.4, 21))
    assert numbers["curve_low"][-1] == pytest.approx(0.3)
    assert numbers["curve_high"][-1] == pytest.approx(0.65)


def test_a_pair_has_at_most_so_many_drawn_by_the_seed(tries):
    chosen = converted_tries(tries, 2, 0)
    assert chosen.groupby(["source", "target"]).size().tolist() == [2, 2]
    assert chosen.equals(converted_tries(tries.sample(frac=1, random_state=1), 2, 0).loc[chosen.index])
    others = {tuple(converted_tries(tries, 1, seed)["query"]) for seed in range(8)}
    assert len(others) > 1


def test_queries_that_were_not_converted_are_left_out(tries, store, folders, tmp_path):
    assert len(converted_tries(tries.assign(predicted="dark"), None, 0)) == 3
    nothing = converted_tries(tries.assign(predicted="neither"), None, 0)
    assert explained(nothing, store, folders, tmp_path).empty


def test_a_damaged_image_and_a_classifier_without_gradients_are_named(tries, store, folders, tmp_path):
    chosen = converted_tries(tries, None, 0)
    judge = judge_of(tmp_path / "rounding.pt", Rounding())
    with pytest.raises(QuacError, match=r"d_ig needs the gradients .*explanation.methods"):
        explain_split(chosen, store, judge, {}, folders, ["d_ig"], scale=2.0, shift=-1.0)
    table = explain_split(chosen, store, judge, {}, folders, ["residual", "random"], scale=2.0, shift=-1.0)
    assert len(table) == 12
    path = next(folders.generated.rglob("*.png"))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(QuacError, match=path.name):
        explained(chosen, store, folders, tmp_path)
    Image.new("L", (16, 16)).save(path)
    with pytest.raises(QuacError, match=r"is \(1, 16, 16\), but its query is \(1, 32, 32\)"):
        explained(chosen, store, folders, tmp_path)
