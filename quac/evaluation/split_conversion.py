"""The conversion of a split by a checkpoint, from files: scores of the checkpoint, the converted split, its styles."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from quac.classifier.judge import Judge, open_oracles
from quac.config import Config
from quac.config.stages import SECTIONS
from quac.conversion.chosen import drawn_targets
from quac.conversion.engine import TryBatch, convert
from quac.conversion.image_folder import BestImages, grid_path, typical_path
from quac.data.images import write_png
from quac.data.masks import masks_of_stage
from quac.data.store import Store
from quac.evaluation.identification import Identification
from quac.evaluation.style_grids import make_grids
from quac.evaluation.tries import Tries, measure_tries
from quac.models import open_converter
from quac.system.errors import QuacError
from quac.system.files import file_sha256
from quac.system.provenance import Provenance
from quac.system.tables import read_table

TYPICAL, MAX_TYPICAL = 8, 6400  # queries of a pair of which a random try is shown, at most; and of all pairs together


@dataclass(frozen=True)
class SplitFiles:
    """The files of a conversion: the classifier, the queries, and the reference images."""

    classifier: Path
    store: Path
    index: Path
    reference_store: Path
    reference_index: Path


class SplitConversion:
    """A split and a checkpoint, opened for conversion."""

    def __init__(
        self,
        config: Config,
        checkpoint: Path,
        files: SplitFiles,
        device: torch.device,
        provenance: Provenance,
        style_kinds: Sequence[str] | None = None,
    ):
        """`style_kinds`: None for all that the converter has. Raises QuacError if the files do not belong together."""
        self.config, self.checkpoint, self.classifier, self.device = config, checkpoint, files.classifier, device
        self.provenance = provenance
        index, references = read_table(files.index), Store.open(files.reference_store, files.reference_index)
        self.split, self.batch_size = index.attrs["split"], config.validation_config.val_batch_size
        self.queries, self.converter = Store.open(files.store, files.index), open_converter(checkpoint, device)
        for classes in (references.classes, self.converter.classes):
            self.queries.require(config.model, classes)
        if self.converter.info.step is None:
            raise QuacError(f"{checkpoint}: does not name its step. Use a checkpoint of a training.")
        self.judge = Judge(files.classifier, config.validation_config, config.model, self.queries.classes, device)
        drawing = {"seed": config.run.seed, "batch_size": self.batch_size}
        kinds = style_kinds or self.converter.style_kinds
        self.styles = {kind: self.converter.styles(kind, references, **drawing) for kind in kinds}
        self.masks = masks_of_stage(index, config, self.split)
        self.identification = Identification(self.queries, self.converter, config.run.seed)

    def score(self, shard: tuple[int, int] = (0, 1)) -> Tries:
        """Convert with the tries and queries that choose a checkpoint (`selection`)."""
        selection = self.config.selection
        tries = cast(int, selection.tries)  # `resolve` has filled it in
        return self._convert(tries, selection.max_per_class, shard, measure=self.identification)

    def convert(
        self, oracles: Sequence[Path] = (), images: Path | None = None, shard: tuple[int, int] = (0, 1)
    ) -> Tries:
        """Convert every query, also into its own class, and measure every try in full.

        Args:
            oracles: files of the oracles, in the order of their names.
            images: folder for the best try of each query; None: they are not written.
        """
        config, classes = self.config, self.queries.classes
        judges = open_oracles(config.oracles, oracles, config.model, classes, self.device)

        def measure(tries: TryBatch) -> list[dict[str, torch.Tensor]]:
            measured = measure_tries(judges, classes, tries)
            return [more | found for more, found in zip(measured, self.identification(tries), strict=True)]

        how: dict[str, Any] = {"measure": measure, "diagonal": True}
        with BestImages(images, self.queries) if images else nullcontext() as on_best:
            tries = config.validation_config.num_outs_per_domain
            return self._convert(tries, None, shard, on_best=on_best, **how)

    def show_styles(self, images: Path) -> dict[str, Any]:
        """Grids of styles, see `make_grids`, `typical` (see `typical_tries`), and what they were made by.

        The images go to a folder.
        """

        def on_image(image: np.ndarray, *place: Any) -> None:
            write_png(images / grid_path(*place), image.transpose(1, 2, 0))

        inputs = self.converter, self.judge, self.queries, self.styles
        grids = make_grids(*inputs, batch_size=self.batch_size, on_image=on_image, masks=self.masks)
        references = getattr(self.config, SECTIONS[self.split]).reference
        about = {"split": self.split, "references": references, **self._origin()}
        return {**grids, "typical": self.typical_tries(images), **about}

    def typical_tries(self, images: Path) -> list[dict[str, Any]]:
        """A random try of a few random queries: neither is chosen by its result. Rows of `convert`, as JSON values.

        With many classes these are fewer queries of each pair, and at last not all pairs, but some drawn by the seed.

        The queries are drawn by `run.seed`, for each class and style kind; the try is their first one, whose style is
        drawn like that of any other. Their images go to a folder, see `typical_path`.
        """
        rows: list[dict[str, Any]] = []
        classes, seed = len(self.queries.classes), self.config.run.seed
        targets = drawn_targets(classes, MAX_TYPICAL, seed)
        each = max(1, min(TYPICAL, MAX_TYPICAL // (classes * (classes - 1))))
        for style_kind, styles in self.styles.items():
            how: dict[str, Any] = {"seed": seed, "masks": self.masks, "max_per_class": each, "targets": targets}
            with BestImages(images / typical_path(style_kind), self.queries) as on_best:
                inputs = self.converter, self.judge, self.queries, {style_kind: styles}
                frame = convert(*inputs, tries=1, batch_size=self.batch_size, on_best=on_best, **how)
            rows += [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
        return rows

    def _convert(self, tries: int, max_per_class: int | None, shard: tuple[int, int], **how: Any) -> Tries:
        how |= {"batch_size": self.batch_size, "seed": self.config.run.seed, "masks": self.masks, "shard": shard}
        extent: dict[str, Any] = {"tries": tries, "max_per_class": max_per_class}
        frame = convert(self.converter, self.judge, self.queries, self.styles, **extent, **how)
        classes = self.queries.classes
        images = {name: len(self.queries.rows_of(label)) for label, name in enumerate(classes)}
        masked = self.masks.count if self.masks else None
        about = {"classes": classes, "shard": list(shard), "found": images, "masked": masked, **self._origin()}
        return Tries(frame, **extent, **about)

    def _origin(self) -> dict[str, Any]:
        """The checkpoint and the provenance of a result, as JSON values."""
        record = self.provenance.record(device=str(self.device), classifier=file_sha256(self.classifier))
        about = {"step": self.converter.info.step, "checkpoint": str(self.checkpoint)}
        return {**about, "checkpoint_digest": file_sha256(self.checkpoint), "provenance": record}
