from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import torch
from helpers.builders import converter_of, make_store, styles_of, tiny_config
from scipy.stats import chisquare

from quac.data.batches import load, pad_rows
from quac.models.starganv2.networks import build_networks
from quac.models.starganv2.styles import drawn_at
from quac.system.errors import QuacError
from quac.system.keyed_random import generator_of

CPU = torch.device("cpu")
DIGESTS = [f"{number:02x}" for number in range(12)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store"), {"across": 5, "along": 7})


@pytest.fixture(scope="module")
def networks():
    return build_networks(tiny_config().model, 2).eval().requires_grad_(False)


def make(kind, networks, store, seed=0, batch_size=4):
    return converter_of(networks, store.classes).styles(kind, store, seed=seed, batch_size=batch_size)


@pytest.mark.parametrize("kind", ["latent", "reference"])
def test_a_style_is_a_function_of_seed_query_target_and_try(networks, store, kind):
    styles, names = make(kind, networks, store).draw(DIGESTS, 1, 0)
    reordered, reordered_names = make(kind, networks, store).draw(DIGESTS[::-1], 1, 0)
    assert names == reordered_names[::-1]
    torch.testing.assert_close(styles, reordered.flip(0), rtol=0, atol=1e-6)
    many = [
        make(kind, networks, store, seed).draw(DIGESTS, label, n)[1]
        for seed in (0, 1)
        for label in (0, 1)
        for n in range(4)
    ]
    assert len({tuple(names) for names in many}) == len(many)


def test_references_are_images_of_the_target_class_and_each_is_encoded_once(networks, store, monkeypatch):
    styles = make("reference", networks, store)
    encoded, forward = [], networks["style_encoder"].forward
    monkeypatch.setattr(networks["style_encoder"], "forward", lambda x, y: encoded.append(len(x)) or forward(x, y))
    digests, seen = [f"{i}" for i in range(40)], set()
    for number in range(3):
        drawn, names = styles.draw(digests, 1, number)
        seen |= set(names)
        for style, name in zip(drawn, names, strict=True):
            row = store.paths.tolist().index(name)
            image = load(store, [row], CPU, 2.0, -1.0)
            torch.testing.assert_close(style, forward(image, torch.tensor([1]))[0], rtol=1e-4, atol=1e-5)
    assert seen == {path for path in store.paths if path.startswith("along/")}
    assert encoded == [4, 4]  # 7 references, in batches of 4


def test_the_tries_of_a_query_take_all_references_before_one_comes_again(networks, store):
    """In an order of its own for each query, which the number of tries does not change."""
    styles = make("reference", networks, store)
    names = np.array([styles.draw(DIGESTS, 1, number)[1] for number in range(14)])  # (tries, queries); 7 references
    for order in names.T:
        assert len(set(order[:7])) == 7
        assert order[7:].tolist() == order[:7].tolist()
    assert len({*map(tuple, names.T)}) == len(DIGESTS)


def test_every_order_of_references_is_drawn_equally_often():
    orders = [
        tuple(drawn_at(generator_of(0, str(query), "b"), 4, number) for number in range(4)) for query in range(4800)
    ]
    counts = Counter(orders)
    assert {*counts} == {*permutations(range(4))}
    assert chisquare([*counts.values()]).pvalue > 0.01


def test_shared_latents_are_a_function_of_seed_class_and_number(networks, store):
    found, names = make("latent", networks, store).shared(1, 3)
    assert found.shape == (3, 4)
    assert len(set(names)) == 3
    for number, style in enumerate(found):
        z = generator_of(0, "", "along", number).standard_normal((1, 4), dtype=np.float32)
        expected = networks["mapping_network"](torch.from_numpy(z), torch.tensor([1]))
        torch.testing.assert_close(style, expected[0], rtol=0, atol=1e-6)
    assert make("latent", networks, store).shared(1, 2)[1] == names[:2]
    assert not {*names} & {*make("latent", networks, store).shared(0, 3)[1]}
    assert not {*names} & {*make("latent", networks, store, seed=1).shared(1, 3)[1]}


def test_shared_references_are_spread_over_the_class(networks, store):
    found, names = make("reference", networks, store).shared(1, 3)
    assert names == [f"along/along-{number:02d}.png" for number in (0, 3, 6)]
    for style, name in zip(found, names, strict=True):
        image = load(store, [store.paths.tolist().index(name)], CPU, 2.0, -1.0)
        expected = networks["style_encoder"](image, torch.tensor([1]))
        torch.testing.assert_close(style, expected[0], rtol=1e-4, atol=1e-5)
    assert len(make("reference", networks, store).shared(0, 6)[1]) == 5  # it has no more


def test_batches_are_padded_with_the_last():
    assert pad_rows(np.array([3, 4]), 4).tolist() == [3, 4, 4, 4]
    assert pad_rows([5], 1).tolist() == [5]


def test_an_unknown_kind_is_named(networks, store):
    with pytest.raises(QuacError, match="style kind latin: unknown"):
        styles_of(converter_of(networks, store.classes), store, kinds=["latin"])
