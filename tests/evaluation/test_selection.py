import numpy as np
import pandas as pd
import pytest
from helpers.builders import tiny_config, tries_of

from quac.config.evaluation import Selection
from quac.evaluation.selection import near_best, score_checkpoints, select, select_checkpoint, translation_rates
from quac.system.tables import write_table


def scores(rows):
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
    chosen = select(scores(rows).sample(frac=1, random_state=0), Selection(), [])
    assert chosen["step"] == step
    assert chosen["checkpoint"] == f"{step}.ckpt"
    assert why in chosen["why"]


def test_equal_counts_are_equal_rates_in_whatever_order_they_were_added_up():
    one, other = (sum(counts) / 6 for counts in ([1, 1, 1, 1, 1, 73 / 75], [73 / 75, 1, 1, 1, 1, 1]))
    rows = scores([(100, one, 0.5, 0.25), (200, other, 0.75, 0.25)])
    rows.loc[rows["step"] == 100, "conversion_rate"] += 2e-16
    assert select(rows, Selection(), [])["step"] == 200
    assert "share the highest conversion rate" in select(rows, Selection(), [])["why"]


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
    assert select(rows, Selection(metric="translation_rate"), [])["step"] == 100
    assert "highest average translation rate" in select(rows, Selection(metric="translation_rate"), [])["rule"]
    rows.loc[(rows["step"] == 100) & (rows["kind"] == "latent"), "conversion_rate"] = 0.9
    assert select(rows, Selection(kind="latent"), [])["step"] == 100
    assert "latent styles" in select(rows, Selection(kind="latent"), [])["rule"]
    assert select(rows, Selection(kind="reference"), [])["step"] == 200


ROWS = [(100, 0.5, 0.72, 0.1), (200, 0.5, 0.75, 0.3), (300, 0.9, 0.6, 0.05), (400, 0.5, 0.74, 0.2)]


@pytest.mark.parametrize(
    ("near", "identified", "step", "why"),
    [
        ([200], (0.5, 0.5, 0.5, 0.5), 200, "of the 1 of 4"),
        (
            [100, 200, 400],
            (0.5, 0.25, 1, 0.75),
            400,
            "translation rate, 0.7500, it has the highest identification, 0.75",
        ),
        ([100, 200, 400], (0.5, 0.5, 1, 0.25), 100, "0.5000, shared by 2; of those it is the nearest to the queries"),
        (
            [100, 200, 400],
            None,
            100,
            "of the 3 of 4 checkpoints within one standard error of the best translation rate",
        ),
        ([200, 400], None, 400, "it is the nearest to the queries (l1 0.2000)"),
    ],
)
def test_one_se_chooses_by_identification_then_by_the_change_of_the_queries(near, identified, step, why):
    rows = scores(ROWS)
    if identified:
        rows["identification"] = rows["step"].map(dict(zip((100, 200, 300, 400), identified, strict=True)))
    chosen = select(rows.sample(frac=1, random_state=0), Selection(rule="one_se"), near)
    assert chosen["step"] == step
    assert why in chosen["why"]
    assert "within one standard error" in chosen["rule"]
    assert ("highest identification" in chosen["rule"]) == (identified is not None)


def test_one_se_takes_the_earlier_of_equals():
    rows = scores([(200, 0.5, 0.75, 0.1), (100, 0.5, 0.75, 0.1)]).assign(identification=0.5)
    assert select(rows, Selection(rule="one_se"), [100, 200])["step"] == 100


def rates(**steps):
    """Rates of queries of classes a and b, {step: {class: rates}}."""
    columns = {int(step[1:]): [rate for rates in classes for rate in rates] for step, classes in steps.items()}
    first = next(iter(steps.values()))
    rows = [(name, f"{name}/{number}") for name, rates in zip("ab", first, strict=True) for number in range(len(rates))]
    return pd.DataFrame(columns, index=pd.MultiIndex.from_tuples(rows, names=["source", "query"]))


