from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.builders import make_index, make_store, storing, tiny_config
from PIL import Image
from scipy.ndimage import gaussian_filter

from quac.classifier.accuracy import accuracy_report, judge_store
from quac.classifier.fit import _shift, fit_classifier, fit_oracle, save_torchscript
from quac.classifier.judge import Judge
from quac.config.keys import changed_settings, restricted
from quac.config.stages import StageJob
from quac.data.store import Store, build_store
from quac.system.errors import QuacError

CPU, JOB = torch.device("cpu"), StageJob("classifier")


def settings(channels=1, img_size=24, augment=None, seed=0, **options):
    fitting = {"backbone": "small", "epochs": 12, "patience": 10, "batch_size": 16, "lr": 5e-3, "width": 8}
    return tiny_config(
        classifier={**fitting, **options},
        validation_config={"scale": 0.5, "shift": 0.5, "img_size": img_size},
        data={"grayscale": channels == 1, "augment": augment or {}},
        run={"seed": seed},
    )


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    counts = {"train": 24, "validation": 10, "test": 10}
    return {
        split: make_store(folder / split, dict.fromkeys(("across", "along", "disc"), count), seed=seed)
        for seed, (split, count) in enumerate(counts.items())
    }


def fit(stores, chosen, validation=None):
    key = restricted(JOB, changed_settings(chosen, JOB))
    return fit_classifier(stores["train"], validation or stores["validation"], key, CPU)


def column(record, name):
    return [row[name] for row in record["epochs"]]


def equal(one, two):
    return all(torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items())


def judged(network, store, chosen, path):
    save_torchscript(network, path)
    judge = Judge(path, chosen.validation_config, chosen.model, store.classes, CPU)
    logits = judge_store(judge, store, chosen.data, 16, CPU)
    return accuracy_report(logits, store.labels, store.classes)["accuracy"], torch.from_numpy(logits).softmax(1).numpy()


