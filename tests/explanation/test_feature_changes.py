"""How features change: the statistics against literal versions, and the stage on files."""

import numpy as np
import pandas as pd
import pytest
from explanation import test_split_explanation
from explanation.test_split_explanation import CLASSES, explained
from PIL import Image
from scipy import stats

from quac.data.synthetic import CLASSES as SYNTHETIC
from quac.data.synthetic import Nuisance, draw_cell
from quac.explanation import feature_changes as module
from quac.explanation.feature_changes import feature_changes, holm, mean_of, write_feature_changes
from quac.explanation.features import FEATURES, measure
from quac.explanation.split_explanation import converted_tries
from quac.system.errors import QuacError
from quac.system.files import files_sha256, write_json
from quac.system.provenance import Provenance
from quac.system.tables import read_csv, read_table, write_table

store, folders, tries = (getattr(test_split_explanation, name) for name in ("store", "folders", "tries"))
NAMES = list(FEATURES)
SIGNED = ("generated_change", "counterfactual_change", "real_difference")


def vectors(rng, count, shifts):
    """(count, features) standard normal, the features of `shifts` ({name: shift}) moved."""
    values = rng.standard_normal((count, len(NAMES)))
    for name, shift in shifts.items():
        values[:, NAMES.index(name)] += shift
    return values


def frames(rng, queries=30, real=80, change=None, difference=None, noise=0.3):
    """(measured, real) of a pair a -> b whose features change, and whose classes differ, by so much."""
    query = vectors(rng, queries, {})
    generated = query + noise * vectors(rng, queries, {name: shift / noise for name, shift in (change or {}).items()})
    about = {"kind": "latent", "source": "a", "target": "b", "group": ""}
    measured = pd.DataFrame([about] * queries).assign(
        query=list(query), generated=list(generated), counterfactual=list((query + generated) / 2)
    )
    classes = {"a": vectors(rng, real, {}), "b": vectors(rng, real, difference or {})}
    images = [{"class": name, "group": "", "features": row} for name, rows in classes.items() for row in rows]
    return measured, pd.DataFrame(images)


def test_the_interval_and_p_are_those_of_the_t_test():
    values = np.random.default_rng(0).standard_normal(17) + 0.4
    mean, expected = mean_of(values), stats.ttest_1samp(values, 0)
    assert mean.p == pytest.approx(expected.pvalue)
    assert mean.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_the_difference_of_classes_is_that_of_welch():
    rng = np.random.default_rng(1)
    one, other = rng.standard_normal(9), 3 * rng.standard_normal(31) + 1
    mean, expected = mean_of(other).minus(mean_of(one)), stats.ttest_ind(other, one, equal_var=False)
    assert mean.p == pytest.approx(expected.pvalue)
    assert mean.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_queries_of_a_group_count_as_one():
    rng = np.random.default_rng(2)
    means = rng.standard_normal(12)
    values = means.repeat(4) + np.tile([-1, -0.5, 0.5, 1], 12)
    groups = np.array([f"patient {number}" for number in range(12)], object).repeat(4)
    mean, expected = mean_of(values, groups), stats.ttest_1samp(means, 0)
    assert mean.p == pytest.approx(expected.pvalue)
    assert mean.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert mean_of(values, np.full(48, "", object)) == mean_of(values)  # none are given
    assert mean_of(values, np.full(48, "all", object)) is None


def test_what_is_the_same_everywhere_is_certain():
    assert (mean_of(np.full(5, -1.0)).interval, mean_of(np.full(5, -1.0)).p) == ((-1, -1), 0)
    assert (mean_of(np.zeros(5)).interval, mean_of(np.zeros(5)).p) == ((0, 0), 1)
    assert mean_of(np.full(3, 0.1)).error == 0  # whose mean is not 0.1
    assert mean_of(np.zeros(5)).minus(mean_of(np.zeros(4))).interval == (0, 0)
    assert mean_of(np.zeros(1)) is mean_of(np.zeros(0)) is None


