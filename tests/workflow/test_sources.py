"""Every way to say where the images are, up to the stores of the workflow."""

import os
import shutil

import numpy as np
import pytest
from helpers.builders import write_images
from helpers.workflow import Workflow
from PIL import Image

from quac.system.files import read_json
from quac.system.tables import read_table

MASKS = ((0, "m.png"), (1, ""))  # of an image's number
STORES = [f"results/tiny/data/{split}.store" for split in ("train", "validation", "test")]


@pytest.fixture
def workflow(tmp_path):
    workflow = Workflow(tmp_path)
    shutil.rmtree(workflow.folder / "data")
    for section in ("data", "validation_data", "test_data"):
        del workflow.config[section]["source"]
    return workflow


def index(workflow, split):
    return read_table(workflow.root / f"data/{split}.parquet")


def test_splits_are_made_of_one_source_with_groups_whole(workflow):
    for patient in range(10):
        write_images(workflow.folder / f"all/p{patient}", {"across": 2, "along": 2}, seed=patient)
    rows = [
        f"p{patient}/{name}/{name}-{number:02d}.png,{name},Dr. {patient}"
        for patient in range(10)
        for name in ("across", "along")
        for number in range(2)
    ]
    (workflow.folder / "all/list.csv").write_text("\n".join(["path,class,patient", *rows]))
    workflow.config["split"] = {"source": "all/list.csv", "group_column": "patient"}
    del workflow.config["test_data"]
    workflow.run(*STORES)
    groups = {split: set(index(workflow, split)["group"]) for split in ("train", "validation", "test")}
    assert sorted(group for found in groups.values() for group in found) == [f"Dr. {n}" for n in range(10)]
    assert sum(len(index(workflow, split)) for split in groups) == 40
    assert index(workflow, "train")["manifest.patient"].tolist() == index(workflow, "train")["group"].tolist()
    assert workflow.plan(*STORES) == {}

    write_images(workflow.folder / "all/p3", {"along": 1}, seed=77)  # another image under an old name
    assert workflow.plan(*STORES)["split_images"] == 1
    workflow.run(*STORES)
    assert workflow.plan(*STORES) == {}
    workflow.config["split"]["seed"] = 1
    assert workflow.plan(*STORES)["split_images"] == 1


def test_class_first_folders(workflow):
    for seed, name in enumerate(("across", "along")):
        write_images(workflow.folder / "mine", {name: 4})
        write_images(workflow.folder / "mine" / name, {"test": 2}, seed=seed)
    workflow.edit("data", source="mine", layout="class_first")
    workflow.edit("validation_data", source="mine")
    del workflow.config["test_data"]
    workflow.run(*STORES[:2])
    assert (len(index(workflow, "train")), len(index(workflow, "validation"))) == (8, 4)
    assert index(workflow, "validation")["path"][0] == "across/test/test-00.png"
    assert workflow.plan(*STORES[:2]) == {}


