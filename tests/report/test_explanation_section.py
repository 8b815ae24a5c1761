"""The explanations of a report, and their pictures, from the files of a split's explanation."""

import pytest
from explanation import test_split_explanation
from explanation.test_split_explanation import CLASSES, explained

from quac.explanation.split_explanation import converted_tries
from quac.report.explanation_section import EXAMPLES, show_explanations
from quac.system.errors import QuacError
from quac.system.tables import write_table

store, folders, tries = (getattr(test_split_explanation, name) for name in ("store", "folders", "tries"))
METHODS = ["d_ig", "residual"]


@pytest.fixture
def table(tries, store, folders, tmp_path):
    """The path of the table of explanations."""
    frame = explained(converted_tries(tries, None, 0), store, folders, tmp_path, methods=METHODS)
    paths = {name: path.name for name, path in vars(folders).items()}
    write_table(tmp_path / "latent.parquet", frame, methods=METHODS, max_per_pair=None, paths=paths)
    return tmp_path / "latent.parquet"


def test_every_example_has_its_pictures(table):
    part, pictures = show_explanations([table], "test", CLASSES, lambda path, side: f"{path} {side}")
    assert [(scores.method, scores.conversions) for scores in part.methods] == [(name, 6) for name in METHODS]
    assert [(e.source, e.target) for e in part.examples] == [("bright", "dark")] * EXAMPLES + [
        ("dark", "bright")
    ] * EXAMPLES
    for example, made in zip(part.examples, pictures["examples"], strict=True):
        assert made.keys() == {"query", "generated", "counterfactual", "mask"}
        assert made["query"] == f"{example.query} 128"
        assert all(made[name].startswith("data:image/webp") for name in ("generated", "counterfactual", "mask"))


def test_a_lost_picture_is_named_with_its_folder(table, folders):
    for path in folders.generated.rglob("*.png"):
        path.unlink()
    with pytest.raises(QuacError, match=rf"\.png: .*Delete the folder {folders.generated} and run the workflow again"):
        show_explanations([table], "test", CLASSES, lambda path, side: "")
