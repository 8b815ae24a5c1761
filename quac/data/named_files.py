"""The user's files that a config names: their digests, for the key files of the stages that read them."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

from quac.config import Config
from quac.config.data import SplitMaker
from quac.config.stages import SECTIONS, StageJob
from quac.data.folders import cached_digest, slash_hint, tree_digest
from quac.data.manifest import is_manifest
from quac.data.sources import Listing, Source, list_source, listing_digest
from quac.system.errors import QuacError
from quac.system.files import read_json

SPLIT_OF = {f"{section}.source": split for split, section in SECTIONS.items()}


def is_demo(source: object, demo: str) -> bool:
    """Whether a source is the folder of one of the demo's splits; `demo` is the folder that holds these."""
    return isinstance(source, str) and os.path.normpath(source) in {f"{demo}/{split}" for split in SECTIONS}


@dataclass(frozen=True)
class NamedFiles:
    """The files that the config of a run names."""

    config: Config
    root: str  # folder of the run
    runs: Collection[str]  # folders of all runs of the workflow, this one included
    owners: Collection[str]  # folders of the data sets and classifiers of these runs, see `quac.config.runs`
    demo: str  # folder of the demo's images; the workflow writes them, and `digest.json` next to them
    cache: str | None = None  # JSON file of known digests, see `quac.data.folders.DigestCache`; None: read every file

    def digests(self, job: StageJob) -> dict[str, str | None]:
        """{dotted key: SHA-256} of the files on whose content a stage depends, for every key that is given.

        None stands for images or lists made by the workflow itself: they follow from the settings.

        Raises QuacError with the key, the path and the remedy if a file is missing or cannot be used.
        """
        if job.name == "score" and self.config.conversion.mask == "paste":
            self._require_masks()
        digests: dict[str, str | None] = {}
        for key in job.files(self.config):
            if key == "split.source":
                digests[key] = self._source_digest(key, cast(SplitMaker, self.config.split).source, None)
            elif key in SPLIT_OF:
                digests[key] = self._split_digest(key)
            else:
                digests |= {name: self._file_digest(name, path) for name, path in self._paths(key).items() if path}
        return digests

    def _paths(self, key: str) -> dict[str, str | None]:
        """{key: path} of a key of `Stage.files`; a `*` stands for every name."""
        config = self.config
        if key == "oracles.*.classifier_checkpoint":
            named = {} if isinstance(config.oracles, str) else config.oracles
            return {key.replace("*", name): oracle.classifier_checkpoint for name, oracle in named.items()}
        paths = {
            "validation_config.classifier_checkpoint": config.validation_config.classifier_checkpoint,
            "classifier.weights": config.classifier.weights,
            "init.from": config.init.checkpoint,
        }
        return {key: paths[key]}

    def _file_digest(self, key: str, path: str) -> str:
        fitted = {f"{owner}/classifier/{name}.pt" for owner in self.owners for name in ("classifier", "oracle")}
        if key.endswith(".classifier_checkpoint") and os.path.normpath(path) in fitted:
            raise QuacError(
                f"{key}: {path} is made by the workflow itself; leave the key out, or copy the file to another place"
            )
        if not os.path.isfile(path):
            raise QuacError(f"{key}: {path}: file not found. Check the path{slash_hint(path)}.")
        for run in self.runs if key == "init.from" else ():  # an output of the workflow may change or be deleted
            if os.path.realpath(path).startswith(os.path.join(os.path.realpath(run), "")):
                raise QuacError(
                    f"init.from: {path} belongs to this run itself; choose another solver.root_dir"
                    if run == self.root
                    else f"init.from: {path} belongs to another run of this config; copy it to another place"
                )
        return cached_digest(path, self.cache)

    def _split_digest(self, key: str) -> str | None:
        """The digest of the images of a split; of all images if the workflow splits them, since its lists do not change
        with their content. None if the workflow makes the images."""
        section = self.config.splits[SPLIT_OF[key]]
        if self.config.split:
            return self._source_digest("split.source", self.config.split.source, None)
        return self._source_digest(f"{key}s" if section.sources else key, section.origin, SPLIT_OF[key])

    def _source_digest(self, key: str, source: Source, split: str | None) -> str | None:
        try:
            if split and is_demo(source, self.demo):
                return self._demo_digest(split, cast(str, source))
            return listing_digest(self._listing(source, split), self.cache)
        except QuacError as error:
            raise QuacError(f"{key}: {error}") from None

    def _listing(self, source: Source, split: str | None) -> Listing:
        return list_source(source, split, self.config.data.layout, self.config.data.classes)

    def _demo_digest(self, split: str, source: str) -> str | None:
        """The digest of the demo's images; None while they are as the workflow has written them."""
        written = f"{self.demo}/digest.json"
        if not os.path.isfile(written):
            if os.path.isdir(source) and os.listdir(source) and not os.path.exists(f"{self.demo}/demo_data.log"):
                raise QuacError(
                    f"{source}: holds images that are not the demo's; move them, because the demo writes its own there"
                )
            return None
        if not os.path.isdir(source):
            raise QuacError(f"{source}: does not exist any more; delete {written} to write the demo's images again")
        digest = tree_digest(source, cache=self.cache)
        return None if digest == read_json(written, [split])[split] else digest

    def _require_masks(self) -> None:
        """Raise QuacError if no list names a mask. (Their content is part of the sources.)"""
        config, splits = self.config, self.config.evaluated_splits
        sources: dict[str | None, Source] = {split: config.splits[split].origin for split in splits}
        if config.split:
            sources = {None: config.split.source}
        lists = {split: source for split, source in sources.items() if isinstance(source, str) and is_manifest(source)}
        listings = [self._listing(source, split) for split, source in lists.items()]
        if not any(image["mask"] for listing in listings for image in listing.images):
            raise QuacError(
                f"conversion.mask: is paste, but no list names a mask for an image of {' or '.join(splits)}; use lists "
                "with a column mask as sources, or leave the key out"
            )
