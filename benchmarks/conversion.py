"""Times the conversion of a split, and of files, against loops; prints Markdown tables: `make bench-conversion`.

Of a split, the loop takes one query and one target at a time, with its tries as a batch, and judges and measures the
same. Of files, it reads, converts and writes one after the other. In turns, with the loop twice as a control (A/A). On
a CPU narrow networks and one thread, with `--device cuda` the published widths.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from measure import interleaved, machine, speed_rows, table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from helpers.builders import judging, make_store, ours, styles_of, write_images

from quac.classifier.backbones import SmallClassifier
from quac.classifier.fit import save_torchscript
from quac.classifier.judge import Judge
from quac.config.training import Model
from quac.conversion.engine import convert
from quac.conversion.image_files import convert_files
from quac.conversion.inputs import list_images, read_query, result_paths
from quac.conversion.network import ConversionNetwork
from quac.data.batches import as_written, load
from quac.models.starganv2.converter import StarGANv2Converter
from quac.models.starganv2.styles import generator_of
from quac.system.device import choose_device

WIDTHS = ("conv_dim", "max_conv_dim", "hidden_dim", "style_dim", "latent_dim")
PUBLISHED = {name: Model.model_fields[name].default for name in WIDTHS}
NARROW = {**PUBLISHED, "conv_dim": 16, "max_conv_dim": 64, "hidden_dim": 128, "style_dim": 32}
CLASSES = ("a", "b", "c")
Sides = tuple[Callable[[], object], Callable[[], object]]  # the loop, and ours


def untrained(folder: Path, device: torch.device, size: int) -> StarGANv2Converter:
    """Untrained networks for images of `size` pixels per side, narrow and of one channel on a CPU."""
    narrow = device.type == "cpu"
    data, model = {"img_size": size, "grayscale": narrow}, NARROW if narrow else PUBLISHED
    return StarGANv2Converter.open(ours(folder / f"{size}.ckpt", classes=CLASSES, data=data, model=model), device)


class SplitConversions:
    """A split, converted into all other classes."""

    def __init__(self, folder: Path, converter: StarGANv2Converter, queries: int, tries: int, batch_size: int):
        """`queries`: of each class."""
        info, counts = converter.info, dict.fromkeys(CLASSES, queries)
        self.converter, self.tries, self.batch_size = converter, tries, batch_size
        self.store = make_store(folder, counts, size=info.img_size, channels=info.channels)
        save_torchscript(SmallClassifier(info.channels, len(CLASSES), 16).eval(), folder / "classifier.pt")
        how = judging(img_size=info.img_size), info.model, CLASSES, converter.device
        self.judge = Judge(folder / "classifier.pt", *how)

    def ours(self, kind: str) -> pd.DataFrame:
        styles = styles_of(self.converter, self.store, self.batch_size, [kind])
        inputs = self.converter, self.judge, self.store, styles
        return convert(*inputs, tries=self.tries, batch_size=self.batch_size, quiet=True)

    @torch.inference_mode()
    def loop(self, kind: str) -> dict[tuple[str, str, int], np.ndarray]:
        """{(query, target, try): array of predicted label, p_target, l1}"""
        rng, numbers = np.random.default_rng(0), {}
        for row, source in enumerate(self.store.labels):
            for target in range(len(CLASSES)):
                if target == source:
                    continue
                x = self._load(np.full(self.tries, row))
                image = self.converter.generator(x, self._styles(kind, row, target, rng))
                image = as_written(image, self.converter.info.scale, self.converter.info.shift, torch.uint8)
                p = self.judge(image)
                l1 = (image - x).abs().mean((1, 2, 3))
                measured = torch.stack([p.argmax(1).float(), p[:, target], l1], 1).cpu().numpy()
                for number in range(self.tries):
                    numbers[self.store.paths[row], CLASSES[target], number] = measured[number]
        return numbers

    def _styles(self, kind: str, row: int, target: int, rng: np.random.Generator) -> torch.Tensor:
        """A style for each try: latent ones as the product draws them, or of random references."""
        converter, device = self.converter, self.converter.device
        y = torch.full((self.tries,), target, device=device)
        if kind == "reference":
            return converter.style_encoder(self._load(rng.choice(self.store.rows_of(target), self.tries)), y)
        draws = [generator_of(0, self.store.digests[row], CLASSES[target], number) for number in range(self.tries)]
        latents = [draw.standard_normal(converter.info.model.latent_dim, dtype=np.float32) for draw in draws]
        return converter.mapping_network(torch.from_numpy(np.stack(latents)).to(device), y)

    def _load(self, rows: np.ndarray) -> torch.Tensor:
        return load(self.store, rows, self.converter.device, self.converter.info.scale, self.converter.info.shift)

    def disagreement(self) -> float:
        """The largest difference of p_target and l1 to the loop, for latent styles, which are the same in both."""
        expected, worst = self.loop("latent"), 0.0
        for row in self.ours("latent").to_dict("records"):
            _, p, l1 = expected[row["query"], row["target"], row["try"]]
            worst = max(worst, abs(p - row["p_target"]), abs(l1 - row["l1"]))
        return worst


def file_sides(folder: Path, converter: StarGANv2Converter, count: int) -> Sides:
    """(loop, ours) for grey PNG files of 256 pixels, one try each."""
    write_images(folder / "in", {"a": count}, size=256)
    network = ConversionNetwork(converter)
    results = result_paths(list_images([str(folder / "in")], folder / "out"), ["b"], 1, folder / "out")
    styles, label = network.latent_styles(0), network.label_of("b")

    @torch.no_grad()
    def loop() -> None:
        for (image, _), (path,) in results.items():
            query = read_query(image.path, network)
            style, _ = styles.draw([query.digest], label, 0)
            images = converter.render(converter.prepare(query.x), style, label)
            query.write(path, network.to_pixels(images)[0], network)

    def ours() -> None:
        convert_files(
            network,
            results,
            1,
            draw=lambda queries, _: queries.draw(styles, label, 1),
            read=lambda image: read_query(image.path, network),
        )

    return loop, ours


def compare(title: str, pairs: Mapping[str, Sides], rounds: int) -> None:
    """Time the loop and ours, {what: (loop, ours)}, in turns, and print the table."""
    rows = [["", "seconds", "speed-up"]]
    for what, (loop, product) in pairs.items():
        sides = {f"{what}, the loop": loop, f"{what}, ours": product, f"{what}, the loop again (A/A)": loop}
        rows += speed_rows(interleaved(sides, rounds, before=1))
    table(title, rows)


def split(folder: Path, device: torch.device, size: int, queries: int, batch_size: int, rounds: int) -> None:
    bench = SplitConversions(folder, untrained(folder, device, size), queries, 10, batch_size)
    pairs = {
        kind: (lambda kind=kind: bench.loop(kind), lambda kind=kind: bench.ours(kind))
        for kind in ("latent", "reference")
    }
    title = f"{len(bench.store)} queries of {size} px, {len(CLASSES)} classes, 10 tries, batches of {batch_size}"
    compare(title, pairs, rounds)
    print(f"Largest difference of a probability or a distance between the two: {bench.disagreement():.1e}\n")


def files(folder: Path, device: torch.device, sizes: tuple[int, ...], count: int, rounds: int) -> None:
    pairs = {
        f"networks of {size} px": file_sides(folder / str(size), untrained(folder, device, size), count)
        for size in sizes
    }
    compare(f"{count} files of 256 px, one try", pairs, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, help="Of PyTorch. Default: 1 on a CPU, else all cores.")
    options = parser.parse_args()
    narrow = options.device == "cpu"
    device = choose_device(options.device, options.threads or (1 if narrow else None))
    size, queries, batch_size = (32, 16, 16) if narrow else (128, 64, 64)
    print(machine(device) + "\n")
    with tempfile.TemporaryDirectory() as folder:
        split(Path(folder), device, size, queries, batch_size, options.rounds)
        files(Path(folder), device, (size, 2 * size), 128, options.rounds)


if __name__ == "__main__":
    main()
