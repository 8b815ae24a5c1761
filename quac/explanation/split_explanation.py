"""The explanation of a converted split, from files: the smallest change that flips each decision."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from quac.classifier.adversarial_noise import targeted_pgd
from quac.classifier.judge import Judge, open_oracles
from quac.config import Config
from quac.data.batches import as_written, batches_of, depth_of, load, to_pixels, to_range
from quac.data.images import to_depth, write_png
from quac.data.masks import Masks, masks_of_stage
from quac.data.result_names import output_path
from quac.data.stage_images import read_pixels
from quac.data.store import Store
from quac.explanation.attribution import CONTROL, attribute
from quac.explanation.counterfactual import Counterfactuals, find_counterfactuals
from quac.explanation.scores import aupc, perturbation_curves
from quac.explanation.summary import summarize
from quac.system.console import progress
from quac.system.errors import QuacError
from quac.system.files import atomic_write, file_sha256, read_json
from quac.system.keyed_random import draw_keys
from quac.system.provenance import Provenance
from quac.system.tables import read_table, write_table

BATCH = 16  # explanations that are computed together
# Of a table without conversions.
COLUMNS = ["query", "digest", "class", "source", "target", "kind", "try", "style", "right", "method", "file"]
COLUMNS += ["quac_score"]
KEPT_ATTRIBUTIONS = ("d_ig", "d_ingrad")  # of which the files are kept; the others are quick to compute again


@dataclass(frozen=True)
class ExplanationFolders:
    """Where the files of the explanations go: `<method>/<class>/<target>/<path inside the class folder>`.

    Attributions are float16 arrays (C, H, W) in [0, 1], masks uint8 arrays (C, H, W), of which 255 stands for 1, and
    counterfactuals PNG files of the depth of the generated images.
    """

    generated: Path  # the best tries, as the conversion wrote them
    attributions: Path
    masks: Path
    counterfactuals: Path


@dataclass(frozen=True)
class ExplanationFiles:
    """The files of the stage `explain`."""

    table: Path  # of tries
    controls: Path  # of the split
    classifier: Path
    oracles: Sequence[Path]  # in the order of their names
    store: Path
    index: Path
    out: Path  # the table of explanations


def write_explanations(
    config: Config, files: ExplanationFiles, folders: ExplanationFolders, device: torch.device, provenance: Provenance
) -> None:
    """Explain a converted split.

    The table's attributes are the methods, the classes, the provenance; `mistakes`: the number of `queries` that the
    classifier gets wrong, and of those that are `corrected`, called their own class after a conversion; and `noise`,
    the control: see `explain_noise`, with its `method` and `eps`, or None if there can be none.
    """
    table, store = read_table(files.table), Store.open(files.store, files.index)
    controls, index = read_json(files.controls, ["noise", "split"]), read_table(files.index)
    judge = Judge(files.classifier, config.validation_config, config.model, store.classes, device)
    oracles = open_oracles(config.oracles, files.oracles, config.model, store.classes, device)
    for folder in (folders.attributions, folders.masks, folders.counterfactuals):
        folder.mkdir(parents=True, exist_ok=True)  # also if there is nothing to write
    explanation, scaling = config.explanation, {"scale": config.data.scale, "shift": config.data.shift}
    tries = converted_tries(table, explanation.max_per_pair, config.run.seed)
    explained = explain_split(tries, store, judge, oracles, folders, explanation.methods, **scaling)
    eps, methods = controls["noise"]["eps"], [name for name in explanation.methods if name != CONTROL]
    noise = None
    if eps is not None and methods:
        masks = masks_of_stage(index, config, controls["split"])
        rows = explain_noise(tries, store, judge, oracles, folders, methods[0], eps, masks, **scaling)
        noise = {"method": methods[0], "eps": eps, **summarize(rows)} if len(rows) else None
    inputs = {"table": file_sha256(files.table), "controls": file_sha256(files.controls)}
    made_from = {"classifier": file_sha256(files.classifier), "files": inputs}
    record = provenance.record(device=str(device), **made_from)
    wrong = table[table["correction"] & table["best"]]
    mistakes = {"queries": len(wrong), "corrected": int((wrong["predicted"] == wrong["target"]).sum())}
    about: dict[str, Any] = {**vars(explanation), "classes": store.classes, "mistakes": mistakes, "noise": noise}
    paths = {**vars(folders), "store": files.store, "index": files.index}
    about["paths"] = {name: os.path.relpath(path, files.out.parent) for name, path in paths.items()}  # may be moved
    write_table(files.out, explained, **about, provenance=record)


def converted_tries(table: pd.DataFrame, max_per_pair: int | None, seed: int) -> pd.DataFrame:
    """The best tries that the classifier calls the target: at most so many of each pair of classes.

    Queries that it calls their class are explained into every other class; mistakes only into their own, by their
    corrections, see `quac.conversion.engine.convert`. Rows of `table`, with the `class` of the query, and as `source`
    the one that the classifier gives it; the two differ for mistakes, which are counted apart. They are drawn by the
    seed and the digests of the queries, so another split of the work draws the same.
    """
    right = table["query_predicted"] == table["source"]
    wanted = table["correction"] | (right & (table["source"] != table["target"]))
    chosen = table[table["best"] & wanted & (table["predicted"] == table["target"])]
    chosen = chosen.assign(**{"class": chosen["source"], "source": chosen["query_predicted"]})
    drawn = chosen.assign(draw=draw_keys(chosen["digest"], seed))
    ranks = drawn.groupby(["class", "source", "target"])["draw"].rank("first")
    return chosen if max_per_pair is None else chosen[ranks <= max_per_pair]


def explain_split(
    tries: pd.DataFrame,
    store: Store,
    judge: Judge,
    oracles: Mapping[str, Judge],
    folders: ExplanationFolders,
    methods: Sequence[str],
    *,
    scale: float,
    shift: float,
) -> pd.DataFrame:
    """Explain conversions by each method, write their files, and measure them.

    Args:
        tries: see `converted_tries`.
        store: the queries.
        judge, oracles: the classifier, and further ones that only give their verdict on each counterfactual.
        scale, shift: of the networks' range.

    Returns:
        DataFrame, one row per query, target and method: `query` (path), `digest`, its `class`; `source`, what the
        classifier calls it; `target`, `kind`, `try`, `style`, `method`; `file`, the path of its files within the
        folders, without an ending; `right`: whether the classifier calls the query its class; `predicted`
        and `p_target` of the query (`query_`), the conversion (`generated_`), the counterfactual (`counterfactual_`),
        also `_by_<oracle>`; `mask_size`, `threshold`, `quac_score`; `curve`, the change of the target's probability at
        the mask sizes of `scores.GRID`; `cout`, `aupc_target` and `aupc_source`, which are of the conversion, whatever
        the method; and `best`: the method with the highest score, but for the control.

    Raises QuacError if an image is missing or damaged, or the classifier cannot be differentiated.
    """
    parts: list[pd.DataFrame] = []
    for some in _batches(tries, store, "explaining"):
        batch = _Batch(some, store, folders, judge, oracles, scale, shift)
        parts += [batch.explain(method) for method in methods]
    table = pd.concat(parts or [pd.DataFrame(columns=COLUMNS)], ignore_index=True)
    scored = table[table["method"] != CONTROL]
    best = scored["quac_score"].astype(float).groupby([scored["query"], scored["target"]]).idxmax()
    return table.assign(best=table.index.isin(best))


def explain_noise(
    tries: pd.DataFrame,
    store: Store,
    judge: Judge,
    oracles: Mapping[str, Judge],
    folders: ExplanationFolders,
    method: str,
    eps: float,
    masks: Masks | None = None,
    *,
    scale: float,
    shift: float,
) -> pd.DataFrame:
    """Explain adversarial noise in place of the conversions of right queries: what the numbers are worth.

    Args:
        method: of attribution.
        eps: largest change of a value by the noise, as a share of the range.
        masks: where images are converted; None: everywhere.

    Returns the columns of `explain_split` that are of the counterfactuals; nothing is written.
    """
    parts = []
    right = tries[tries["class"] == tries["source"]]
    for some in _batches(right, store, "explaining noise"):
        batch = _Batch(some, store, folders, judge, oracles, scale, shift)
        parts.append(batch.explain_noise(method, eps, masks))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _batches(tries: pd.DataFrame, store: Store, what: str) -> Iterator[pd.DataFrame]:
    """Tries of queries of one size, with the `row` of each in the store."""
    row_of = {path: row for row, path in enumerate(store.paths)}
    by_row = tries.assign(row=tries["query"].map(row_of)).sort_values(["row", "target"])
    positions = by_row["row"].to_numpy()
    bar = progress(total=len(by_row), what=what, unit="conversion")
    for part in batches_of(store, np.unique(positions), BATCH):
        of_part = by_row[np.isin(positions, part)]
        for start in range(0, len(of_part), BATCH):
            yield of_part.iloc[start : start + BATCH]
            bar.update(min(BATCH, len(of_part) - start))
    bar.close()


class _Batch:
    """Conversions of one size, and what does not depend on the method."""

    def __init__(
        self,
        tries: pd.DataFrame,
        store: Store,
        folders: ExplanationFolders,
        judge: Judge,
        oracles: Mapping[str, Judge],
        scale: float,
        shift: float,
    ):
        self.tries, self.folders, self.judge, self.oracles = tries, folders, judge, oracles
        self.classes, self.range, device = np.array(store.classes, dtype=object), (scale, shift), judge.device
        self.depth = depth_of(store.flat.dtype)
        self.queries = load(store, tries["row"].to_numpy(), device, scale, shift)
        names = zip(tries["query"], tries["class"], tries["target"], strict=True)
        self.files = [output_path(*name) for name in names]
        generated = (read_pixels(folders.generated / name, folders.generated) for name in self.files)
        pixels = [to_depth(values, store.flat.dtype).transpose(2, 0, 1) for values in generated]
        shape = self.queries.shape[1:]
        for name, image in zip(self.files, pixels, strict=True):
            if image.shape != shape:
                raise QuacError(f"{folders.generated / name}: is {image.shape}, but its query is {tuple(shape)}")
        self.generated = to_range(torch.from_numpy(np.stack(pixels)).to(device), scale, shift)
        self.sources, self.targets = (self._labels(tries[name]) for name in ("source", "target"))
        both = torch.stack([self.targets, self.sources], 1)
        areas = aupc(perturbation_curves(judge, self.queries, self.generated, both)).cpu().numpy()
        about = ["query", "digest", "class", "source", "target", "kind", "try", "style"]
        self.columns = {
            **{name: tries[name].to_numpy() for name in about},
            "right": (tries["class"] == tries["source"]).to_numpy(),
            **self._verdicts("query", self.queries),
            **self._verdicts("generated", self.generated),
            **{"cout": areas[:, 0] - areas[:, 1], "aupc_target": areas[:, 0], "aupc_source": areas[:, 1]},
        }

    def explain(self, method: str) -> pd.DataFrame:
        """Explain the conversions by a method, and write its files."""
        given = self.judge, self.queries, self.generated
        try:
            attributions = attribute(method, *given, self.sources, self.tries["digest"].tolist())
        except RuntimeError as error:  # of autograd, which knows no type of its own
            raise QuacError(
                f"{self.judge.path}: the method {method} needs the gradients of the classifier, and it has none "
                f"({str(error).splitlines()[0]}). Leave the method out of explanation.methods: residual, occlusion and "
                "random need none."
            ) from None
        found = find_counterfactuals(*given, attributions, self.targets)
        self._write(method, attributions, found)
        files = [str(PurePosixPath(name).with_suffix("")) for name in self.files]
        return pd.DataFrame({**self.columns, "method": method, "file": files, **self._numbers(found)})

    def explain_noise(self, method: str, eps: float, masks: Masks | None) -> pd.DataFrame:
        """Explain noise of at most `eps` of the range by a method."""
        scale, shift = self.range
        limits = min(shift, shift + scale), max(shift, shift + scale)
        mask = None
        if masks:
            rows = self.tries["row"].to_numpy()
            masks.read(rows, quiet=True)
            mask = torch.from_numpy(masks[rows]).to(self.queries.device)
        images = targeted_pgd(self.judge, self.queries, self.targets, eps * abs(scale), limits, mask)
        images = as_written(images, scale, shift, self.depth)
        given = self.judge, self.queries, images
        attributions = attribute(method, *given, self.sources, self.tries["digest"].tolist())
        found = find_counterfactuals(*given, attributions, self.targets)
        return pd.DataFrame({"target": self.columns["target"], **self._numbers(found)})

    def _numbers(self, found: Counterfactuals) -> dict[str, Any]:
        """{column: (B,)} of counterfactuals, as they are written."""
        shown = as_written(found.images, *self.range, self.depth)
        return {
            **self._verdicts("counterfactual", shown),
            **{"mask_size": found.mask_sizes, "threshold": found.thresholds, "quac_score": found.scores},
            "curve": list(found.curves.astype(np.float32)),
        }

    def _labels(self, names: pd.Series) -> Tensor:
        return torch.tensor([self.judge.classes.index(name) for name in names], device=self.judge.device)

    @torch.no_grad()
    def _verdicts(self, what: str, images: Tensor) -> dict[str, np.ndarray]:
        """{column: (B,)} of the classifier and the oracles."""
        columns = {}
        judges = {"": self.judge, **{f"_by_{name}": oracle for name, oracle in self.oracles.items()}}
        for name, judge in judges.items():
            p = judge(images)
            columns[f"{what}_predicted{name}"] = self.classes[p.argmax(1).cpu().numpy()]
            columns[f"{what}_p_target{name}"] = p.gather(1, self.targets[:, None])[:, 0].cpu().numpy()
        return columns

    def _write(self, method: str, attributions: Tensor, found: Counterfactuals) -> None:
        images = to_pixels(found.images, *self.range, self.depth).permute(0, 2, 3, 1).cpu().numpy()
        masks = found.masks.mul(255).round().to(torch.uint8).cpu().numpy()
        arrays = [(self.folders.masks, masks)]
        if method in KEPT_ATTRIBUTIONS:
            arrays.append((self.folders.attributions, attributions.half().cpu().numpy()))
        for row, name in enumerate(self.files):
            path = PurePosixPath(method, name)
            write_png(self.folders.counterfactuals / path, images[row])
            for folder, values in arrays:
                with atomic_write(folder / path.with_suffix(".npy")) as temporary, open(temporary, "wb") as file:
                    np.save(file, values[row])
