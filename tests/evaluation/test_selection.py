import pandas as pd
import pytest

from quac.config.evaluation import Selection
from quac.evaluation.selection import score_checkpoints, select


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


def test_scores_are_worked_out_per_step_and_kind():
    index = pd.DataFrame({"class": ["a", "b"], "path": ["a/0", "b/0"]})
    index.attrs = {"classes": ["a", "b"]}
    tables = {}
    for step, called in ((200, "b"), (100, "a")):
        about = {"try": 0, "predicted": called, "l1": 0.5}
        table = pd.DataFrame(
            [
                {**about, "kind": kind, "source": s, "target": t, "query": f"{s}/0", "query_predicted": s}
                for kind in ("latent", "reference")
                for s, t in (("a", "b"), ("b", "a"))
            ]
        )
        table.attrs = {"step": step, "checkpoint": f"{step}.ckpt", "tries": 1, "max_per_class": None}
        tables[f"{step}.parquet"] = table
    rows = score_checkpoints(tables, index)
    assert rows["step"].tolist() == [100, 100, 200, 200]
    assert rows["kind"].tolist() == ["latent", "reference"] * 2
    assert (rows["conversion_rate"] == 0.5).all()


def test_the_kind_and_the_metric_are_those_that_are_asked_for():
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
def test_of_those_within_one_standard_error_the_one_that_changes_least(rows, error, step, why):
    chosen = select(scores(rows, error), Selection(rule="one_se"))
    assert chosen["step"] == step
    assert why in chosen["why"]
    assert "within one standard error" in chosen["rule"]
