"""Detection of NaN and infinity on the device, without waiting for it in every step."""

import torch

from quac.models.starganv2.step import Terms


class FiniteCheck:
    """Remembers the first step at which each term was not finite."""

    def __init__(self, names: tuple[str, ...], device: torch.device):
        """`names`: of the terms."""
        self.names = names
        self.first = torch.full((len(names),), -1, device=device)  # first bad step of each term, -1: none

    def update(self, terms: Terms, step: int) -> None:
        """Check the terms of a step. Nothing is copied from the device."""
        self.first = torch.where((self.first < 0) & ~terms.values.isfinite(), step, self.first)

    def first_bad(self) -> tuple[int, list[str]] | None:
        """The first step with terms that were not finite, and their names; None if there is none.

        Waits for the device.
        """
        bad = [(step, name) for step, name in zip(self.first.tolist(), self.names, strict=True) if step >= 0]
        earliest = min(bad, default=(0, ""))[0]
        return (earliest, [name for step, name in bad if step == earliest]) if bad else None
