import pytest
from helpers.builders import tiny_config, write_images, write_splits

from quac.config.stages import StageJob
from quac.data.folders import tree_digest
from quac.data.named_files import NamedFiles, is_demo
from quac.data.sources import list_source, listing_digest
from quac.system.errors import QuacError
from quac.system.files import file_sha256, write_json

ROOT, CLASSIFIER = "results/tiny", "validation_config.classifier_checkpoint"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(runs=(ROOT,), owners=(ROOT,), cache=None, **sections):
    return NamedFiles(tiny_config(**sections), ROOT, runs, owners, "data/digits", cache)


def write(path, content="x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return str(path)


def test_the_digest_of_a_split_is_that_of_its_source(folder):
    write_splits("data")
    for split, section in (("train", "data"), ("validation", "validation_data"), ("test", "test_data")):
        digest = listing_digest(list_source(f"data/{split}", split))
        assert files().digests(StageJob("index", split)) == {f"{section}.source": digest}
    assert files(cache=str(folder / "cache.json")).digests(StageJob("index", "test")) == {"test_data.source": digest}
    assert (folder / "cache.json").is_file()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"source": "nowhere"}, r"^data\.source: nowhere: does not exist"),
        ({"source": None, "sources": {"a": [{"path": "nowhere"}]}}, r"^data\.sources: the folders of the classes have"),
    ],
)
def test_a_missing_source_is_named_by_its_key(section, message):
    with pytest.raises(QuacError, match=message):
        files(data=section).digests(StageJob("index", "train"))


def test_splits_made_by_the_workflow_depend_on_the_source_of_all_images(folder):
    write_images("all", {"a": 3, "b": 3})
    split_maker = {"split": {"source": "all"}}
    config = {"data": {"source": None}, "validation_data": {"source": None}, "test_data": {"source": None}}
    digest = listing_digest(list_source("all", None))
    assert files(**split_maker, **config).digests(StageJob("split")) == {"split.source": digest}
    # The lists of the splits name the images: another image under an old name leaves them as they are.
    assert files(**split_maker, **config).digests(StageJob("index", "train")) == {"data.source": digest}
    with pytest.raises(QuacError, match=r"^split\.source: nowhere: does not exist"):
        files(split={"source": "nowhere"}, **config).digests(StageJob("split"))


def demo_digest():
    job = StageJob("index", "train")
    return files(data={"source": "data/digits/train"}).digests(job)["data.source"]


def test_the_demos_images_have_a_digest_only_after_they_were_changed(folder):
    assert demo_digest() is None  # they are not written yet
    write_images("data/digits/train", {"3": 2, "5": 2})
    with pytest.raises(
        QuacError, match=r"^data\.source: data/digits/train: holds images that are not the demo's; move"
    ):
        demo_digest()
    write(folder / "data/digits/demo_data.log")  # the rule was interrupted
    assert demo_digest() is None
    write_json("data/digits/digest.json", {"train": tree_digest("data/digits/train")})
    assert demo_digest() is None
    (folder / "data/digits/train/3/3-00.png").unlink()
    assert demo_digest() == tree_digest("data/digits/train")
    (folder / "data/digits/train").rename("elsewhere")
    with pytest.raises(QuacError, match=r"train: does not exist any more; delete data/digits/digest\.json to write"):
        demo_digest()


def test_the_demo_is_recognised_by_its_folders():
    assert is_demo("data/digits/train", "data/digits")
    assert is_demo("data/digits/./test/", "data/digits")
    assert not is_demo("data/digits", "data/digits")
    assert not is_demo({"a": [{"path": "data/digits/train"}]}, "data/digits")


