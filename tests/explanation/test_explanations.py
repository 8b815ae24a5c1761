"""The Python API, on the table and the files of the stage."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.builders import make_store, restricted_config, save_classifier
from PIL import Image

from quac import Explanations
from quac.data.result_names import output_path
from quac.explanation.split_explanation import ExplanationFiles, ExplanationFolders, write_explanations
from quac.system.errors import QuacError
from quac.system.files import write_json
from quac.system.tables import read_table, write_table


class Record:
    def record(self, **more):
        return {"stage": "explain", **more}


class Corner(torch.nn.Module):
    def forward(self, x):
        level = 5 * x[:, :, :16, :16].mean(dim=(1, 2, 3))
        return torch.stack([-level, level], 1)


@pytest.fixture
def run(tmp_path):
    """A run's folder: three queries are converted by a bright corner, one that is called wrong by a dark one."""
    store = make_store(tmp_path / "data", {"across": 4, "along": 1})
    folders = ExplanationFolders(*(tmp_path / name for name in ("generated", "attributions", "masks", "c")))
    rows = []
    for row, query in enumerate(store.paths[:4]):
        pixels = store[row][0].copy()
        wrong = row == 3
        pixels[:16, :16] = 0 if wrong else 255 - 20 * row
        target = "across" if wrong else "along"
        path = folders.generated / output_path(query, "across", target)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        about = {"query": query, "digest": store.digests[row], "source": "across", "target": target, "try": 0}
        about |= {"kind": "latent", "style": "s", "predicted": target, "best": True, "correction": wrong}
        rows.append({**about, "query_predicted": ["across", "along"][wrong]})
    write_table(tmp_path / "tries.parquet", pd.DataFrame(rows))
    classifier = save_classifier(tmp_path / "corner.pt", Corner())
    write_json(tmp_path / "controls.json", {"split": "validation", "noise": {"eps": 0.25}})
    files = ExplanationFiles(
        tmp_path / "tries.parquet",
        tmp_path / "controls.json",
        classifier,
        [],
        tmp_path / "data/pixels.store",
        tmp_path / "data/index.parquet",
        tmp_path / "explanations/latent.parquet",
    )
    config = restricted_config("explain", "validation", oracles="none")
    write_explanations(config, files, folders, torch.device("cpu"), Record())
    return tmp_path


def test_explanations_are_selected_and_shown(run, tmp_path_factory):
    moved = tmp_path_factory.mktemp("elsewhere") / "run"
    run.rename(moved)  # paths in the table are relative to it
    found = Explanations.load(moved / "explanations/latent.parquet")
    assert len(found) == 4
    assert len(found.source("across").target("along")) == 3
    assert len(found.source("along").target("across")) == 1
    assert found.source("along").frame["class"].tolist() == ["across"]
    assert (len(found.right_queries()), len(found.wrong_queries())) == (3, 1)
    scores = [explanation.score for explanation in found.top(2)]
    assert scores == sorted(found.frame["quac_score"], reverse=True)[:2]
    assert len(found.above(scores[1])) == 1
    every = Explanations.load(moved / "explanations/latent.parquet", every_method=True)
    assert len(every) == 4 * 4
    assert set(every.method("random").frame["method"]) == {"random"}
    one = found[0]
    assert {image.shape for image in (one.query, one.generated, one.counterfactual, one.mask)} == {(32, 32, 1)}
    blended = one.query + (one.generated.astype(float) - one.query) * one.mask
    assert np.abs(blended - one.counterfactual).max() <= 1.01
    assert one.predictions["generated"][0] == "along"
    figure = one.plot()
    assert len(figure.axes) == 4
    figure.savefig(moved / "figure.png")


def test_mistakes_and_noise_are_counted_apart(run):
    attributes = read_table(run / "explanations/latent.parquet").attrs
    assert attributes["mistakes"] == {"queries": 1, "corrected": 1}
    noise = attributes["noise"]
    assert (noise["method"], noise["eps"], noise["conversions"], noise["flipped_by"]) == ("d_ig", 0.25, 3, {})
    assert 0 < noise["quac_score"] < 1
    assert len(noise["curve"]) == 21


def test_other_tables_are_refused(run):
    with pytest.raises(QuacError, match="not a table of explanations"):
        Explanations.load(run / "tries.parquet")
