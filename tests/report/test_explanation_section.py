"""The explanations of a report, and their pictures, from the files of a split's explanation."""

import pytest
from explanation import test_split_explanation
from explanation.test_split_explanation import CLASSES, explained

from quac.explanation.split_explanation import converted_tries
from quac.report.explanation_section import EXAMPLES, show_explanations
from quac.system.errors import QuacError
from quac.system.tables import write_table

NAMES = ("store", "folders", "tries", "mistaken")
store, folders, tries, mistaken = (getattr(test_split_explanation, name) for name in NAMES)
METHODS = ["d_ig", "residual"]
MISTAKES = {"queries": 3, "corrected": 2}


def written(tries, store, folders, tmp_path, **about):
    """The path of a table of explanations."""
    frame = explained(converted_tries(tries, None, 0), store, folders, tmp_path, methods=METHODS)
    about |= {"paths": {name: path.name for name, path in vars(folders).items()}, "max_per_pair": None}
    write_table(tmp_path / "latent.parquet", frame, methods=METHODS, **about)
    return tmp_path / "latent.parquet"


@pytest.fixture
def table(tries, store, folders, tmp_path):
    return written(tries, store, folders, tmp_path, mistakes={"queries": 0, "corrected": 0}, noise=None)


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


def test_mistakes_and_noise_are_shown_apart(mistaken, store, folders, tmp_path):
    numbers = {"conversions": 4, "quac_score": 0.5, "mask_size": 0.1, "flipped": 1.0, "flipped_by": {"o": 0.25}}
    noise = {"method": "d_ig", "eps": 0.1, **numbers, **dict.fromkeys(("curve", "curve_low", "curve_high"), [0.0] * 21)}
    path = written(mistaken, store, folders, tmp_path, mistakes=MISTAKES, noise=noise)
    part, _ = show_explanations([path], "test", CLASSES, lambda path, side: "")
    assert [scores.conversions for scores in part.methods] == [4, 4]
    assert [pair.conversions for pair in part.pairs] == [2, 2]
    [mistakes] = part.mistakes
    assert (mistakes.queries, mistakes.corrected, mistakes.explained.conversions) == (3, 2, 2)
    assert [(row.kind, row.eps, row.flipped_by) for row in part.noise] == [("latent", 0.1, {"o": 0.25})]
    wrong = set(mistaken.loc[mistaken["correction"], "query"])
    assert not wrong & {example.query for example in part.examples}


def test_a_lost_picture_is_named_with_its_folder(table, folders):
    for path in folders.generated.rglob("*.png"):
        path.unlink()
    with pytest.raises(QuacError, match=rf"\.png: .*Delete the folder {folders.generated} and run the workflow again"):
        show_explanations([table], "test", CLASSES, lambda path, side: "")
