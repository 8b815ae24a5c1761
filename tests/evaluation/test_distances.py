"""Distances of distributions, against closed forms and plain sums."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.builders import judging, save_classifier

from quac.classifier.judge import Judge
from quac.evaluation.distances import add_distances, centred_log_probabilities, frechet_distance, kernel_distance


def test_the_frechet_distance_of_normal_samples():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (50_000, 1))
    # of N(m, s^2): (m1 - m2)^2 + (s1 - s2)^2
    assert frechet_distance(x, 3 + 2 * x) == pytest.approx(9 + 1, rel=0.03)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)


def test_the_frechet_distance_of_correlated_samples():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(400, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0.2], [0, 0, 2]])
    b = rng.normal(size=(300, 3)) + 0.3
    c, d = np.cov(a.T), np.cov(b.T)
    roots = np.sqrt(np.linalg.eigvals(c @ d)).real  # the trace of a root is the sum of the roots of the eigenvalues
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(c) + np.trace(d) - 2 * roots.sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_a_dimension_that_never_varies_is_no_trouble():
    a = np.random.default_rng(0).normal(size=(50, 2))
    a[:, 1] = 4
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, a + np.array([0, 1])) == pytest.approx(1, abs=1e-6)


def test_the_kernel_distance_is_the_plain_sum_over_pairs():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(5, 2)), rng.normal(size=(4, 2)) + 1

    def kernel(x, y):
        return (x @ y / 2 + 1) ** 3

    within = [sum(kernel(s[i], s[j]) for i in range(len(s)) for j in range(len(s)) if i != j) for s in (a, b)]
    between = np.mean([kernel(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(within[0] / 20 + within[1] / 12 - 2 * between)


def test_one_image_has_no_distance():
    assert frechet_distance(np.zeros((1, 2)), np.zeros((5, 2))) is None
    assert kernel_distance(np.zeros((5, 2)), np.zeros((1, 2))) is None


CLASSES = ["a", "b"]
PAIRS = pd.DataFrame({"source": ["a", "a", "b", "b"], "target": ["a", "b", "a", "b"]})


def outputs(name, level, seed, count=200, **more):
    """A classifier's logits for images of a class: `level` apart, the better half of them nearer."""
    x = np.random.default_rng([seed, *name.encode()]).normal(level, 1, count)
    return pd.DataFrame({"logit_a": -x / 2, "logit_b": x / 2, "class": name, "query": np.arange(count), **more})


def judged_images():
    levels, parts = {"a": -3.0, "b": 3.0}, []
    for seed, split in enumerate(("train", "test", "validation")):
        parts += [outputs(name, level + (split == "validation"), seed, split=split) for name, level in levels.items()]
    return pd.concat(parts, ignore_index=True)


def tries_from(images_of):
    """A table of tries, one a query; `images_of`: (source, target) -> the outputs for the generated images."""
    parts = [images_of(*pair).drop(columns="class").assign(source=pair[0], target=pair[1]) for pair in PAIRS.to_numpy()]
    return pd.concat(parts, ignore_index=True)


def distances_of(table, judged):
    return add_distances(PAIRS, table, judged, "test", CLASSES).set_index(["source", "target"])


def real(judged, name, split="test"):
    return judged[(judged["class"] == name) & (judged["split"] == split)]


def test_unchanged_sources_are_at_1_and_images_like_the_real_ones_at_0():
    judged = judged_images()
    unchanged = distances_of(tries_from(lambda source, target: real(judged, source)), judged)
    converted = distances_of(tries_from(lambda source, target: real(judged, target, "train")), judged)
    for pair in (("a", "b"), ("b", "a")):
        for name in ("frechet", "kernel"):
            assert unchanged.loc[pair, f"{name}_scaled"] == pytest.approx(1)
            assert converted.loc[pair, f"{name}_scaled"] == pytest.approx(0)
            assert converted.loc[pair, name] < unchanged.loc[pair, name] / 10
    another = tries_from(lambda source, target: outputs(target, {"a": -3.0, "b": 3.0}[target], 9))
    likewise = distances_of(another, judged)
    assert likewise[["frechet_scaled", "kernel_scaled"]].loc[[("a", "b"), ("b", "a")]].abs().max(axis=None) < 0.01
    assert converted["real"].tolist() == [200] * 4


