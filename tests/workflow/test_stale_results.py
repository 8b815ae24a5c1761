"""Results that Snakemake takes for current, and are not: the report stops, and its remedy works."""

import copy
import os
import re
import shutil

import pytest

from quac.system.files import read_json, write_json
from quac.system.tables import read_table, write_table

pytestmark = pytest.mark.slow


def change(path, edit):
    """Change what a table or JSON file of results says of its origin, in a way that no time shows."""
    times = path.stat()
    if path.suffix == ".json":
        content = read_json(path)
        edit(content)
        write_json(path, content)
    else:
        frame = read_table(path)
        attributes = copy.deepcopy(frame.attrs)
        edit(attributes)
        write_table(path, frame, **attributes)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_stale_results_are_named_and_the_remedy_works(finished, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished.folder, folder)
    workflow = copy.copy(finished)
    workflow.folder = workflow.working = folder
    workflow.root = folder / "results/tiny"
    assert workflow.plan() == {}
    selected = read_json(workflow.root / "selection/selected.json")["step"]
    edits = {
        "conversion/test/latent.parquet": lambda made: made["provenance"].update(keys=["0"]),
        f"selection/{selected:06d}.parquet": lambda made: made.update(checkpoint_digest="0"),
        "styles/test.json": lambda made: made["provenance"].update(classifier="0"),
        "evaluation/test/reference_averages.json": lambda made: made["provenance"].update(files={"table": "0"}),
    }
    for path, edit in edits.items():
        change(workflow.root / path, edit)
    (folder / "reports/tiny.html").unlink()
    assert workflow.plan() == {"report": 1}
    failed = workflow.run(check=False)
    assert failed.status != 0
    for reason in (
        r"conversion/test/latent\.parquet \(convert\): made with other settings",
        rf"selection/{selected:06d}\.parquet \(score_checkpoint\): made by another checkpoint of step {selected} ",
        r"styles/test\.json \(show_styles\): made by another classifier",
        r"evaluation/test/reference_averages\.json \(matrices\): made from another version of the table",
    ):
        assert re.search(reason, failed.output), failed.output
    log = (folder / "reports/tiny.log").read_text()
    files = log.split("Delete these files and run the workflow again:\n")[1].splitlines()
    assert len(set(files)) >= len(edits) + 1  # and the published checkpoint
    for path in files:
        (folder / path.strip()).unlink()
    workflow.run()
    assert (folder / "reports/tiny.html").is_file()
    assert workflow.plan() == {}
