"""Whether the results in a report were made with the current settings, by the current checkpoint and classifier."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from quac.system.errors import QuacError
from quac.system.files import FilePath, file_sha256, files_sha256, json_sha256, read_json


@dataclass(frozen=True)
class Result:
    """A result of a run.

    Attributes:
        path: its file.
        label: which one it is, if its stage has several.
        content: the attributes or JSON values of the file, with its `provenance`.
        made_from: {name: file or files}: those whose digests it recorded, by their names there.
    """

    path: FilePath
    label: str
    content: dict[str, Any]
    made_from: Mapping[str, FilePath | list[str]] = field(default_factory=dict)

    @property
    def provenance(self) -> dict[str, Any]:
        """What made it, see `quac.system.provenance.Provenance.record`."""
        return self.content["provenance"]

    @property
    def digests(self) -> dict[str, str]:
        """{name: SHA-256} of the files that it recorded."""
        return {**self.content.get("inputs", {}), **self.provenance.get("files", {})}


@dataclass(frozen=True)
class Current:
    """What results have to be made by: digests of the key files and of the classifier, {step: SHA-256 of the
    checkpoint}, and the selected step."""

    keys: frozenset[str]
    classifier: str
    checkpoints: dict[str, str]
    step: int

    @classmethod
    def of(
        cls, key_files: Iterable[FilePath], classifier: FilePath, trained: dict[str, Any], selected: dict[str, Any]
    ) -> "Current":
        """Of the files of a run; `trained` and `selected`: content of trained.json and selected.json."""
        checkpoints = {step: made["sha256"] for step, made in trained["checkpoints"].items()}
        keys = frozenset(json_sha256(read_json(path)) for path in key_files)
        return cls(keys, file_sha256(classifier), checkpoints, selected["step"])

    def faults(self, result: Result) -> Iterator[tuple[str, FilePath | None]]:
        """Why a result is stale: (reason, a file to delete along with it, if any)."""
        content = result.content
        if "provenance" not in content:
            yield "has no provenance", None
            return
        if not self.keys.issuperset(result.provenance["keys"]):
            yield "made with other settings than the current ones", None
        if "checkpoint_digest" in content:
            if content["checkpoint_digest"] != self.checkpoints.get(str(content["step"])):
                # The published checkpoint may be at fault, and would then make the same result again.
                yield (
                    f"made by another checkpoint of step {content['step']} than the training's",
                    content.get("checkpoint"),
                )
            elif result.provenance["stage"] != "score_checkpoint" and content["step"] != self.step:
                yield f"made by the checkpoint of step {content['step']}, but step {self.step} is selected", None
        recorded = result.provenance.get("classifier") or result.digests.get("classifier")
        if recorded not in (None, self.classifier):
            yield "made by another classifier", None
        for name, files in result.made_from.items():
            digest = files_sha256(files) if isinstance(files, list) else file_sha256(files)
            if result.digests.get(name) != digest:
                yield f"made from another version of the {name}", None


def require_current(results: Iterable[Result], current: Current) -> None:
    """Raise QuacError if a result is stale. The message names each, its stage, and the files to delete.

    The workflow makes them again by itself, except where Snakemake has no record of an edit: after `--touch`, a copy of
    results from elsewhere, or two changes at once with a kill in between (docs/explanation/what-runs-again.md).
    """
    lines, files = [], []
    for result in results:
        for reason, further in current.faults(result):
            stage = result.content.get("provenance", {}).get("stage", "unknown stage")
            lines.append(f"  {result.path} ({stage}): {reason}")
            files += [path for path in (result.path, further) if path]
    if lines:
        stale = "\n".join(dict.fromkeys(lines))
        names = "\n".join(f"  {path}" for path in dict.fromkeys(map(str, files)))
        raise QuacError(
            f"Stale results cannot be reported:\n{stale}\nDelete these files and run the workflow again:\n{names}"
        )
