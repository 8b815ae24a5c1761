"""The metrics of tries, the table of tries, and conversion in parts."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.builders import converter_of, judging, make_store, save_classifier, styles_of, tiny_config
from torch import nn
from torchmetrics.functional.image import structural_similarity_index_measure

from quac.classifier.judge import Judge
from quac.conversion.chosen import chosen_queries
from quac.conversion.engine import QueryBatch, TryBatch, convert
from quac.data.batches import as_written, load
from quac.evaluation.metrics import METRICS, diversity
from quac.evaluation.tries import Tries, measure_tries
from quac.models.starganv2.networks import build_networks
from quac.system.errors import QuacError

CPU, CLASSES = torch.device("cpu"), ["a", "b", "c"]
CONFIG = tiny_config()


class Spread(nn.Module):
    """Three logits of an image: its mean, its spread, and a constant."""

    def forward(self, x):
        flat = x.flatten(1)
        return torch.stack([flat.mean(1) * 5, flat.std(1) * 5, torch.zeros(len(x))], 1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A function that converts three classes of 1, 4 and 5 images by untrained networks."""
    folder = tmp_path_factory.mktemp("details")
    store = make_store(folder, {"a": 1, "b": 4, "c": 5})
    torch.manual_seed(0)
    networks = build_networks(CONFIG.model, 3).eval().requires_grad_(False)
    path = save_classifier(folder / "c.pt", Spread())
    first, second = (Judge(path, judging(scale=scale), CONFIG.model, CLASSES, CPU) for scale in (1.0, -1.0))

    converter = converter_of(networks, CLASSES)

    def make(detailed=True, tries=3, **options):
        measure = partial(measure_tries, {"other": second}, CLASSES) if detailed else None
        how = {"tries": tries, "batch_size": 4, "measure": measure, "diagonal": detailed}
        return convert(converter, first, store, styles_of(converter, store), **how, **options)

    return SimpleNamespace(convert=make, store=store, networks=networks, first=first, second=second, table=make())


def converted(made, x, style):
    """As a file of 8 bits holds it."""
    return as_written(made.networks["generator"](x, style), 2.0, -1.0, torch.uint8)


def query_of(made, row):
    return load(made.store, [made.store.paths.tolist().index(row.query)], CPU, 2.0, -1.0)


def own_style(made, x, name):
    return made.networks["style_encoder"](x, torch.tensor([CLASSES.index(name)]))


def test_every_query_is_converted_into_its_class_once_a_kind(made):
    """By its own style, or by the first latent that is drawn for it."""
    diagonal = made.table[(made.table["source"] == made.table["target"]) & ~made.table["correction"]]
    assert len(diagonal) == 2 * len(made.store)
    assert not diagonal.duplicated(["kind", "query"]).any()
    assert set(diagonal["try"]) == {0}
    assert set(diagonal[diagonal["kind"] == "reference"]["style"]) == {"own"}
    latents = styles_of(converter_of(made.networks, CLASSES), made.store)["latent"]
    for row in diagonal.itertuples():
        x = query_of(made, row)
        style = own_style(made, x, row.source)
        if row.kind == "latent":
            style, [name] = latents.draw([row.digest], CLASSES.index(row.source), 0)
            assert row.style == name
        image = converted(made, x, style)
        assert row.l1 == pytest.approx((image - x).abs().mean().item(), abs=5e-5)
        assert row.best


