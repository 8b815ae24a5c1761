import pandas as pd
import pytest
from helpers.builders import tiny_config, tries_of

from quac.config.evaluation import Selection
from quac.evaluation.selection import score_checkpoints, select, select_checkpoint
from quac.system.tables import write_table


def scores(rows, error=0.01):
    """Rows of (step, conversion, translation, l1), the same in both kinds but for a difference that cancels."""
    return pd.DataFrame(
        [
            {
                "step": step,
                "kind": kind,
                "checkpoint": f"{step}.ckpt",
                "conversion_rate": conversion + sign * 0.125,
                "translation_rate": translation + sign * 0.125,
                "l1": l1,
                "conversion_rate_standard_error": error,
                "translation_rate_standard_error": error,
            }
            for step, conversion, translation, l1 in rows
            for kind, sign in (("latent", 1), ("reference", -1))
        ]
    )


@pytest.mark.parametrize(
    ("rows", "step", "why"),
    [
        ([(100, 0.5, 0.5, 0.1), (200, 0.75, 0.25, 0.3), (300, 0.625, 0.75, 0.1)], 200, "is the highest of 3"),
        (
            [(100, 0.75, 0.5, 0.1), (200, 0.75, 0.625, 0.3)],
            200,
            "its translation rate, 0.6250, is the highest of these",
        ),
        ([(100, 0.75, 0.5, 0.25), (200, 0.75, 0.5, 0.125)], 200, "nearest to the queries (l1 0.1250)"),
        ([(100, 0.75, 0.5, 0.25), (200, 0.75, 0.5, 0.25)], 100, "shared by 2"),
        ([(100, 0.75, 0.5, 0.25)], 100, "is the highest of 1"),
    ],
)
def test_the_rule(rows, step, why):
    chosen = select(scores(rows).sample(frac=1, random_state=0), Selection())
    assert chosen["step"] == step
    assert chosen["checkpoint"] == f"{step}.ckpt"
    assert why in chosen["why"]


def test_equal_counts_are_equal_rates_in_whatever_order_they_were_added_up():
    one, other = (sum(counts) / 6 for counts in ([1, 1, 1, 1, 1, 73 / 75], [73 / 75, 1, 1, 1, 1, 1]))
    rows = scores([(100, one, 0.5, 0.25), (200, other, 0.75, 0.25)])
    rows.loc[rows["step"] == 100, "conversion_rate"] += 2e-16
    assert select(rows, Selection())["step"] == 200
    assert "share the highest conversion rate" in select(rows, Selection())["why"]


def test_scores_are_computed_per_step_and_kind():
    tables = tables_of({200: "b", 100: "a"})
    rows = score_checkpoints(tables, index_of())
    assert rows["step"].tolist() == [100, 100, 200, 200]
    assert rows["kind"].tolist() == ["latent", "reference"] * 2
    assert (rows["conversion_rate"] == 0.5).all()


def test_the_tables_of_all_saved_steps_are_compared(tmp_path):
    for path, tries in tables_of({step: "a" for step in (2, 4, 5)}).items():
        tries.write(tmp_path / path)
    index = index_of()
    write_table(tmp_path / "index.parquet", index, **index.attrs)
    config = tiny_config(run={"total_iters": 5, "save_every": 2})
    selected, rows = select_checkpoint(config, f"{tmp_path}/{{step:06d}}.parquet", tmp_path / "index.parquet")
    assert rows["step"].unique().tolist() == config.steps == [2, 4, 5]
    assert (selected["step"], selected["checkpoint"], selected["split"]) == (2, "2.ckpt", "validation")


def index_of():
    index = pd.DataFrame({"class": ["a", "b"], "path": ["a/0", "b/0"]})
    index.attrs = {"classes": ["a", "b"], "split": "validation"}
    return index


def tables_of(predicted):
    """{file name: Tries} of {step: the class that the judge gives to all images}."""
    tables = {}
    for step, called in predicted.items():
        about = {"try": 0, "predicted": called, "l1": 0.5}
        table = pd.DataFrame(
            [
                {**about, "kind": kind, "source": s, "target": t, "query": f"{s}/0", "query_predicted": s}
                for kind in ("latent", "reference")
                for s, t in (("a", "b"), ("b", "a"))
            ]
        )
        tables[f"{step:06d}.parquet"] = tries_of(table, step=step, checkpoint=f"{step}.ckpt", tries=1)
    return tables


def test_the_kind_and_the_metric_are_the_configured_ones():
    rows = scores([(100, 0.5, 0.75, 0.1), (200, 0.75, 0.5, 0.1)])
    assert select(rows, Selection(metric="translation_rate"))["step"] == 100
    assert "highest average translation rate" in select(rows, Selection(metric="translation_rate"))["rule"]
    rows.loc[(rows["step"] == 100) & (rows["kind"] == "latent"), "conversion_rate"] = 0.9
    assert select(rows, Selection(kind="latent"))["step"] == 100
    assert "latent styles" in select(rows, Selection(kind="latent"))["rule"]
    assert select(rows, Selection(kind="reference"))["step"] == 200


@pytest.mark.parametrize(
    ("rows", "error", "step", "why"),
    [
        # means of two kinds: their standard error is error / sqrt(2)
        ([(100, 0.70, 0.70, 0.1), (200, 0.75, 0.75, 0.3)], 0.08, 100, "of the 2 of 2"),
        ([(100, 0.70, 0.70, 0.1), (200, 0.75, 0.75, 0.3)], 0.06, 200, "of the 1 of 2"),
        ([(100, 0.75, 0.60, 0.1), (200, 0.75, 0.75, 0.3)], 0.08, 200, "of the 1 of 2"),  # near in one rate alone
        ([(100, 0.75, 0.75, 0.1), (200, 0.75, 0.75, 0.1)], 0.08, 100, "of the 2 of 2"),
        ([(100, 0.80, 0.50, 0.3), (200, 0.60, 0.80, 0.1)], 0.08, 100, "none is within one standard error"),
    ],
)
def test_one_se_chooses_the_one_that_changes_the_queries_least(rows, error, step, why):
    chosen = select(scores(rows, error), Selection(rule="one_se"))
    assert chosen["step"] == step
    assert why in chosen["why"]
    assert "within one standard error" in chosen["rule"]