def test_there_is_no_scale_without_two_anchors_that_differ():
    judged = judged_images()
    table = tries_from(lambda source, target: real(judged, target))
    scales = ["frechet_scaled", "kernel_scaled"]
    assert distances_of(table, judged).loc[[("a", "a"), ("b", "b")], scales].isna().all(axis=None)
    assert distances_of(table, judged[judged["split"] == "test"])[scales].isna().all(axis=None)  # no floor
    alike = judged.assign(logit_a=judged["logit_b"] * 0, logit_b=judged["logit_b"].abs())  # of a blind classifier
    alike.loc[alike["split"] == "train", "logit_b"] += 5
    assert distances_of(table, alike)[scales].isna().all(axis=None)
    assert distances_of(table, alike)["frechet"].notna().all()


def test_logits_and_probabilities_of_a_classifier_give_the_same_distances(tmp_path):
    """The anchors of the kernel distance of logits, of log-probabilities and of shifted logits were 5e3 and 1e5."""
    rng, images = np.random.default_rng(0), torch.rand(6, 40, 1, 32, 32) * 2 - 1
    weights = torch.from_numpy(rng.normal(0, 0.1, (1024, 2))).float()

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("weights", weights)

        def forward(self, x):
            return x.flatten(1) @ self.weights + 3 * x.mean((1, 2, 3))[:, None]  # an offset that changes no probability

    paths = save_classifier(tmp_path / "l.pt", Logits()), save_classifier(tmp_path / "p.pt", Softmax(Logits()))
    found = []
    for path in paths:
        judge = Judge(path, judging(), SimpleNamespace(img_size=32, input_dim=1), CLASSES, torch.device("cpu"))
        logits = [judge.logits(part).numpy() for part in images]
        frames = [pd.DataFrame(part, columns=["logit_a", "logit_b"]).assign(query=range(40)) for part in logits]
        places = [("train", "a"), ("train", "b"), ("test", "a"), ("test", "b")]
        judged = pd.concat([f.assign(split=s, **{"class": c}) for f, (s, c) in zip(frames[:4], places, strict=True)])
        pairs = [f.assign(source=s, target=t) for f, (s, t) in zip(frames[4:], [("a", "b"), ("b", "a")], strict=True)]
        table = pd.concat([*pairs, *(f.assign(source=c, target=c) for f, c in zip(frames[4:], CLASSES, strict=True))])
        found.append((judge.gives_probabilities, distances_of(table, judged)))
    assert [gives for gives, _ in found] == [False, True]
    pd.testing.assert_frame_equal(found[0][1], found[1][1], rtol=1e-3)
    assert found[0][1]["kernel"].abs().min() > 1e-3


def test_a_probability_of_0_is_finite():
    features = centred_log_probabilities(np.array([[1e4, -1e4], [0, np.log(1e-12)]]))
    assert features == pytest.approx(np.array([[13.8, -13.8], [13.8, -13.8]]), abs=0.02)


class Softmax(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x).softmax(1)


def test_the_kernel_distance_allows_for_dependent_tries():
    """Correlated samples of the same distribution are not farther from it."""
    rng, found = np.random.default_rng(0), []
    for _ in range(100):
        shared = rng.normal(size=(30, 1, 5)) * 0.9**0.5
        tries = (shared + rng.normal(size=(30, 10, 5)) * 0.1**0.5).reshape(300, 5)
        real = rng.normal(size=(100, 5))
        found.append((kernel_distance(tries, real, np.repeat(np.arange(30), 10)), kernel_distance(tries, real)))
    grouped, plain = np.mean(found, axis=0)
    assert abs(grouped) < 0.04 < 0.1 < plain
    assert kernel_distance(np.zeros((4, 2)), np.zeros((5, 2)), np.zeros(4)) is None