def test_single_files_have_the_digests_of_their_content(folder):
    paths = {name: write(folder / f"{name}.pt", name) for name in ("classifier", "strict", "init", "weights")}
    named = files(
        validation_config={"classifier_checkpoint": paths["classifier"]},
        oracles={"strict": paths["strict"]},
        init={"from": paths["init"]},
        loss={"lambda_cls": 1.0},
    )
    classifier = {CLASSIFIER: file_sha256(paths["classifier"])}
    oracles = {"oracles.strict.classifier_checkpoint": file_sha256(paths["strict"])}
    assert named.digests(StageJob("train")) == {"init.from": file_sha256(paths["init"]), **classifier}
    for job in (StageJob("check"), StageJob("convert", "test")):
        assert named.digests(job) == {**classifier, **oracles}
    for job in (StageJob("score"), StageJob("style_grids", "validation")):
        assert named.digests(job) == classifier
    for job in (StageJob("store", "train"), StageJob("select"), StageJob("report"), StageJob("classifier")):
        assert named.digests(job) == {}
    weights = files(classifier={"backbone": "resnet18", "weights": paths["weights"]})
    assert weights.digests(StageJob("classifier")) == {"classifier.weights": file_sha256(paths["weights"])}


def test_files_that_are_not_given_have_no_digest():
    for job in (StageJob("train"), StageJob("check"), StageJob("score"), StageJob("classifier")):
        assert files().digests(job) == {}


@pytest.mark.parametrize(
    ("sections", "job", "key"),
    [
        ({"validation_config": {"classifier_checkpoint": "nowhere.pt"}}, "check", CLASSIFIER),
        ({"oracles": {"strict": "nowhere.pt"}}, "check", "oracles.strict.classifier_checkpoint"),
        ({"classifier": {"backbone": "resnet18", "weights": "nowhere.pt"}}, "classifier", "classifier.weights"),
        ({"init": {"from": "nowhere.pt"}}, "train", "init.from"),
    ],
)
def test_a_missing_file_is_named_by_its_key(sections, job, key):
    with pytest.raises(QuacError) as error:
        files(**sections).digests(StageJob(job))
    assert str(error.value) == f"{key}: nowhere.pt: file not found. Check the path."


def test_a_path_of_windows_gets_a_hint():
    with pytest.raises(QuacError, match=r"oracles\\a\.pt: file not found\. Check the path \(write / for \\\)\."):
        files(oracles={"strict": r"oracles\a.pt"}).digests(StageJob("check"))


def test_a_classifier_that_the_workflow_makes_is_refused(folder):
    path = write(folder / "shared/classifier/classifier.pt")
    sections = {"validation_config": {"classifier_checkpoint": "shared/./classifier/classifier.pt"}}
    assert files(**sections).digests(StageJob("score")) == {CLASSIFIER: file_sha256(path)}
    with pytest.raises(QuacError, match="is made by the workflow itself; leave the key out, or copy the file"):
        files(owners=(ROOT, "shared"), **sections).digests(StageJob("score"))
    write(folder / "shared/classifier/oracle.pt")
    with pytest.raises(
        QuacError, match=r"^oracles\.a\.classifier_checkpoint: .*oracle\.pt is made by the workflow itself"
    ):
        files(owners=(ROOT, "shared"), oracles={"a": "shared/classifier/oracle.pt"}).digests(StageJob("check"))


def test_initial_weights_of_a_run_of_the_same_config_are_refused(folder):
    for run, message in ((ROOT, "belongs to this run itself; choose another"), ("results/b", "to another run of this")):
        path = write(folder / run / "checkpoints/000004_nets_ema.ckpt")
        with pytest.raises(QuacError, match=rf"^init\.from: .*{message}"):
            files(runs=(ROOT, "results/b"), init={"from": path}).digests(StageJob("train"))
    path = write(folder / "results/tiny-2/checkpoints/000004_nets_ema.ckpt")
    assert files(init={"from": path}).digests(StageJob("train")) == {"init.from": file_sha256(path)}


def test_masks_without_a_list_that_names_one_are_refused(folder):
    write_splits("data")
    message = "^conversion.mask: is paste, but no list names a mask for an image of validation or test; use lists"
    with pytest.raises(QuacError, match=message):
        files(conversion={"mask": "paste"}).digests(StageJob("score"))
    write(folder / "test.csv", "path,class,mask\n1.png,a,m.png\n")
    masked = {"conversion": {"mask": "paste"}, "test_data": {"source": "test.csv"}}
    assert files(**masked).digests(StageJob("score")) == {}
