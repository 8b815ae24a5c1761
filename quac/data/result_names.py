"""The names of the generated images: they follow from those of the queries, and must fit the results' file system."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from quac.config import Config
from quac.data.findings import DataSet, Finding, finding
from quac.system.file_names import unfit_names


def output_path(query: str, source: str, target: str) -> str:
    """Path of a query -> `<source>/<target>/<path in its class folder>` of its image: a PNG, also if the query is not.

    In a list of images a path need not begin with its class; then all of it is kept, except for steps upwards.
    """
    parts = [part for part in PurePosixPath(query).parts if part not in ("/", "..")]
    inside = "/".join(parts[1:] if parts[0] == source and len(parts) > 1 else parts)
    return f"{source}/{target}/{inside}" + ("" if inside.lower().endswith(".png") else ".png")


def result_names(data: DataSet, _: Config) -> Iterator[Finding]:
    """Queries whose generated images could not be written, or would replace those of others."""
    for split, rows in data.usable[data.usable["split"] != "train"].groupby("split", sort=False):
        names = [output_path(path, name, name) for path, name in zip(rows["path"], rows["class"], strict=True)]
        faults = unfit_names(data.results, names)
        first_of: dict[str, str] = {}  # result -> its image
        files = []
        for image, name in zip(rows["name"], names, strict=True):
            first = first_of.setdefault(name, image)
            if first != image:
                files.append(f"{image}: has the same result as {first}; rename one of them")
            elif name in faults:
                files.append(f"{image}: its result {name} {faults[name]}")
        if files:
            yield finding(
                f"{data.indexes[str(split)].attrs['source']}: the generated images of {len(files)} file(s) cannot be "
                "written under their names",
                "rename the files, see the line of each, or choose another solver.root_dir",
                files,
            )