def test_it_learns_to_distinguish_classes_and_is_torchscript(stores, tmp_path):
    network, record = fit(stores, settings())
    losses = column(record, "train_loss")
    assert losses[-1] < losses[0] / 2
    assert judged(network, stores["test"], settings(), tmp_path / "c.pt")[0] > 0.9
    assert record["backbone"] == "small"
    assert record["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    rates = column(record, "lr")
    assert 3 <= np.argmax(rates) <= 4  # 30 % of 12
    assert rates[-1] < 1e-6 < max(rates) <= 5e-3


def test_the_epoch_that_is_kept_is_the_best_on_validation(stores, tmp_path):
    # Labels that make no sense: what is learned makes it worse.
    nonsense = replace(stores["validation"], labels=(stores["validation"].labels + 1) % 3)
    chosen = settings(patience=3)
    network, record = fit(stores, chosen, nonsense)
    losses = column(record, "validation_loss")
    assert record["chosen_epoch"] == 1 + np.argmin(losses) < len(losses)
    accuracy, probabilities = judged(network, nonsense, chosen, tmp_path / "c.pt")
    assert accuracy == record["epochs"][record["chosen_epoch"] - 1]["validation_accuracy"]
    loss = -np.log(probabilities[np.arange(len(nonsense)), nonsense.labels]).mean()
    assert loss == pytest.approx(min(losses), rel=1e-4)
    # Epochs in which the learning rate rises (30 % of 12) are no reason to end.
    assert len(losses) == np.ceil(max(record["chosen_epoch"], 0.3 * 12) + 3)


def test_nothing_is_learned_from_validation(stores):
    one_epoch = settings(epochs=1)
    assert equal(fit(stores, one_epoch)[0], fit(stores, one_epoch, stores["test"])[0])


def test_the_same_seed_gives_the_same_classifier(stores):
    for chosen in (settings(epochs=1), settings(epochs=1, augment={"rot90": 0.5})):
        assert equal(fit(stores, chosen)[0], fit(stores, chosen)[0])
    assert not equal(fit(stores, settings(epochs=1, seed=1))[0], fit(stores, settings(epochs=1))[0])


def test_images_are_augmented_by_the_config(stores):
    """Turned by 90 degrees, what is across is along: nothing is left to learn but chance, and the disc."""
    turned = fit(stores, settings(augment={"rot90": 0.5}))[1]
    assert min(column(turned, "train_loss")) > 0.3 > min(column(fit(stores, settings())[1], "train_loss"))
    mirrored = fit(stores, settings(augment={"hflip": 0.5}))[1]
    assert max(column(mirrored, "validation_accuracy")) > 0.9


def test_class_weights(tmp_path):
    """Noise without information: by number the rare class is as rare as it is, by weight as likely as the other."""
    store, share = make_store(tmp_path / "store", {"a": 30, "b": 6}), {}
    for choice in ("none", "balanced"):
        chosen = settings(class_weights=choice)
        network, _ = fit_classifier(store, store, chosen, CPU)
        share[choice] = judged(network, store, chosen, tmp_path / "c.pt")[1][:, 1].mean()
    assert share["none"] < 0.35
    assert 0.4 < share["balanced"] < 0.65


@pytest.mark.parametrize("channels", [1, 3])
def test_a_backbone_of_torchvision(tmp_path, channels):
    counts = {"across": 9, "along": 8}  # the last of the batches would be one image
    train = make_store(tmp_path / "train", counts, channels=channels)
    chosen = settings(channels, 32, backbone="resnet18", epochs=2, batch_size=2, lr=1e-3)
    network, record = fit_classifier(train, train, chosen, CPU)
    assert record["parameters"] > 11e6
    assert judged(network, train, chosen, tmp_path / "c.pt")[0] == max(column(record, "validation_accuracy"))


def test_a_single_pair_of_images_and_one_step(tmp_path):
    store = make_store(tmp_path, {"across": 1, "along": 1})
    _, record = fit_classifier(store, store, settings(epochs=1), CPU)
    assert len(record["epochs"]) == 1


def test_validation_images_of_many_sizes(stores, tmp_path):
    store = make_store(tmp_path, {"across": 3, "along": 3, "disc": 3}, preprocess="none")
    shapes = store.shapes.copy()
    shapes[::2] = (1, 64, 16)  # the same pixels, other sides
    mixed = replace(store, shapes=shapes)
    _, record = fit(stores, settings(epochs=2), mixed)
    assert all(np.isfinite(column(record, "validation_loss")))


def test_splits_that_do_not_fit(stores, tmp_path):
    other = make_store(tmp_path, {"across": 2, "disc": 2})
    with pytest.raises(QuacError, match=r"images: is stored as .* with the classes across, disc, but"):
        fit(stores, settings(), other)


def test_a_training_that_diverges(stores):
    with pytest.raises(QuacError, match=r"classifier.lr: the training of the classifier diverged in epoch 1; lower it"):
        fit(stores, settings(lr=1e30))


def test_an_oracle_is_another_network_of_another_seed(stores, tmp_path):
    """As good as the classifier, whatever backbone that has."""
    chosen, job = settings(img_size=32, backbone="resnet18", weights="x.pt"), StageJob("oracle")
    network, record = fit_oracle(
        stores["train"], stores["validation"], restricted(job, changed_settings(chosen, job)), CPU
    )
    assert record["backbone"] == "small"
    assert network[0].out_channels == 6  # 3/4 of 8
    as_it_is = settings(img_size=32)
    shown = as_it_is.validation_config.model_copy(update={"scale": 1.0, "shift": 0.0})
    as_it_is = as_it_is.model_copy(update={"validation_config": shown})
    assert judged(network, stores["test"], as_it_is, tmp_path / "o.pt")[0] > 0.9
    weights = fit_classifier(stores["train"], stores["validation"], as_it_is, CPU)[0].state_dict()
    assert not torch.equal(network[0].weight[:, 0, 0, 0], weights["0.weight"][:6, 0, 0, 0])


def test_an_oracle_that_cannot_be_trained_names_the_way_to_do_without(stores):
    job = StageJob("oracle")
    config = restricted(job, changed_settings(settings(lr=1e30), job))
    with pytest.raises(
        QuacError, match=r"oracle: classifier.lr: .* diverged .*; or do without an oracle: oracles: none"
    ):
        fit_oracle(stores["train"], stores["validation"], config, CPU)


def test_a_shift_moves_by_whole_pixels_and_keeps_every_image_sharp():
    noise = torch.randn(50, 1, 32, 48)
    amounts = torch.rand(50, 2) * 2 - 1
    amounts[:4] = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [0.0, 0.0], [0.3, -0.1]])
    shifted = _shift(noise, amounts)
    assert torch.equal(shifted[0, 0, :30, :45], noise[0, 0, 2:, 3:])
    assert torch.equal(shifted[0, 0, 30:], shifted[0, 0, 29].expand(2, 48))  # the border is repeated
    assert torch.equal(shifted[1, 0, 2:, 3:], noise[1, 0, :30, :45])
    assert torch.equal(shifted[2], noise[2])
    assert torch.equal(shifted[3, 0, :31], noise[3, 0, 1:])  # 0.6 and -0.3 pixels
    assert shifted.var() / noise.var() > 0.95


def textures(folder, count, seed):
    """A store of noise of varying contrast: `sharp`, and slightly `soft`."""
    rng = np.random.default_rng(seed)
    for name, sigma in (("sharp", 0), ("soft", 0.5)):
        (folder / "images" / name).mkdir(parents=True)
        for number in range(count):
            noise = gaussian_filter(rng.normal(size=(32, 32)), sigma, mode="wrap")
            values = 128 + noise / noise.std() * rng.uniform(10, 40)
            Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(folder / "images" / name / f"{number:03d}.png")
    build_store(folder / "pixels.store", make_index(folder / "index.parquet", folder / "images"), storing(), "train")
    return Store.open(folder / "pixels.store", folder / "index.parquet")


def test_classes_that_differ_in_sharpness_alone_are_told_apart(tmp_path):
    """Trained on images that were shifted by parts of a pixel, it classifies 86 to 93 % of them correctly."""
    counts = {"train": 100, "validation": 50, "test": 300}
    stores = {name: textures(tmp_path / name, count, seed) for seed, (name, count) in enumerate(counts.items())}
    chosen = settings(img_size=32, epochs=20, patience=20, batch_size=32)
    network, _ = fit(stores, chosen)
    assert judged(network, stores["test"], chosen, tmp_path / "c.pt")[0] > 0.97
