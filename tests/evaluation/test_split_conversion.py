"""The stages that convert a split, as functions: what they read of the config, and what they give."""

from collections import Counter

import pandas as pd
import pytest
import torch
from helpers.builders import Brightness, make_store, ours, save_classifier, tiny_config

from quac.config.keys import changed_settings, restricted
from quac.config.stages import StageJob
from quac.evaluation.gather import gather, gather_tries
from quac.evaluation.split_conversion import SplitConversion, SplitFiles
from quac.evaluation.tries import Tries
from quac.models.starganv2.checkpoint import open_checkpoint
from quac.system.errors import QuacError
from quac.system.files import file_sha256, write_json
from quac.system.provenance import Provenance
from quac.system.tables import read_table, write_table

CPU = torch.device("cpu")
CLASSES = ["across", "along"]
# With an oracle, and other than default in what scores and converts.
CONFIG = tiny_config(oracles={"strict": "strict.pt"}, selection={"tries": 3, "max_per_class": 2})


def config_of(stage, split=None):
    """The config as a stage reads it: with the keys that it lists, and no others."""
    job = StageJob(stage, split)
    return restricted(job, changed_settings(CONFIG, job))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("split")
    make_store(folder / "train", dict.fromkeys(CLASSES, 4))
    make_store(folder / "test", {"across": 3, "along": 2}, seed=1)
    index = read_table(folder / "test" / "index.parquet")
    write_table(folder / "test" / "index.parquet", index, **{**index.attrs, "split": "test"})
    ours(folder / "000010_nets_ema.ckpt", classes=CLASSES)
    save_classifier(folder / "c.pt", Brightness())
    write_json(folder / "key.json", {})
    return folder


@pytest.fixture(scope="module")
def common(folder):
    """Checkpoint, files, device and provenance, as every stage takes them."""
    stores = [folder / split / name for split in ("test", "train") for name in ("pixels.store", "index.parquet")]
    files = SplitFiles(folder / "c.pt", *stores)
    return folder / "000010_nets_ema.ckpt", files, CPU, Provenance("convert", folder / "key.json")


def test_a_checkpoint_is_scored_by_all_style_kinds_and_the_tries_of_the_selection(folder, common):
    tries = SplitConversion(config_of("score"), *common).score()
    assert (tries.step, tries.tries, tries.max_per_class, tries.masked) == (10, 3, 2, None)
    assert tries.checkpoint_digest == file_sha256(folder / "000010_nets_ema.ckpt")
    assert tries.found == {"across": 3, "along": 2}
    assert tries.frame.groupby(["kind", "source"]).size().to_dict() == dict.fromkeys(
        [(kind, name) for kind in ("latent", "reference") for name in CLASSES], 2 * 3
    )
    assert "ssim" not in tries.frame
    assert set(tries.frame["identified"]) <= {0.0, 1.0}
    assert (tries.frame["source"] != tries.frame["target"]).all()
    assert tries.provenance["classifier"] == file_sha256(folder / "c.pt")


def test_a_split_is_converted_by_one_style_kind_and_measured_in_full(folder, common, tmp_path):
    opened = SplitConversion(config_of("convert", "test"), *common, ["latent"])
    oracles = [folder / "c.pt"]
    whole = opened.convert(oracles, tmp_path / "images")
    different = whole.frame[whole.frame["source"] != whole.frame["target"]]
    assert len(different) == 5 * 2
    assert different[["ssim", "cycle", "diversity", "logit_along", "p_target_by_strict"]].notna().all(axis=None)
    assert whole.frame["identified"].isin([0.0, 1.0]).all()
    assert len(whole.frame) == 5 * (2 + 1)
    wrong = whole.frame.loc[whole.frame["query_predicted"] != whole.frame["source"], "query"].nunique()
    assert len(whole.table) == len(whole.frame) + 2 * wrong
    assert len(list((tmp_path / "images").rglob("*.png"))) == 5 + wrong
    for i in range(2):
        shard = opened.convert(oracles, tmp_path / f"images{i}", shard=(i, 2))
        shard.write(tmp_path / f"{i}.parquet")
    folders = [tmp_path / f"images{i}" for i in range(2)]
    gather([tmp_path / f"{i}.parquet" for i in range(2)], tmp_path / "whole.parquet", folders, tmp_path / "together")
    gathered = Tries.read(tmp_path / "whole.parquet")
    pd.testing.assert_frame_equal(gathered.table, whole.table, check_exact=True)
    assert gathered.shard == [0, 1]
    for path in (tmp_path / "images").rglob("*.png"):
        assert file_sha256(path) == file_sha256(tmp_path / "together" / path.relative_to(tmp_path / "images"))
    with pytest.raises(QuacError, match="is one of 2 shards"):
        gather_tries({"0.parquet": Tries.read(tmp_path / "0.parquet")})


def test_styles_are_shown_with_the_name_of_the_split_of_the_references(common, tmp_path):
    grids = SplitConversion(config_of("style_grids", "test"), *common).show_styles(tmp_path)
    assert (grids["split"], grids["references"], grids["step"]) == ("test", "train", 10)
    for grid in grids["grids"]:
        for row in grid["rows"]:
            for style in range(len(grid["styles"])):
                assert (tmp_path / f"{grid['kind']}/{grid['target']}/query{row['query']}_style{style}.png").is_file()
    pairs = [("across", "along")] * 3 + [("along", "across")] * 2
    found = [(row["kind"], row["source"], row["target"], row["try"]) for row in grids["typical"]]
    assert found == [(kind, *pair, 0) for kind in ("latent", "reference") for pair in pairs]
    for kind, source, target, _ in found:
        images = list((tmp_path / f"typical/{kind}/{source}/{target}").iterdir())
        assert len(images) == {"across": 3, "along": 2}[source]


def test_typical_tries_are_bounded_for_any_number_of_classes(common, tmp_path, monkeypatch):
    def shown(name):
        typical = SplitConversion(config_of("style_grids", "test"), *common).show_styles(tmp_path / name)["typical"]
        return Counter((row["kind"], row["source"], row["target"]) for row in typical)

    assert set(shown("all").values()) == {3, 2}
    monkeypatch.setattr("quac.evaluation.split_conversion.MAX_TYPICAL", 2)
    assert [*shown("one").values()] == [1] * 4  # of two pairs by two kinds of styles
    monkeypatch.setattr("quac.evaluation.split_conversion.MAX_TYPICAL", 1)
    assert [*shown("drawn").values()] == [1] * 2


def test_a_checkpoint_of_other_classes_is_refused(folder, common):
    other = ours(folder / "000020_nets_ema.ckpt", classes=["along", "across"])
    assert open_checkpoint(other, CPU)[0].classes == ["along", "across"]
    with pytest.raises(QuacError, match="along, across"):
        SplitConversion(config_of("score"), other, *common[1:])
