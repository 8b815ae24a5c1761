"""Which images a training step sees."""

from collections.abc import Mapping, Sequence

import numpy as np

from quac.data.store import Store
from quac.system.errors import QuacError


class ClassSampler:
    """Draws classes, and two different images of each: a class by `data.sampling`, an image by its weight."""

    def __init__(self, store: Store, sampling: str | Mapping[str, float]):
        """`sampling`: `balanced` (all classes equally often), `natural` (by number of images), or {class: weight}.

        Raises QuacError if a class has no images, or `sampling` names other classes.
        """
        members = [store.rows_of(label) for label in range(len(store.classes))]
        self.rows, self.counts = np.concatenate(members), np.array([len(rows) for rows in members])
        if empty := [name for name, count in zip(store.classes, self.counts, strict=True) if not count]:
            raise QuacError(f"{', '.join(empty)}: no images to train with; add some, or leave it out by data.classes")
        self.first = np.cumsum(self.counts) - self.counts  # where each class begins in `rows`
        self.weights = store.weights[self.rows]
        self.ends = np.cumsum(self.weights)
        self.starts = self.ends - self.weights
        self.bounds = np.cumsum(self._class_weights(sampling, store.classes))
        self.bounds /= self.bounds[-1]

    def _class_weights(self, sampling: str | Mapping[str, float], classes: Sequence[str]) -> np.ndarray:
        if sampling == "balanced":
            return np.ones(len(classes))
        if isinstance(sampling, str):
            return self.counts.astype(float)
        if odd := sorted(sampling.keys() ^ set(classes)):
            remedy = f"give a weight to each of {', '.join(classes)}"
            raise QuacError(f"data.sampling: does not fit the data in {', '.join(odd)}; {remedy}")
        return np.array([sampling[name] for name in classes], float)

    def __call__(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of two different images of each of `size` classes, and the classes: three int64 arrays (size,)."""
        u_class, u_first, u_second = rng.random((3, size))
        labels = np.searchsorted(self.bounds, u_class, side="right")
        low, high = self.first[labels], self.first[labels] + self.counts[labels] - 1
        begin, total = self.starts[low], self.ends[high] - self.starts[low]
        first = self._position(begin + u_first * total, low, high)
        # The second: along the weights of the class, with that of the first cut out.
        along = begin + u_second * (total - self.weights[first])
        second = self._position(along + np.where(along >= self.starts[first], self.weights[first], 0), low, high)
        clash = second == first  # by rounding, at the edge of an image's weight
        second = np.where(clash, low + (first - low + 1) % self.counts[labels], second)
        return self.rows[first], self.rows[second], labels

    def _position(self, along: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.ends, along, side="right").clip(low, high)
