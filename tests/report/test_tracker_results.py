"""What a tracker gets: the rates are those of the matrices."""

import pandas as pd
import yaml
from helpers.builders import tiny_config
from helpers.wandb_file import OfflineRun

from quac.config.choices import STYLE_KINDS
from quac.evaluation.metrics import RATES
from quac.report.tracker_results import collect_results, send_results
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
    for kind in STYLE_KINDS:
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


ID = "0123456789abcdef"


def track(finished, folder, **log):
    html, numbers, _ = inputs(finished)
    checkpoints = {"4": {"file": f"moved/state/{ID}/000004_nets_ema.ckpt", "sha256": "d"}}
    write_json(folder / "trained.json", {"end": 4, "id": "abc", "checkpoints": checkpoints})
    (folder / "config.yaml").write_text(yaml.safe_dump(tiny_config(log=log).model_dump(mode="json")))
    scores = str(finished.root / "selection/{step:06d}.parquet")
    return send_results(folder / "config.yaml", folder / "trained.json", scores, html, numbers)


def test_results_are_added_to_the_run_of_the_training(finished, tmp_path):
    assert track(finished, tmp_path, mode="offline") == {"tracker": "wandb", "added": True}
    run_id = id_of("abc", tiny_config().solver.root_dir)
    assert run_id != id_of("abc", "results/another")
    written = OfflineRun(tmp_path / f"state/{ID}/wandb", run_id)
    rates = collect_results(*inputs(finished))
    name = "translation_rate_latent/across/along"
    assert written.summary[name] == rates.rates[rates.step][name]
    assert written.steps == []


def test_a_failing_tracker_is_only_logged(finished, tmp_path, monkeypatch):
    monkeypatch.setattr("quac.training.tracking.wandb_run.wandb.init", lambda **_: 1 / 0)
    assert track(finished, tmp_path, mode="offline") == {"tracker": "wandb", "added": False}
    assert track(finished, tmp_path, mode="disabled") == {"tracker": "none", "added": False}
