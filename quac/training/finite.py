"""Noticing NaN and infinity on the device, without waiting for it in every step."""

import torch


class Watch:
    """Remembers the first step at which each term was not finite."""

    def __init__(self):
        self.first = {}  # names of terms -> first bad step of each, -1: none

    def look(self, terms, step):
        """`terms`: {name: 0-d tensor}. Nothing is copied from the device."""
        names, values = tuple(terms), torch.stack([value.float() for value in terms.values()])
        if names not in self.first:
            self.first[names] = torch.full((len(names),), -1, device=values.device)
        first = self.first[names]
        self.first[names] = torch.where((first < 0) & ~values.isfinite(), step, first)

    def found(self):
        """(step, names of terms) of the first that were not finite, or None. Waits for the device."""
        bad = [
            (step, name)
            for names, first in self.first.items()
            for name, step in zip(names, first.tolist(), strict=True)
            if step >= 0
        ]
        if not bad:
            return None
        earliest = min(bad)[0]
        return earliest, [name for step, name in bad if step == earliest]
