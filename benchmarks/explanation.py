"""Times masks, counterfactuals and scores against a loop over single images: `make bench-explanation`.

The loop takes one image at a time: 200 thresholds of its attribution, each with closing and blur by OpenCV, and one
hybrid judged. In turns, with the loop twice as a control (A/A). The networks are those of the demo, untrained: their
weights do not matter for the time. The attributions are the same for both, and take the time that is named.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from measure import interleaved, machine, speed_rows, table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from helpers.builders import judging
from helpers.literal_explanation import literal

from quac.classifier.backbones import SmallClassifier
from quac.classifier.fit import save_torchscript
from quac.classifier.judge import Judge
from quac.config.training import Model
from quac.explanation.attribution import attribute
from quac.explanation.counterfactual import find_counterfactuals
from quac.explanation.scores import quac_score
from quac.system.device import choose_device

CLASSES = ("a", "b", "c")
METHOD = "d_ig"
BATCH = 16  # as in the stage


class Explained:
    """Random smooth queries and conversions, and a classifier."""

    def __init__(self, folder: Path, size: int, count: int, device: torch.device):
        torch.manual_seed(0)
        save_torchscript(SmallClassifier(1, len(CLASSES), 16).eval(), folder / "classifier.pt")
        model = Model(img_size=size, input_dim=1)
        self.judge = Judge(folder / "classifier.pt", judging(img_size=size), model, CLASSES, device)
        coarse = torch.rand(2, count, 1, size // 4, size // 4, device=device) * 2 - 1
        self.queries, self.generated = (torch.nn.functional.interpolate(x, size, mode="bilinear") for x in coarse)
        self.sources = torch.zeros(count, dtype=torch.int64, device=device)
        self.targets = torch.ones_like(self.sources)
        start = time.perf_counter()
        self.attributions = torch.cat([self._attributions(rows) for rows in self._batches()])
        self.attribution_seconds = time.perf_counter() - start

    def _batches(self) -> Sequence[torch.Tensor]:
        return torch.arange(len(self.queries)).split(BATCH)

    def _attributions(self, rows: torch.Tensor) -> torch.Tensor:
        inputs = self.judge, self.queries[rows], self.generated[rows]
        return attribute(METHOD, *inputs, self.sources[rows], [""] * len(rows))

    def ours(self) -> np.ndarray:
        """(count,) scores."""
        scores = []
        for rows in self._batches():
            inputs = self.judge, self.queries[rows], self.generated[rows], self.attributions[rows]
            scores.append(find_counterfactuals(*inputs, self.targets[rows]).scores)
        return np.concatenate(scores)

    @torch.no_grad()
    def loop(self) -> np.ndarray:
        """(count,) scores."""
        scores = []
        for images in zip(self.queries, self.generated, self.attributions, strict=True):
            sizes, changes, _ = literal(self.judge, *images, target=1)
            scores.append(quac_score(sizes, changes))
        return np.array(scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=32, help="Conversions.")
    options = parser.parse_args()
    device = choose_device(options.device, 1)
    print(machine(device) + "\n")
    for size in (32, 64):
        with tempfile.TemporaryDirectory() as folder:
            made = Explained(Path(folder), size, options.count, device)
            sides = {"the loop": made.loop, "ours": made.ours, "the loop again (A/A)": made.loop}
            rows = [["", "seconds", "speed-up"], *speed_rows(interleaved(sides, options.rounds, before=1))]
            table(f"{options.count} conversions of {size} px, {METHOD}", rows)
            print(f"Attributions: {made.attribution_seconds:.2f} s.")
            print(f"Largest difference of a score: {np.abs(made.ours() - made.loop()).max():.1e}\n")


if __name__ == "__main__":
    main()
