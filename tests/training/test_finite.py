import torch

from quac.models.starganv2.step import Terms
from quac.training.finite import FiniteCheck


def terms(**values):
    return Terms(tuple(values), torch.tensor([*values.values()]), torch.ones(len(values), dtype=torch.bool))


def test_the_first_bad_step_and_its_terms_are_remembered():
    check, nan, inf = FiniteCheck(("a", "b", "lazy"), torch.device("cpu")), float("nan"), float("inf")
    check.update(terms(a=1.0, b=2.0, lazy=0.0), 1)
    assert check.first_bad() is None
    check.update(terms(a=1.0, b=2.0, lazy=inf), 2)
    check.update(terms(a=nan, b=2.0, lazy=0.0), 3)
    check.update(terms(a=nan, b=nan, lazy=0.0), 4)
    assert check.first_bad() == (2, ["lazy"])
    other = FiniteCheck(("a", "b", "c"), torch.device("cpu"))
    assert other.first_bad() is None
    other.update(terms(a=nan, b=-inf, c=0.0), 7)
    other.update(terms(a=0.0, b=0.0, c=0.0), 8)
    assert other.first_bad() == (7, ["a", "b"])