def test_checkpoints_are_compared_on_the_same_queries():
    """0.04 below the best in every query is worse, however much the queries differ; 0.04 on average may be chance."""
    rng = np.random.default_rng(0)
    of_query = rng.random((2, 40)) * 0.9
    chance = 0.04 + 0.4 * np.tile([1, -1], 20)
    table = rates(s100=of_query - 0.04, s200=of_query, s300=of_query - chance)
    assert (of_query.std(1) / np.sqrt(40) > 0.035).all()
    assert near_best(table) == [200, 300]


@pytest.mark.parametrize(("worse", "better", "near"), [(1, 0, True), (2, 0, False), (3, 1, True), (4, 1, False)])
def test_the_standard_error_is_mcnemars(worse, better, near):
    """b queries that only the best converts and c that only the other does: |b - c| <= sqrt(b + c)."""
    best, other = np.ones(20), np.ones(20)
    best[:better], other[better : better + worse] = 0, 0
    found = near_best(rates(s1=(other, other[:0]), s2=(best, best[:0])))
    assert found == ([1, 2] if near else [2])


def test_a_group_counts_as_one_query():
    best, other = np.ones(20), np.array([0.0] * 4 + [1.0] * 16)
    table = rates(s1=(other, other[:0]), s2=(best, best[:0]))
    assert near_best(table) == [2]
    groups = pd.Series(["one"] * 4 + [f"a/{n}" for n in range(4, 20)], index=[f"a/{n}" for n in range(20)])
    assert near_best(table, groups) == [1, 2]


def test_the_rates_of_both_style_kinds_are_one_rate_of_a_query():
    """Twice the same tries: the standard error is that of one kind, not smaller by sqrt(2)."""
    tables = []
    for step, called in {1: "bbba", 2: "bbbb"}.items():
        rows = [
            {"kind": kind, "try": 0, "source": s, "target": t, "query": f"{s}/{n}", "predicted": p, "l1": 0.5}
            for kind in ("latent", "reference")
            for s, t, predicted in (("a", "b", called), ("b", "a", "aaaa"))
            for n, p in enumerate(predicted)
        ]
        tables.append(tries_of(pd.DataFrame(rows), step=step, tries=1))
    both, one = (translation_rates(tables, kind) for kind in ("mean", "latent"))
    pd.testing.assert_frame_equal(both, one)
    assert both[1].tolist() == [1, 1, 1, 0, 1, 1, 1, 1]
    assert near_best(both) == [1, 2]  # one query, in both kinds
    tables[0].frame.loc[0, "predicted"] = "a"
    assert translation_rates(tables, "mean")[1].tolist() == [0.5, 1, 1, 0, 1, 1, 1, 1]
    assert translation_rates(tables, "latent")[1].tolist() == [0, 1, 1, 0, 1, 1, 1, 1]
    assert translation_rates(tables, "reference")[1].tolist() == [1, 1, 1, 0, 1, 1, 1, 1]


def test_the_rule_one_se_reads_the_tables(tmp_path):
    """Step 2 converts most, step 4 one query less; it keeps its queries better."""
    index = pd.DataFrame([{"class": name, "path": f"{name}/{n}", "group": ""} for name in "ab" for n in range(4)])
    write_table(tmp_path / "index.parquet", index, classes=["a", "b"], split="validation")
    for step, called, identified in ((2, "bbbb", 0.5), (4, "bbba", 1.0), (5, "aaaa", 1.0)):
        rows = [
            {"kind": "latent", "try": 0, "source": s, "target": t, "query": f"{s}/{n}", "predicted": p}
            for s, t, predicted in (("a", "b", called), ("b", "a", "aaaa"))
            for n, p in enumerate(predicted)
        ]
        frame = pd.DataFrame(rows).assign(l1=0.5, identified=identified)
        tries = tries_of(frame.assign(query_predicted=frame["source"]), step=step, checkpoint=f"{step}.ckpt", tries=1)
        tries.write(tmp_path / f"{step:06d}.parquet")
    config = tiny_config(run={"total_iters": 5, "save_every": 2}, selection={"rule": "one_se"})
    selected, rows = select_checkpoint(config, f"{tmp_path}/{{step:06d}}.parquet", tmp_path / "index.parquet")
    assert selected["step"] == 4
    assert "of the 2 of 3 checkpoints" in selected["why"]
    assert rows["identification"].tolist() == [0.5, 1, 1]
    assert rows["identification_chance"].tolist() == [0.25] * 3
