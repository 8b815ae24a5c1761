"""How often the 95 % intervals of rates cover the true rate, and how wide they are, by simulation.

Prints the table of the section in benchmarks/README.md; takes about a minute on one core.
"""

from collections.abc import Callable

import numpy as np

from quac.evaluation.intervals import average_interval, paired_difference, rate_interval

TRIES, SAMPLES = 10, 4000
Rates = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]  # true rates of single queries


def spread(mean: float, concentration: float) -> Rates:
    """Rates of queries by a Beta distribution, skewed where its mean is near 1."""
    return lambda rng, shape: rng.beta(mean * concentration, (1 - mean) * concentration, shape)


def binary(mean: float) -> Rates:
    """A query always converts, or never."""
    return lambda rng, shape: (rng.random(shape) < mean).astype(float)


def equal(mean: float) -> Rates:
    """All queries have one rate."""
    return lambda rng, shape: np.full(shape, mean)


KINDS: dict[str, tuple[Rates, float]] = {
    **{f"binary, {mean}": (binary(mean), mean) for mean in (0.5, 0.9, 0.95, 0.98)},
    **{f"skewed, {mean}": (spread(mean, 1), mean) for mean in (0.9, 0.95, 0.98)},
    **{f"spread, {mean}": (spread(mean, 2), mean) for mean in (0.5, 0.95)},
    **{f"homogeneous, {mean}": (equal(mean), mean) for mean in (0.5, 0.9, 0.98)},
}


def draw(rates: Rates, rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Shares of a query's tries that succeed."""
    return rng.binomial(TRIES, rates(rng, shape)) / TRIES


def described(limits: list[tuple[float, float]], mean: float) -> str:
    """Coverage and mean width."""
    low, high = np.array(limits).T
    return f"{((low <= mean) & (mean <= high)).mean():.3f}, {(high - low).mean():.3f}"


def cell(rates: Rates, mean: float, n: int) -> str:
    """The interval of a class pair."""
    return described([rate_interval(sample) for sample in draw(rates, np.random.default_rng(0), SAMPLES, n)], mean)


def average(rates: Rates, mean: float, n: int, classes: int) -> str:
    """The interval of the average: n queries of each class, each into all others."""
    samples = draw(rates, np.random.default_rng(0), SAMPLES // 2, classes, n, classes - 1).mean(-1)
    return described([average_interval(dict(zip(range(classes), sample, strict=True))) for sample in samples], mean)


def groups(rates: Rates, mean: float, count: int) -> str:
    """The interval of a class pair whose queries are of 2 to 6 per group, and have the rate of their group."""
    rng, group = np.random.default_rng(0), np.repeat(np.arange(count), np.resize([2, 3, 4, 5, 6], count))
    samples = rng.binomial(TRIES, rates(rng, (SAMPLES, count))[:, group]) / TRIES
    return described([rate_interval(sample, group) for sample in samples], mean)


def difference(rates: Rates, n: int) -> str:
    """The interval of the paired difference of two checkpoints, three classes: equal rates of half of the queries, and
    of all classes."""
    rng, limits = np.random.default_rng(0), []
    for _ in range(SAMPLES // 4):
        one, other = rates(rng, (3, n)), rates(rng, (3, n))
        other[:, ::2] = one[:, ::2]
        tries = (dict(zip("abc", rng.binomial(TRIES, of_query) / TRIES, strict=True)) for of_query in (one, other))
        limits.append(paired_difference(*tries)[1:])
    return described(limits, 0)


def main() -> None:
    """Print the table."""
    columns: dict[str, Callable[[Rates, float], str]] = {
        **{f"cell, {n}": lambda rates, mean, n=n: cell(rates, mean, n) for n in (10, 20, 50, 100)},
        "average, 10": lambda rates, mean: average(rates, mean, 10, 3),
        "average, 50": lambda rates, mean: average(rates, mean, 50, 3),
        "average of 10 classes, 50": lambda rates, mean: average(rates, mean, 50, 10),
        "20 groups": lambda rates, mean: groups(rates, mean, 20),
        "difference, 50": lambda rates, mean: difference(rates, 50),
    }
    print(f"| rates of queries | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for name, (rates, mean) in KINDS.items():
        print(f"| {name} | {' | '.join(column(rates, mean) for column in columns.values())} |", flush=True)


if __name__ == "__main__":
    main()
