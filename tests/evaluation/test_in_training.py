"""What a training shows of its conversions on the way: true numbers, and nothing of the training depends on them."""

from types import SimpleNamespace

import pytest
import torch
from helpers.builders import Brightness, make_store, save_classifier, tiny_config, training_settings

from quac.classifier.judge import Judge
from quac.conversion.engine import convert
from quac.evaluation import in_training as module
from quac.evaluation.in_training import Probe
from quac.models.starganv2.styles import open_styles
from quac.training.loop import Trainer

CPU = torch.device("cpu")
CONFIG = tiny_config()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("probe")


@pytest.fixture(scope="module")
def stores(folder):
    """Of training and validation; the latter has more images of one class than are looked at."""
    return make_store(folder / "train", {"across": 6, "along": 4}), make_store(
        folder / "validation", {"across": 19, "along": 3}, seed=1
    )


@pytest.fixture
def probe(folder, stores):
    classifier, files = save_classifier(folder / "judge.pt", Brightness()), folder / "validation"
    return Probe(CONFIG, classifier, files / "pixels.store", files / "index.parquet", stores[0], CPU)


def test_the_numbers_are_those_of_a_conversion_of_few_queries(probe, stores, monkeypatch):
    trainer, tables = Trainer(training_settings(CONFIG), stores[0], CPU), []
    monkeypatch.setattr(module, "convert", lambda *given, **how: tables.append(convert(*given, **how)) or tables[-1])
    averages, of_pairs = probe(trainer.averages)
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
    settings = SimpleNamespace(tries=1, max_per_class=None, batch_size=4, seed=0, data=CONFIG.data, model=CONFIG.model)
    judge = Judge(probe.classifier, CONFIG.validation_config, CONFIG.model, stores[0].classes, CPU)
    styles = open_styles(["latent", "reference"], trainer.averages, stores[0], settings, CPU)
    scored = convert(trainer.averages["generator"], judge, stores[1], styles, settings, CPU)
    name = ["kind", "query", "target", "try"]
    both = tries.merge(scored, on=name, suffixes=("", "_scored"))
    assert len(both) == len(tries) / 2
    assert (both["style"] == both["style_scored"]).all()
    torch.testing.assert_close(torch.tensor(both["l1"]), torch.tensor(both["l1_scored"]), rtol=1e-4, atol=1e-5)


def test_training_is_the_same_with_and_without(probe, stores):
    watched, alone = (Trainer(training_settings(CONFIG), stores[0], CPU) for _ in range(2))
    for _ in range(3):
        random = torch.get_rng_state()
        assert probe(watched.averages)[0]
        assert torch.equal(random, torch.get_rng_state())
        watched.advance()
        alone.advance()
    for network in ("networks", "averages"):
        theirs = getattr(alone, network).state_dict()
        for name, value in getattr(watched, network).state_dict().items():
            assert torch.equal(value, theirs[name]), name
    assert all(parameter.requires_grad is False for parameter in watched.averages.parameters())


def test_a_look_is_the_same_whenever_it_is_taken(probe, stores):
    trainer = Trainer(training_settings(CONFIG), stores[0], CPU)
    first = probe(trainer.averages)
    trainer.advance()
    assert probe(trainer.averages) != first
    assert probe(Trainer(training_settings(CONFIG), stores[0], CPU).averages) == first


def test_of_many_classes_fewer_are_looked_at():
    assert [module.queries_of(classes) for classes in (2, 3, 5, 6, 10, 100)] == [16, 16, 16, 16, 5, 1]


class GivesNaN(torch.nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3)).expand(-1, 2) / 0.0 * 0.0


@pytest.mark.parametrize("broken", ["classifier", "answer", "index"])
def test_a_failure_is_said_once_and_stops_nothing(folder, stores, probe, caplog, broken):
    trainer = Trainer(training_settings(CONFIG), stores[0], CPU)
    if broken == "classifier":
        probe.classifier.write_bytes(b"torn")
    elif broken == "answer":
        save_classifier(probe.classifier, GivesNaN())
    else:
        probe.files = (folder / "nowhere.store", probe.files[1])
    for _ in range(2):
        assert probe(trainer.averages) == ({}, {})
    said = {"classifier": "cannot be loaded", "answer": "NaN or infinity", "index": "nowhere.store: cannot be read"}
    assert caplog.text.count("evaluation failed, training goes on without until the next start") == 1
    assert said[broken] in caplog.text
