"""The evaluation in training: true numbers, and nothing of the training depends on them."""

import pytest
import torch
from helpers.builders import Brightness, converter_of, make_store, save_classifier, styles_of, tiny_config

from quac.classifier.judge import Judge
from quac.conversion.chosen import drawn_targets
from quac.conversion.engine import convert
from quac.evaluation import in_training as module
from quac.evaluation.in_training import TrainingEvaluation
from quac.training.trainer import Trainer

CPU = torch.device("cpu")
CONFIG = tiny_config()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("evaluation")


@pytest.fixture(scope="module")
def stores(folder):
    """Of training and validation; the latter has more images of one class than are evaluated."""
    return make_store(folder / "train", {"across": 6, "along": 4}), make_store(
        folder / "validation", {"across": 19, "along": 3}, seed=1
    )


@pytest.fixture
def evaluation(folder, stores):
    classifier, files = save_classifier(folder / "judge.pt", Brightness()), folder / "validation"
    return TrainingEvaluation(CONFIG, classifier, files / "pixels.store", files / "index.parquet", stores[0], CPU)


def test_rates_are_those_of_a_conversion_of_few_queries(evaluation, stores, monkeypatch):
    trainer, tables = Trainer(CONFIG, stores[0], CPU), []
    monkeypatch.setattr(module, "convert", lambda *given, **how: tables.append(convert(*given, **how)) or tables[-1])
    averages, of_pairs = evaluation(trainer.averages, never)
    (tries,) = tables
    assert tries.groupby("source")["query"].nunique().to_dict() == {"across": 16, "along": 3}
    hit = (tries["predicted"] == tries["target"]).groupby([tries["kind"], tries["source"], tries["target"]])
    for kind in ("latent", "reference"):
        rates = [hit.mean()[kind, a, b] for a, b in (("across", "along"), ("along", "across"))]
        assert averages[f"translation_rate_{kind}"] == pytest.approx(sum(rates) / 2)
        assert of_pairs[f"translation_rate_{kind}/across/along"] == pytest.approx(rates[0])
        assert of_pairs[f"translation_rate_{kind}/along/across"] == pytest.approx(rates[1])
    assert sorted(averages) == sorted(f"{m}_{k}" for m in module.METRICS for k in ("latent", "reference"))
    # The first tries of the score of a checkpoint are these tries.
    judge = Judge(evaluation.classifier, CONFIG.validation_config, CONFIG.model, stores[0].classes, CPU)
    converter = converter_of(trainer.averages, stores[0].classes)
    scored = convert(converter, judge, stores[1], styles_of(converter, stores[0]), tries=1, batch_size=4)
    name = ["kind", "query", "target", "try"]
    both = tries.merge(scored, on=name, suffixes=("", "_scored"))
    assert len(both) == len(tries) / 2
    assert (both["style"] == both["style_scored"]).all()
    torch.testing.assert_close(torch.tensor(both["l1"]), torch.tensor(both["l1_scored"]), rtol=1e-4, atol=1e-5)


def test_training_is_the_same_with_and_without(evaluation, stores):
    watched, alone = (Trainer(CONFIG, stores[0], CPU) for _ in range(2))
    for _ in range(3):
        random = torch.get_rng_state()
        assert evaluation(watched.averages, never)[0]
        assert torch.equal(random, torch.get_rng_state())
        watched.step()
        alone.step()
    for network in ("networks", "averages"):
        theirs = getattr(alone, network).state_dict()
        for name, value in getattr(watched, network).state_dict().items():
            assert torch.equal(value, theirs[name]), name
    assert all(parameter.requires_grad is False for parameter in watched.averages.parameters())


def test_an_evaluation_is_the_same_whenever_it_takes_place(evaluation, stores):
    trainer = Trainer(CONFIG, stores[0], CPU)
    first = evaluation(trainer.averages, never)
    trainer.step()
    assert evaluation(trainer.averages, never) != first
    assert evaluation(Trainer(CONFIG, stores[0], CPU).averages, never) == first


def never():
    return False


def test_an_evaluation_ends_when_the_training_is_to_stop(evaluation, stores):
    """At once, not only at its end; the next one takes place."""
    judged, answers = [], iter([False, True])

    def stopped():
        judged.append(next(answers))
        return judged[-1]

    trainer = Trainer(CONFIG, stores[0], CPU)
    assert evaluation(trainer.averages, stopped) == ({}, {})
    assert judged == [False, True]
    assert evaluation(trainer.averages, never)[0]


def test_an_evaluation_is_bounded_for_any_number_of_classes():
    """Pairs of classes are drawn, the same at every evaluation, when there are too many."""
    for classes in (2, 23, 24, 40, 330):
        targets, other = (drawn_targets(classes, module.EVALUATED_PAIRS, seed) for seed in (0, 1))
        each = 2 * module.EVALUATION_TRIES
        pairs = classes * (classes - 1) if targets is None else sum(map(len, targets))
        assert each * pairs * module.max_queries(classes) <= module.EVALUATION_IMAGES
        assert (targets is None) == (classes <= 23)
        if targets:
            assert pairs == module.EVALUATED_PAIRS
            assert all(label not in others and len(set(others)) == len(others) for label, others in enumerate(targets))
            assert targets == drawn_targets(classes, module.EVALUATED_PAIRS, 0) != other


def test_fewer_queries_of_each_class_are_evaluated_if_there_are_many_classes():
    assert [module.max_queries(classes) for classes in (2, 3, 5, 6, 10, 100)] == [16, 16, 16, 16, 5, 1]


class GivesNaN(torch.nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3)).expand(-1, 2) / 0.0 * 0.0


@pytest.mark.parametrize("broken", ["classifier", "output", "index"])
def test_a_failure_is_logged_once_and_stops_nothing(folder, stores, evaluation, caplog, broken):
    trainer = Trainer(CONFIG, stores[0], CPU)
    if broken == "classifier":
        evaluation.classifier.write_bytes(b"torn")
    elif broken == "output":
        save_classifier(evaluation.classifier, GivesNaN())
    else:
        evaluation.files = (folder / "nowhere.store", evaluation.files[1])
    for _ in range(2):
        assert evaluation(trainer.averages, never) == ({}, {})
    message = {"classifier": "cannot be loaded", "output": "NaN or infinity", "index": "nowhere.store: cannot be read"}
    assert caplog.text.count("evaluation failed; training continues without it until the next start") == 1
    assert message[broken] in caplog.text
