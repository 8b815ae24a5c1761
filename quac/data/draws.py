"""Which images a training step sees."""

import numpy as np

from quac.system.errors import QuacError


class ImageDraws:
    """Draws classes, and of each two different images."""

    def __init__(self, store, sampling):
        """
        Args:
            store: gives `labels`, `weights` and `classes`.
            sampling: `balanced` (every class is as likely), `natural` (as its number of images), or {class: weight}.
        """
        members = [store.rows_of(label) for label in range(len(store.classes))]
        self.rows, self.counts = np.concatenate(members), np.array([len(rows) for rows in members])
        if empty := [name for name, count in zip(store.classes, self.counts, strict=True) if not count]:
            raise QuacError(f"{', '.join(empty)}: no images to train with; add some, or leave it out by data.classes")
        self.first = np.cumsum(self.counts) - self.counts  # where each class begins in `rows`
        self.weights = store.weights[self.rows]
        self.ends = np.cumsum(self.weights)
        self.starts = self.ends - self.weights
        self.bounds = np.cumsum(self._chances(sampling, store.classes))
        self.bounds /= self.bounds[-1]

    def _chances(self, sampling, classes):
        if sampling == "balanced":
            return np.ones(len(classes))
        if sampling == "natural":
            return self.counts.astype(float)
        if sampling.keys() != set(classes):
            odd = sorted(sampling.keys() ^ set(classes))
            raise QuacError(
                f"data.sampling: does not fit the data in {', '.join(odd)}; "
                f"give a weight to each of {', '.join(classes)}"
            )
        return np.array([sampling[name] for name in classes], float)

    def __call__(self, rng, size):
        """Rows of two different images of each of `size` classes, and the classes: three int64 arrays (size,)."""
        u_class, u_one, u_other = rng.random((3, size))
        labels = np.searchsorted(self.bounds, u_class, side="right")
        low, high = self.first[labels], self.first[labels] + self.counts[labels] - 1
        begin, total = self.starts[low], self.ends[high] - self.starts[low]
        one = self._place(begin + u_one * total, low, high)
        # The other: along the class's weights with those of the one cut out.
        along = begin + u_other * (total - self.weights[one])
        other = self._place(along + np.where(along >= self.starts[one], self.weights[one], 0), low, high)
        clash = other == one  # by rounding, at an image's edge
        other = np.where(clash, low + (one - low + 1) % self.counts[labels], other)
        return self.rows[one], self.rows[other], labels

    def _place(self, along, low, high):
        return np.searchsorted(self.ends, along, side="right").clip(low, high)
