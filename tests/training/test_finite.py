import torch

from quac.training.finite import Watch


def terms(**values):
    return {name: torch.tensor(value) for name, value in values.items()}


def test_the_first_bad_step_and_its_terms_are_found_later():
    watch, nan, inf = Watch(), float("nan"), float("inf")
    watch.look(terms(a=1.0, b=2.0), 1)
    assert watch.found() is None
    watch.look(terms(a=1.0, b=2.0, lazy=inf), 2)
    watch.look(terms(a=nan, b=2.0), 3)
    watch.look(terms(a=nan, b=nan), 4)
    assert watch.found() == (2, ["lazy"])
    other = Watch()
    other.look(terms(a=nan, b=-inf, c=0.0), 7)
    other.look(terms(a=0.0, b=0.0, c=0.0), 8)
    assert other.found() == (7, ["a", "b"])
