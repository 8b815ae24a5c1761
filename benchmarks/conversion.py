"""Times the conversion of a split, and of files, against loops; prints Markdown: `make bench-conversion`.

Of a split, the loop does one query and one target at a time, with its tries as a batch, as QuAC's validation does; it
judges and measures the same. Of files, it reads, converts and writes one after the other. In turns, with the loop twice
as a control (A/A). On a CPU narrow networks and one thread, with `--device cuda` the published widths.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import numpy as np
import torch
from measure import interleaved, machine, table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from helpers.builders import judging, make_store, ours, save_classifier, write_images

from quac.classifier.backbones import SmallClassifier
from quac.classifier.judge import Judge
from quac.config.training import Model
from quac.conversion.engine import convert
from quac.conversion.files import convert_files
from quac.conversion.network import ConversionNetwork
from quac.conversion.places import list_places, results_of
from quac.conversion.query import read_query
from quac.data.batches import load
from quac.models.starganv2.networks import build_networks
from quac.models.starganv2.styles import generator_of_try, open_styles
from quac.system.device import choose_device

NARROW = {"conv_dim": 16, "max_conv_dim": 64, "hidden_dim": 128, "style_dim": 32}
WIDTHS = {*NARROW, "latent_dim"}
CLASSES = ("a", "b", "c")


class Bench:
    def __init__(self, folder, device, size, queries, tries, batch, widths):
        self.device = device
        channels = 1 if widths else 3
        model = Model(img_size=size, input_dim=channels, conv_dim=2**14 // size).model_copy(update=widths)
        self.store = make_store(folder, dict.fromkeys(CLASSES, queries), size=size, channels=channels)
        torch.manual_seed(0)
        self.networks = build_networks(model, len(CLASSES)).to(device).eval().requires_grad_(False)
        path = save_classifier(folder / "classifier.pt", SmallClassifier(channels, len(CLASSES), 16).eval())
        self.judge = Judge(path, judging(img_size=size), model, CLASSES, device)
        data = SimpleNamespace(scale=2.0, shift=-1.0)
        self.settings = SimpleNamespace(
            tries=tries, batch_size=batch, seed=0, max_per_class=None, model=model, data=data
        )

    def ours(self, kind):
        styles = open_styles([kind], self.networks, self.store, self.settings, self.device)
        return convert(self.networks["generator"], self.judge, self.store, styles, self.settings, self.device)

    @torch.inference_mode()
    def loop(self, kind):
        """{(query, target, try): (predicted, p_target, l1)}"""
        rng, found = np.random.default_rng(0), {}
        for row in range(len(self.store)):
            source = self.store.labels[row]
            for target in range(len(CLASSES)):
                if target == source:
                    continue
                tries = self.settings.tries
                x = load(self.store, np.full(tries, row), self.device, 2.0, -1.0)
                y = torch.full((tries,), target, device=self.device)
                if kind == "latent":
                    z = np.concatenate(
                        [[self._latent(row, target, number)] for number in range(tries)], dtype=np.float32
                    )
                    style = self.networks["mapping_network"](torch.from_numpy(z).to(self.device), y)
                else:
                    references = rng.choice(self.store.rows_of(target), tries)
                    images = load(self.store, references, self.device, 2.0, -1.0)
                    style = self.networks["style_encoder"](images, y)
                image = self.networks["generator"](x, style)
                p = self.judge(image)
                l1 = (image - x).abs().mean((1, 2, 3))
                numbers = torch.stack([p.argmax(1).float(), p[:, target], l1], 1).cpu().numpy()
                for number in range(tries):
                    found[self.store.paths[row], CLASSES[target], number] = numbers[number]
        return found

    def _latent(self, row, target, number):
        draw = generator_of_try(0, self.store.digests[row], CLASSES[target], number)
        return draw.standard_normal(self.settings.model.latent_dim, dtype=np.float32)

    def disagreement(self):
        """Of the latent kind, whose styles are the same in both: the largest difference of p_target and l1."""
        loop, worst = self.loop("latent"), 0.0
        for row in self.ours("latent").to_dict("records"):
            _, p, l1 = loop[row["query"], row["target"], row["try"]]
            worst = max(worst, abs(p - row["p_target"]), abs(l1 - row["l1"]))
        return worst


class Files:
    """Grey PNG files of 256 pixels, one try each."""

    def __init__(self, folder, device, size, count, widths):
        write_images(folder / "in", {"a": count}, size=256)
        sections = {
            "data": {"img_size": size, "grayscale": bool(widths)},
            "model": widths or Model(conv_dim=2**14 // size).model_dump(include=WIDTHS),
        }
        self.network = ConversionNetwork.load(ours(folder / "m.ckpt", **sections), device)
        self.results = results_of(list_places([str(folder / "in")], folder / "out"), ["b"], 1, folder / "out")
        self.styles = {"b": self.network.latent_styles(0)}

    def ours(self):
        convert_files(self.network, self.results, 1, self.styles)

    @torch.no_grad()
    def loop(self):
        for (place, _), (path,) in self.results.items():
            query = read_query(place.path, self.network)
            style, _ = self.styles["b"].draw([query.digest], 1, 0)
            images = self.network.render(self.network.features(query.x), style[None])[0]
            query.write(path, self.network.to_pixels(images)[0], self.network)


def compare(title, pairs, rounds):
    """Time the loop and ours, {what: (loop, ours)}, in turns, and print the table."""
    rows = [["", "seconds", "from", "to", "faster than the loop"]]
    for what, (loop, product) in pairs.items():
        names = [f"{what}, {side}" for side in ("the loop", "ours", "the loop again (A/A)")]
        seconds = interleaved(dict(zip(names, (loop, product, loop), strict=True)), rounds, before=1)
        base = median(seconds[names[0]])
        for side, values in seconds.items():
            times = [f"{value:.2f}" for value in (median(values), min(values), max(values))]
            rows.append([side, *times, f"{base / median(values):.2f} x"])
    table(title, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, help="Of PyTorch. Default: 1 on a CPU, else all cores.")
    options = parser.parse_args()
    narrow = options.device == "cpu"
    device = choose_device(options.device, options.threads or (1 if narrow else None))
    print(machine(device) + "\n")
    with tempfile.TemporaryDirectory() as name:
        size, queries, batch = (32, 16, 16) if narrow else (128, 64, 64)
        bench = Bench(Path(name), device, size, queries, 10, batch, NARROW if narrow else {})
        pairs = {
            kind: (lambda kind=kind: bench.loop(kind), lambda kind=kind: bench.ours(kind))
            for kind in ("latent", "reference")
        }
        compare(f"{3 * queries} queries of {size} px, 3 classes, 10 tries, batches of {batch}", pairs, options.rounds)
        print(f"Largest difference of a probability or a distance between the two: {bench.disagreement():.1e}\n")
        pairs = {}
        for side in (size, 2 * size):
            (folder := Path(name) / str(side)).mkdir()
            files = Files(folder, device, side, 128, NARROW if narrow else {})
            pairs[f"networks of {side} px"] = (files.loop, files.ours)
        compare("128 files of 256 px, one try", pairs, options.rounds)


if __name__ == "__main__":
    main()