def test_holm_of_a_known_example():
    """Holm (1979) in the textbooks: .01, .04, .03, .005 are multiplied by 3, 1, 2, 4, and never fall again."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]).tolist() == [1, 1]
    assert holm([0.02]).tolist() == [0.02]


def literal(measured, real):
    """The numbers of each feature, by loops and scipy."""
    rows = {}
    for number, name in enumerate(NAMES):
        query, generated, counterfactual = (
            [vector[number] for vector in measured[column]] for column in ("query", "generated", "counterfactual")
        )
        a, b = ([row["features"][number] for _, row in real.iterrows() if row["class"] == label] for label in "ab")
        row = {"query": np.mean(query), "real_source": np.mean(a), "real_target": np.mean(b)}
        for column, values in (("generated_change", generated), ("counterfactual_change", counterfactual)):
            test = stats.ttest_1samp([after - before for after, before in zip(values, query, strict=True)], 0)
            row |= dict(zip((f"{column}_low", f"{column}_high"), test.confidence_interval(0.95), strict=True))
            row |= {column: np.mean(values) - np.mean(query), f"{column}_raw": test.pvalue}
        test = stats.ttest_ind(b, a, equal_var=False)
        row |= {"real_difference": np.mean(b) - np.mean(a), "real_difference_raw": test.pvalue}
        row |= dict(zip(("real_difference_low", "real_difference_high"), test.confidence_interval(0.95), strict=True))
        row["real_sd"] = np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 2)  # of equally many
        rows[name] = row
    table = pd.DataFrame(rows).T
    for column in SIGNED:
        raw = table[f"{column}_raw"].to_numpy()
        ranks = [sorted(raw).index(p) for p in raw]
        steps = [(len(raw) - rank) * p for rank, p in zip(range(len(raw)), sorted(raw), strict=True)]
        table[f"{column}_p"] = [min(1, max(steps[: rank + 1])) for rank in ranks]
    return table.drop(columns=[f"{column}_raw" for column in SIGNED])


def test_the_table_is_that_of_a_literal_version():
    measured, real = frames(np.random.default_rng(3), change={"holes": -0.4, "area": 0.1}, difference={"holes": -1.0})
    changes, left_out = feature_changes(measured, real)
    expected = literal(measured, real)
    assert changes["feature"].tolist() == NAMES
    assert left_out == []
    for column in expected:
        assert changes[column].tolist() == pytest.approx(expected[column].tolist()), column
    assert changes["conversions"].eq(30).all()
    assert changes["undefined"].eq(0).all()
    differs = changes["real_difference_p"] < 0.05
    assert changes.loc[differs, "feature"].tolist() == ["holes"]
    holes = changes.set_index("feature").loc["holes"]
    assert holes["generated_share"] == pytest.approx(holes["generated_change"] / holes["real_difference"])
    assert holes["counterfactual_share"] == pytest.approx(holes["generated_share"] / 2)
    assert changes.loc[~differs, ["generated_share", "counterfactual_share"]].isna().all(axis=None)
    numbers = changes.drop(columns=["generated_share", "counterfactual_share"])
    assert numbers.notna().all(axis=None)


def test_a_strong_change_where_the_classes_do_not_differ_is_excess():
    change = {"holes": 3.0, "area": 1.2, "objects": 0.4, "perimeter": 3.0}
    measured, real = frames(np.random.default_rng(0), real=400, change=change, difference={"holes": 3.0})
    changes, _ = feature_changes(measured, real)
    # The classes differ in holes. Objects change more than the classes differ, but little.
    assert changes.loc[changes["excess"], "feature"].tolist() == ["area", "perimeter"]
    objects = changes.set_index("feature").loc["objects"]
    assert objects["generated_change_p"] < 0.05
    assert objects["generated_change_low"] > objects["real_difference_high"]
    few, _ = feature_changes(measured, real.groupby("class").head(3))
    assert not few.set_index("feature").loc["area", "excess"]  # three images a class do not show that they are equal


def test_what_images_do_not_have_is_left_out_and_counted():
    measured, real = frames(np.random.default_rng(5))
    holes, red, area = (NAMES.index(name) for name in ("holes", "mean of red", "area"))
    for row in (0, 1, 2):
        measured["generated"][row][holes] = np.nan
    measured["query"][3][holes] = np.nan
    for row in range(len(measured) - 1):
        measured["counterfactual"][row][area] = np.nan
    for column in ("query", "generated", "counterfactual"):
        for vector in measured[column]:
            vector[red] = np.nan
    for vector in real["features"]:
        vector[red] = np.nan  # grey images
    real["features"][0][holes] = np.nan
    changes, left_out = feature_changes(measured, real)
    by_name = changes.set_index("feature")
    assert by_name.loc["holes", ["conversions", "undefined"]].tolist() == [26, 4]
    kept = [vector[holes] for vector in real["features"][1:80]]
    assert by_name.loc["holes", "real_source"] == pytest.approx(np.mean(kept))
    assert left_out == [{"kind": "latent", "source": "a", "target": "b", "feature": "area"}]
    assert set(NAMES) - set(by_name.index) == {"area", "mean of red"}
    assert changes.drop(columns=["generated_share", "counterfactual_share"]).notna().all(axis=None)


def test_a_pair_without_images_of_a_class_is_left_out_as_a_whole():
    measured, real = frames(np.random.default_rng(6))
    changes, left_out = feature_changes(measured, real[real["class"] == "a"])
    assert changes.empty
    assert [entry["feature"] for entry in left_out] == NAMES
    assert feature_changes(measured[:0], real)[1] == []


def cells(name, looks, images):
    """The features of synthetic cells of a class, if these looked like those of another: (images, features)."""
    drawn = []
    for number in range(images):
        rng = np.random.default_rng([list(SYNTHETIC).index(name), number])
        cell = Nuisance.draw(rng, 64)
        drawn.append(list(measure(draw_cell(cell, SYNTHETIC[looks], rng.standard_normal((64, 64, 3)))).values()))
    return np.array(drawn)


def test_what_makes_synthetic_classes_is_found():
    """Ideal conversions change the nucleus alone: its holes and its shape, as much as the classes differ."""
    names = ("round", "long", "spotted")
    real = pd.DataFrame(
        [{"class": name, "group": "", "features": row} for name in names for row in cells(name, name, 45)]
    )
    parts = []
    for source, target in ((a, b) for a in names for b in names if a != b):
        made = {"query": cells(source, source, 15), "generated": cells(source, target, 15)}
        columns = {name: list(rows) for name, rows in {**made, "counterfactual": made["generated"]}.items()}
        parts.append(pd.DataFrame({"source": source, "target": target, "kind": "latent", "group": "", **columns}))
    changes, left_out = feature_changes(pd.concat(parts), real)
    assert left_out == []
    assert not changes["excess"].any()
    found = changes.set_index(["source", "target", "feature"])
    for a, b, feature in (
        ("round", "spotted", "holes"),
        ("long", "spotted", "holes"),
        ("round", "long", "eccentricity"),
    ):
        for pair in ((a, b), (b, a)):
            row = found.loc[(*pair, feature)]
            assert row["generated_share"] == pytest.approx(1, abs=0.25)
            assert row["generated_change_p"] < 0.01
    assert found.loc["round", "spotted", "holes"]["generated_change"] == pytest.approx(4, abs=0.6)
    nuisance = found.loc[(slice(None), slice(None), ["mean intensity", "mean of red"]), "generated_share"]
    assert nuisance.isna().all()


@pytest.fixture
def key(tmp_path):
    write_json(tmp_path / "key.json", {"stage": "features"})
    return tmp_path / "key.json"


@pytest.fixture
def table(tries, store, folders, tmp_path):
    """The path of a table of explanations."""
    frame = explained(converted_tries(tries, None, 0), store, folders, tmp_path, methods=["d_ig", "residual"])
    paths = {name: path.name for name, path in vars(folders).items()}
    write_table(tmp_path / "latent.parquet", frame, paths=paths)
    return tmp_path / "latent.parquet"


def written(table, key, tmp_path, workers=0):
    queries = tmp_path / "queries/pixels.store", tmp_path / "queries/index.parquet"
    out = tmp_path / "features.parquet", tmp_path / "features.csv"
    write_feature_changes([table], *queries, *out, workers, Provenance("features", key))
    return read_table(out[0])


def test_the_stage_measures_the_files(table, key, folders, store, tmp_path):
    changes = written(table, key, tmp_path)
    assert changes.groupby(["source", "target"], sort=False)["feature"].apply(list).map(len).gt(10).all()
    row = changes.set_index(["source", "target", "feature"]).loc["dark", "bright", "mean intensity"]
    rows = read_table(table)
    rows = rows[rows["best"] & (rows["source"] == "dark")]
    images = {path: store[number][0] / 255 for number, path in enumerate(store.paths)}
    queries = [images[path].mean() for path in rows["query"]]
    counterfactuals = [
        np.asarray(Image.open(folders.counterfactuals / method / f"{file}.png")).mean() / 255
        for method, file in zip(rows["method"], rows["file"], strict=True)
    ]
    generated = [np.asarray(Image.open(folders.generated / f"{file}.png")).mean() / 255 for file in rows["file"]]
    assert row["query"] == pytest.approx(np.mean(queries))
    assert row["counterfactual_change"] == pytest.approx(np.mean(counterfactuals) - np.mean(queries))
    assert row["generated_change"] == pytest.approx(np.mean(generated) - np.mean(queries))
    means = {
        name: [images[path].mean() for path in store.paths[store.labels == number]]
        for number, name in enumerate(CLASSES)
    }
    assert row["real_difference"] == pytest.approx(np.mean(means["bright"]) - np.mean(means["dark"]))
    assert changes.attrs["provenance"]["files"] == {"explanations": files_sha256([table])}
    assert read_csv(tmp_path / "features.csv")["feature"].tolist() == changes["feature"].tolist()


def test_the_number_of_processes_changes_nothing(table, key, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 1)
    alone = written(table, key, tmp_path)
    pd.testing.assert_frame_equal(written(table, key, tmp_path, workers=2), alone)


def test_queries_that_the_classifier_gets_wrong_do_not_count(table, key, tmp_path):
    rows = read_table(table)
    write_table(table, rows.assign(right=rows["source"] == "dark"), **rows.attrs)
    assert set(written(table, key, tmp_path)["source"]) == {"dark"}
    write_table(table, rows.assign(right=False), **rows.attrs)
    assert written(table, key, tmp_path).empty


def test_a_lost_image_is_named_with_its_folder(table, key, folders, tmp_path):
    for path in folders.counterfactuals.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(QuacError, match=rf"\.png: .*Delete the folder {folders.counterfactuals} and run the workflow"):
        written(table, key, tmp_path)
