from types import SimpleNamespace

import torch
from builders import make_store

from quac.classifier.fit import SmallClassifier, fit_classifier, save_torchscript
from quac.classifier.judge import Judge, accuracy_report, judge_store

CPU = torch.device("cpu")


def settings(**options):
    return SimpleNamespace(
        classifier=SimpleNamespace(epochs=12, batch_size=16, lr=5e-3, width=8),
        judge=SimpleNamespace(scale=0.5, shift=0.5, img_size=24, **options),
        data=SimpleNamespace(scale=2.0, shift=-1.0),
        seed=0,
    )


def test_it_learns_to_tell_classes_and_is_torchscript(tmp_path):
    train = make_store(tmp_path / "train", {"across": 24, "along": 24, "disc": 24})
    other = make_store(tmp_path / "other", {"across": 10, "along": 10, "disc": 10}, seed=1)
    network, losses = fit_classifier(train, settings(), CPU)
    assert losses[-1] < losses[0] / 2
    save_torchscript(network, tmp_path / "c.pt")
    judge = Judge(tmp_path / "c.pt", settings().judge, SimpleNamespace(img_size=32, input_dim=1), other.classes, CPU)
    probabilities = judge_store(judge, other, settings().data, 16, CPU)
    assert accuracy_report(probabilities, other.labels, other.classes)["accuracy"] > 0.9


def test_the_same_seed_gives_the_same_classifier(tmp_path):
    store = make_store(tmp_path, {"across": 8, "along": 8})
    quick = settings()
    quick.classifier.epochs = 1
    one, two = (fit_classifier(store, quick, CPU)[0].state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_any_size_and_channels():
    assert SmallClassifier(3, 5, 4).eval()(torch.zeros(2, 3, 100, 60)).shape == (2, 5)