def test_queries_that_the_classifier_gets_wrong_are_converted_into_their_class(made):
    """With all tries, by styles like those of any other class; and no others are."""
    corrections = made.table[made.table["correction"]]
    assert (corrections["source"] == corrections["target"]).all()
    p = made.first(load(made.store, list(range(len(made.store))), CPU, 2.0, -1.0))
    wrong = made.store.paths[p.argmax(1).numpy() != made.store.labels]
    assert 0 < len(wrong) < len(made.store)
    keys = set(corrections[["kind", "query", "try"]].itertuples(index=False, name=None))
    assert keys == {(kind, path, n) for kind in ("latent", "reference") for path in wrong for n in range(3)}
    assert len(keys) == len(corrections)
    references = dict(zip(made.store.paths, range(len(made.store)), strict=True))
    for row in corrections[corrections["kind"] == "reference"].itertuples():
        assert row.style.startswith(f"{row.source}/")
        x, reference = query_of(made, row), load(made.store, [references[row.style]], CPU, 2.0, -1.0)
        image = converted(made, x, own_style(made, reference, row.source))
        assert row.l1 == pytest.approx((image - x).abs().mean().item(), abs=5e-5)
    assert (corrections.groupby(["kind", "query"])["best"].sum() == 1).all()


def test_the_distances_of_a_try(made):
    references = dict(zip(made.store.paths, range(len(made.store)), strict=True))
    table = made.table[(made.table["kind"] == "reference") & (made.table["source"] != made.table["target"])]
    for row in table.sample(8, random_state=0).itertuples():
        reference = load(made.store, [references[row.style]], CPU, 2.0, -1.0)
        x = query_of(made, row)
        image = converted(made, x, own_style(made, reference, row.target))
        back = converted(made, image, own_style(made, x, row.source))
        assert row.l1 == pytest.approx((image - x).abs().mean().item(), abs=5e-5)
        assert row.cycle == pytest.approx((back - x).abs().mean().item(), abs=5e-5)
        intensities = (image + 1) / 2, (x + 1) / 2
        ssim = structural_similarity_index_measure(*intensities, data_range=1.0).item()
        assert row.ssim == pytest.approx(ssim, abs=1e-4)
        logits = made.first.logits(image)[0]
        assert [row.logit_a, row.logit_b, row.logit_c] == pytest.approx(logits.tolist(), abs=1e-4)
        p = made.second(image)[0]
        assert row.predicted_by_other == CLASSES[p.argmax()]
        assert row.p_target_by_other == pytest.approx(p[CLASSES.index(row.target)].item(), abs=1e-4)


def test_the_verdict_on_the_query_itself(made):
    for row in made.table.sample(8, random_state=1).itertuples():
        p = made.first(query_of(made, row))[0]
        assert row.query_predicted == CLASSES[p.argmax()]
        assert row.query_p_source == pytest.approx(p[CLASSES.index(row.source)].item(), abs=1e-4)
        assert row.query_p_target == pytest.approx(p[CLASSES.index(row.target)].item(), abs=1e-4)


@pytest.mark.parametrize(("scale", "shift"), [(2.0, -1.0), (1.0, 0.0), (-2.0, 1.0), (4.5, -2.1)])
@pytest.mark.parametrize(
    ("query", "image", "expected"),
    # Of constant images it is (2 a b + 0.01 ** 2) / (a ** 2 + b ** 2 + 0.01 ** 2), for intensities a and b.
    [(0.47, 0.53, 0.9928), (0.07, 0.17, 0.7050), (0.0, 1.0, 0.0001), (0.3, 0.3, 1.0)],
)
def test_ssim_is_of_intensities_whatever_the_range_of_the_networks(scale, shift, query, image, expected):
    converter = SimpleNamespace(info=SimpleNamespace(scale=scale, shift=shift), prepare=lambda x: x)
    x, generated = (torch.full((2, 1, 32, 32), level) * scale + shift for level in (query, image))
    tries = TryBatch(QueryBatch(converter, x), 1, [["", ""]], [generated], [generated], [])
    assert METRICS["ssim"].measure(tries)[0].tolist() == pytest.approx([expected] * 2, abs=5e-4)