def test_folders_with_weights_and_a_whole_run_from_lists(workflow):
    """A manifest may lie anywhere, and the generated images still lie in their own folder.

    And images larger than the networks are cropped for training, and converted whole, or inside of their masks; and the
    classifier is trained on.
    """
    write_images(workflow.folder / "far/one", {"across": 6, "along": 4}, size=40)
    write_images(workflow.folder / "far/two", {"along": 4}, seed=1, size=48)
    write_images(workflow.folder / "far/three", {"across": 2, "along": 2}, seed=2, size=40)
    sources = {
        "across": [{"path": "far/one/across"}],
        "along": [{"path": "far/one/along", "weight": 3}, {"path": "far/two/along", "weight": 1}],
    }
    workflow.edit("data", sources=sources, sampling={"across": 1, "along": 2}, preprocess="crop", load_size=None)
    (workflow.folder / "lists").mkdir()
    mask = np.zeros((40, 40), np.uint8)
    mask[:, :30] = 255
    Image.fromarray(mask).save(workflow.folder / "lists/m.png")
    rows = [f"../far/three/{name}/{name}-0{number}.png,{name},{m}" for name in sources for number, m in MASKS]
    (workflow.folder / "lists/v.csv").write_text("\n".join(["path,class,mask", *rows]))
    workflow.edit("conversion", mask="paste", mask_edge=2)
    workflow.edit("validation_data", source="lists/v.csv", preprocess="none", load_size=None)
    del workflow.config["test_data"]
    workflow.edit("run", total_iters=1)
    workflow.edit("loss", lambda_cls=0.5)
    workflow.run()
    weights = index(workflow, "train").groupby("class")["weight"].agg(lambda values: sorted(set(values)))
    assert weights["along"] == [0.5, 1.5]
    made = workflow.root / "generated_images/validation/latent"
    assert sorted(len([*(made / pair).rglob("*.png")]) for pair in ("across/along", "along/across")) == [2, 2]
    for number, unchanged in ((0, 10), (1, 0)):
        result = np.asarray(Image.open(made / f"across/along/far/three/across/across-0{number}.png"))
        query = np.asarray(Image.open(workflow.folder / f"far/three/across/across-0{number}.png"))
        assert result.shape == query.shape == (40, 40)
        assert np.array_equal(result[:, 40 - unchanged :], query[:, 40 - unchanged :])
        assert (result[:, : 40 - unchanged] != query[:, : 40 - unchanged]).mean() > 0.5
    facts = read_json(workflow.folder / "reports/tiny.json")
    assert facts["masks"] == {"edge": 2, "queries": {"validation": [2, 4]}}
    report = " ".join((workflow.folder / "reports/tiny.html").read_text().split())
    assert "(soft edge of 2 pixels, 2 of 4 queries have one)" in report
    assert "2 of 4 validation queries have no mask: they were converted as a whole." in report
    assert "G/latent_cls" in (workflow.root / "training/history.csv").read_text()
    assert "The classifier that judges was part of the training loss" in report
    assert workflow.plan() == {}
    Image.fromarray(255 - mask).save(workflow.folder / "lists/m.png")
    plan = workflow.plan()
    assert plan.keys() >= {"index_images", "score_checkpoint", "convert", "matrices", "report"}


def test_a_list_with_faults_names_each(workflow):
    (workflow.folder / "list.csv").write_text("path,class\na.png,\nb.txt,x\n")
    for section in ("data", "validation_data", "test_data"):
        workflow.edit(section, source="list.csv")
    output = workflow.run("-n", check=False).output
    assert "error: data.source: list.csv: the manifest has faults:" in output
    assert "line 2: has no class" in output
    assert "line 3: path b.txt has no ending of an image" in output
    assert "Traceback" not in output


def test_what_a_nas_and_other_programs_leave_behind(workflow):
    """Thumbnails are no images, a pipe is named at once, and two files that are swapped are seen."""
    mine = workflow.folder / "mine"
    for seed, split in enumerate(("train", "validation", "test")):
        write_images(mine / split, {"across": 3, "along": 3}, seed)
        for name in ("across", "along"):
            thumbnails = mine / split / name / "@eaDir/across-00.png"
            thumbnails.mkdir(parents=True)
            (thumbnails / "SYNOPHOTO_THUMB_XL.jpg").write_bytes(b"x")
        (mine / split / "__MACOSX").mkdir()
    for section, split in (("data", "train"), ("validation_data", "validation"), ("test_data", "test")):
        workflow.edit(section, source=f"mine/{split}")
    checks = "results/tiny/data/checks.json"
    workflow.run(checks)
    assert [len(index(workflow, split)) for split in ("train", "validation", "test")] == [6, 6, 6]
    (passed,) = [each for each in read_json(workflow.folder / checks)["findings"] if each["code"] == "passed-over"]
    assert passed["files"][:2] == ["train: 2 x @eaDir", "train: 1 x __MACOSX"]

    first, second = (mine / "test/across" / f"across-0{number}.png" for number in (0, 1))
    contents = [path.read_bytes() for path in (first, second)]
    size = max(map(len, contents))
    for path, content in zip((first, second), contents, strict=True):
        path.write_bytes(content.ljust(size, b"\0"))  # (bytes after the end of a PNG count for nothing)
        os.utime(path, (1, 1))
    workflow.run(checks)
    first.rename(mine / "other.png")
    second.rename(first)
    (mine / "other.png").rename(second)
    assert workflow.plan(checks)["index_images"] == 1

    os.mkfifo(mine / "test/across/pipe.png")
    output = workflow.run(checks, check=False).output
    assert "across/pipe.png: is not a regular file, but a pipe or a device; remove it" in output
