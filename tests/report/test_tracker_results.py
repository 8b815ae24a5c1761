"""What a tracker is told: the rates are those of the matrices."""

import json

import pandas as pd
from helpers.builders import tiny_config
from helpers.wandb_file import OfflineRun
from typer.testing import CliRunner

from quac.cli.command import app
from quac.config.evaluation import KINDS
from quac.evaluation.metrics import RATES
from quac.report.tracker_results import collect_results
from quac.system.files import read_json, write_json
from quac.training.tracking.base import id_of


def inputs(finished):
    scores = [finished.root / f"selection/{step:06d}.parquet" for step in (2, 4)]
    return finished.folder / "reports/tiny.html", finished.folder / "reports/tiny.json", scores


def test_rates_and_matrices_are_those_of_the_evaluation(finished):
    results = collect_results(*inputs(finished))
    assert list(results.rates) == [2, 4]
    assert results.step == read_json(finished.root / "selection/selected.json")["step"]
    averages = pd.read_csv(finished.root / "selection/scores.csv").set_index(["step", "kind"])
    for kind in KINDS:
        for metric in RATES:
            for split in ("validation", "test"):
                path = finished.root / f"evaluation/{split}/{kind}_{metric}.csv"
                table = results.tables[f"{split}_{kind}_{metric}"]
                pd.testing.assert_frame_equal(table, pd.read_csv(path, index_col=0), check_names=False)
            table = results.tables[f"validation_{kind}_{metric}"]
            for source, target in (("across", "along"), ("along", "across")):
                rate = results.rates[results.step][f"{metric}_{kind}/{source}/{target}"]
                assert abs(rate - table.loc[source, target]) < 1e-12
            for step, rates in results.rates.items():
                assert abs(rates[f"{metric}_{kind}"] - averages.loc[(step, kind), metric]) < 1e-12


def track(finished, folder, **log):
    html, numbers, scores = inputs(finished)
    write_json(folder / "marker.json", {"end": 4, "checkpoints": {"4": {"file": str(folder / "states/abc/4.ckpt")}}})
    words = ["track-results", "--marker", folder / "marker.json", "--html", html, "--numbers", numbers]
    words += [word for path in scores for word in ("--scores", path)]
    words += ["--config", json.dumps(tiny_config(log=log).model_dump()), "--out", folder / "tracked.json"]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return read_json(folder / "tracked.json")


def test_the_command_adds_them_to_the_run_of_the_training(finished, tmp_path):
    assert track(finished, tmp_path, mode="offline") == {"tracker": "wandb", "added": True}
    run_id = id_of("abc", tiny_config().solver.root_dir)
    assert run_id != id_of("abc", "results/another")
    written = OfflineRun(tmp_path / "states/abc/wandb", run_id)
    rates = collect_results(*inputs(finished))
    name = "translation_rate_latent/across/along"
    assert written.summary[name] == rates.rates[rates.step][name]
    assert written.steps == []


def test_the_command_fails_nothing(finished, tmp_path, monkeypatch):
    monkeypatch.setattr("quac.training.tracking.wandb_run.wandb.init", lambda **_: 1 / 0)
    assert track(finished, tmp_path, mode="offline") == {"tracker": "wandb", "added": False}
    assert track(finished, tmp_path, mode="disabled") == {"tracker": "none", "added": False}