def test_diversity_is_the_mean_distance_to_the_other_tries(made):
    levels = [torch.tensor([0.0, 0.5])[:, None, None, None].expand(2, 1, 4, 4) * n for n in (0, 1, 3)]
    apart = torch.stack(diversity(levels))  # of the second image: 0, 0.5, 1.5
    torch.testing.assert_close(apart[:, 1], torch.tensor([1.0, 0.75, 1.25]))
    assert (apart[:, 0] == 0).all()
    assert diversity(levels[:1])[0].isnan().all()
    own = (made.table["source"] == made.table["target"]) & ~made.table["correction"]
    assert made.table.loc[own, "diversity"].isna().all()
    assert (made.table.loc[~own & (made.table["kind"] == "latent"), "diversity"] > 0).all()


def test_full_metrics_do_not_change_the_basic_ones(made):
    plain = made.convert(detailed=False)
    assert (plain["source"] != plain["target"]).all()
    same = made.table[made.table["source"] != made.table["target"]]
    pd.testing.assert_frame_equal(plain, same[plain.columns].reset_index(drop=True))


@pytest.mark.parametrize("count", [2, 3, 20])
def test_the_tables_of_the_shards_are_the_table(made, count):
    shards = [made.convert(shard=(i, count)) for i in range(count)]
    together = pd.concat([table for table in shards if len(table)]).sort_values(
        "batch", kind="stable", ignore_index=True
    )
    pd.testing.assert_frame_equal(together, made.table, check_exact=True)


def test_a_cap_on_the_queries_is_the_same_however_the_split_is_listed(made):
    capped = made.convert(detailed=False, max_per_class=3)
    assert capped.groupby("source")["query"].nunique().to_dict() == {"a": 1, "b": 3, "c": 3}
    by_digest = {name: sorted(set(rows["digest"])) for name, rows in capped.groupby("source")}
    store = made.store
    order = np.random.default_rng(0).permutation(len(store))
    shuffled = SimpleNamespace(digests=store.digests[order], rows_of=lambda label: np.flatnonzero(labels == label))
    labels = store.labels[order]
    for label, name in enumerate(CLASSES):
        rows = chosen_queries(shuffled, label, seed=0, max_per_class=3)
        assert sorted(shuffled.digests[rows]) == by_digest[name]


def test_a_class_may_have_the_name_of_a_column(tmp_path):
    names = ["mispredicted", "predicted_by_x"]
    store = make_store(tmp_path, dict.fromkeys(names, 2))
    path = save_classifier(tmp_path / "c.pt", nn.Sequential(nn.Flatten(), nn.Linear(1024, 2)))
    judge = Judge(path, judging(), CONFIG.model, names, CPU)
    converter = converter_of(build_networks(CONFIG.model, 2).eval().requires_grad_(False), names)
    styles, measure = (
        styles_of(converter, store, kinds=["latent"]),
        partial(measure_tries, {"unpredicted": judge}, names),
    )
    table = convert(converter, judge, store, styles, tries=1, batch_size=4, measure=measure)
    assert table[[f"logit_{name}" for name in names]].dtypes.map(str).unique().tolist() == ["float32"]
    assert table["p_target_by_unpredicted"].dtype == "float32"
    assert set(table["predicted_by_unpredicted"]) <= set(names)


def test_a_table_is_read_as_it_was_written(made, tmp_path):
    about = {"step": 4, "checkpoint": "4.ckpt", "checkpoint_digest": "d", "classes": CLASSES, "tries": 3}
    about |= {"max_per_class": None, "shard": [0, 1], "found": {"a": 1}, "masked": None, "provenance": {"keys": ["k"]}}
    Tries(made.table, **about).write(tmp_path / "t.parquet")
    tries = Tries.read(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(tries.table, made.table)
    assert len(tries.frame) == len(made.table) - made.table["correction"].sum() < len(made.table)
    assert not tries.frame["correction"].any()
    assert {name: getattr(tries, name) for name in about} == about
    made.table.to_parquet(tmp_path / "other.parquet")
    with pytest.raises(QuacError, match=r"other\.parquet: not a table of tries"):
        Tries.read(tmp_path / "other.parquet")
