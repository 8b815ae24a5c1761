"""The whole chain on tiny images: what it makes, and that the numbers agree from one file to the next."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from helpers.builders import ROOT, command
from PIL import Image

from quac.config.choices import STYLE_KINDS
from quac.config.resolve import resolve
from quac.system.files import read_json
from quac.system.tables import read_table


def test_every_result_lies_in_its_place(finished):
    root = finished.root
    expected = [
        "config.yaml",
        "data/train.parquet",
        "data/train.store",
        "data/checks.json",
        "classifier/classifier.pt",
        "classifier/oracle.pt",
        "classifier/oracle.json",
        "classifier/check.json",
        "training/trained.json",
        "training/history.csv",
        "training/samples/000004.png",
        "classifier/fit.json",
        "checkpoints/000002_nets_ema.ckpt",
        "checkpoints/000004_nets_ema.ckpt",
        "selection/000002.parquet",
        "selection/selected.json",
        "selection/scores.csv",
        *(f"conversion/{split}/{kind}.parquet" for split in ("validation", "test") for kind in STYLE_KINDS),
        *(
            f"evaluation/test/{kind}_{metric}_rate.csv"
            for kind in STYLE_KINDS
            for metric in ("translation", "conversion")
        ),
        *(f"evaluation/test/{kind}_cells.{ending}" for kind in STYLE_KINDS for ending in ("csv", "parquet")),
        "evaluation/test/controls.json",
        "styles/test.json",
    ]
    assert [name for name in expected if not (root / name).is_file()] == []
    assert (finished.folder / "reports/tiny.html").is_file()
    assert (finished.folder / "reports/tiny-explorer.html").is_file()


def test_every_image_of_validation_and_test_is_converted(finished):
    for split, count in (("validation", 5), ("test", 4)):
        for kind in STYLE_KINDS:
            table = read_table(finished.root / f"conversion/{split}/{kind}.parquet")
            table = table[~table["correction"]]
            assert len(table) == 2 * count * (2 + 1)  # two tries into the other class, one into its own
            for source, target in (("along", "across"), ("across", "along")):
                folder = finished.root / "generated_images" / split / kind / source / target
                names = sorted(path.name for path in (finished.folder / "data" / split / source).iterdir())
                assert sorted(path.name for path in folder.iterdir()) == names
                assert Image.open(folder / names[0]).size == (32, 32)


def test_a_table_row_records_its_query_style_and_classes(finished):
    table = read_table(finished.root / "conversion/test/reference.parquet")
    assert {"query", "digest", "source", "target", "predicted", "try", "style", "p_source", "p_target", "l1"} <= set(
        table
    )
    wrong = table["query_predicted"] != table["source"]
    assert set(table.loc[wrong, "query"]) == set(table.loc[table["correction"], "query"])
    table = table[~table["correction"]]
    drawn, diagonal = (table[(table["source"] != table["target"]) == apart] for apart in (True, False))
    assert set(diagonal["style"]) == {"own"}
    assert set(diagonal["try"]) == {0}
    assert set(table["identified"]) <= {0.0, 1.0}
    assert all((finished.folder / "data/train" / style).is_file() for style in drawn["style"])
    assert (drawn["style"].str.split("/").str[0] == drawn["target"]).all()
    assert table.attrs["classes"] == ["across", "along"]
    assert table.attrs["tries"] == 2


def test_matrices_agree_with_the_tables(finished):
    for split in ("validation", "test"):
        for kind in STYLE_KINDS:
            table = read_table(finished.root / f"conversion/{split}/{kind}.parquet")
            table = table[~table["correction"]]
            hit = table.assign(hit=table["predicted"] == table["target"])
            folder = finished.root / "evaluation" / split
            translation, conversion = (
                pd.read_csv(folder / f"{kind}_{name}_rate.csv", index_col=0) for name in ("translation", "conversion")
            )
            cells = pd.read_csv(folder / f"{kind}_cells.csv").set_index(["source", "target"])
            for pair, rows in hit.groupby(["source", "target"]):
                assert translation.loc[pair] == cells.loc[pair, "translation_rate"] == rows["hit"].mean()
                assert conversion.loc[pair] == rows.groupby("query")["hit"].max().mean()
                assert len({cells.loc[pair, name] for name in ("expected", "found", "scored")}) == 1
                assert cells.loc[pair, "tries"] == len(rows)


def test_scores_are_of_the_same_tries_as_the_conversion_of_the_selected_checkpoint(finished):
    """The number by which a checkpoint is chosen is the number that is reported: the same tries, the same styles."""
    step = read_json(finished.root / "selection/selected.json")["step"]
    scored = read_table(finished.root / f"selection/{step:06d}.parquet")
    for kind in STYLE_KINDS:
        converted = read_table(finished.root / f"conversion/validation/{kind}.parquet")
        converted = converted[converted["source"] != converted["target"]]
        scored_too = scored[scored["kind"] == kind].reset_index(drop=True)
        pd.testing.assert_frame_equal(scored_too, converted[scored.columns].reset_index(drop=True))


def test_quac_convert_gives_the_images_of_the_run(finished, tmp_path):
    chosen = finished.folder / read_json(finished.root / "selection/selected.json")["checkpoint"]
    done = command(
        *("convert", finished.folder / "data/test/across", "--model", chosen, "--to", "along", "--tries", 2),
        *("--classifier", finished.root / "classifier/classifier.pt", "--out", tmp_path, "--threads", 1),
    )
    assert done.status == 0, done.output
    made = sorted((finished.root / "generated_images/test/latent/across/along").iterdir())
    assert len(made) == 4
    for path in made:
        ours, theirs = (np.asarray(Image.open(file)).astype(int) for file in (tmp_path / path.name, path))
        assert np.abs(ours - theirs).max() <= 1
    tries = read_table(finished.root / "conversion/test/latent.parquet")
    tries = tries[(tries["source"] == "across") & (tries["target"] == "along")]
    by_hand = pd.read_csv(tmp_path / "tries.csv").sort_values(["digest", "try"], ignore_index=True)
    tries = tries.sort_values(["digest", "try"], ignore_index=True)
    assert by_hand["style"].tolist() == tries["style"].tolist()
    assert np.allclose(by_hand["p_target"], tries["p_target"], atol=1e-5)


def test_checkpoints_have_the_published_names(finished):
    content = torch.load(finished.root / "checkpoints/000004_nets_ema.ckpt", weights_only=True)
    assert list(content) == ["generator", "mapping_network", "style_encoder", "quac"]
    assert content["quac"]["classes"] == ["across", "along"]


def test_the_resolved_config_gives_the_same_run(finished):
    config = resolve(yaml.safe_load((finished.root / "config.yaml").read_text()))
    assert config == resolve(finished.config)


def test_the_report_holds_its_numbers_and_no_reference_to_elsewhere(finished):
    html = (finished.folder / "reports/tiny.html").read_text()
    numbers = read_json(finished.folder / "reports/tiny.json")
    assert len(html) < 5_000_000
    others = {link.partition("#")[0] for link in re.findall(r'(?:src|href)="(?!data:|#)([^"]*)', html)}
    assert others == {"./tiny-explorer.html"}  # beside it
    for matrix in numbers["matrices"]:
        cells = pd.read_csv(finished.root / f"evaluation/{matrix['split']}/{matrix['kind']}_cells.csv")
        assert matrix["cells"] == cells.astype(object).where(cells.notna(), None).to_dict("records")
    stages = {"index", "check_splits", "train", "convert", "controls", "show_styles"}
    assert {stage["stage"] for stage in numbers["stages"]} >= stages
    assert all(len(key) == 64 for stage in numbers["stages"] for key in stage["keys"])
    assert numbers["selection"]["step"] in (2, 4)
    history = numbers["training"]["history"]
    assert len(history["step"]) == 4
    assert [rate is not None for rate in history["translation_rate_latent"]] == [False, False, False, True]  # the last
    assert "They are for monitoring only and did not choose the checkpoint." in " ".join(html.split())


@pytest.mark.parametrize(
    "target",
    [
        "data/test.parquet",
        "data/validation.store",
        "data/checks.json",
        "classifier/classifier.pt",
        "classifier/oracle.pt",
        "classifier/oracle.json",
        "classifier/check.json",
        "keys/train.json",
        "config.yaml",
        "training/trained.json",
        "checkpoints/000002_nets_ema.ckpt",
        "selection/000004.parquet",
        "selection/selected.json",
        "conversion/test/latent.parquet",
        "generated_images/test/latent",
        "evaluation/validation/reference_conversion_rate.csv",
        "evaluation/test/controls.json",
        "styles/test.json",
    ],
)
def test_every_result_can_be_requested_by_itself(finished, target):
    assert finished.plan(f"results/tiny/{target}") == {}


def test_a_step_that_is_not_saved_is_named(finished):
    output = finished.run("-n", "results/tiny/checkpoints/000003_nets_ema.ckpt", check=False).output
    assert "step 3 is not saved; saved are [2, 4] (run.save_every, run.save_from)" in output


def test_the_program_is_found_without_an_activated_environment(finished):
    assert Path(sys.executable).parent.name == "bin"
    assert "quac" in finished.run("-n", "-p", "--forceall").output


def test_the_picture_of_the_rules_is_up_to_date():
    snakemake = Path(sys.executable).with_name("snakemake")
    graph = subprocess.run([snakemake, "--rulegraph"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    drawn = re.findall(r"<text[^>]*>(\w+)</text>", (ROOT / "docs/rules.svg").read_text())
    assert sorted(drawn) == sorted(re.findall(r'label = "(\w+)"', graph)), "run `make docs`"
