import numpy as np
from helpers.report_facts import report_of
from PIL import Image

from quac.data.store import Store
from quac.report.pictures import data_uri, query_picture
from quac.report.style_grids import MAX_BYTES, SIDES, show_grids
from quac.system.files import read_json


def made(queries=3, styles=2):
    """Grids of three classes: query n is of class n, whose probabilities encode its position."""
    names = [str(number) for number in range(queries)]
    return {
        "references": "train",
        "queries": [{"query": f"{name}/x.png", "source": name} for name in names],
        "grids": [
            {
                "kind": kind,
                "target": target,
                "styles": [f"{target}/{number}.png" for number in range(styles)],
                "rows": [
                    {"query": n, "p_target": [n + 0.1, n + 0.2], "predicted": [name] * styles}
                    for n, name in enumerate(names)
                    if name != target
                ],
            }
            for kind in ("latent", "reference")
            for target in names
        ],
    }


def show(bytes_of_side):
    def picture(*place):
        return "-".join(map(str, place)).ljust(int(bytes_of_side(place[-1])))

    return show_grids(made(), picture, picture, picture)


def test_every_picture_is_in_its_place():
    grids, pictures = show(lambda side: 0)
    assert grids.model_dump(exclude={"chosen", "side"}) == made()
    assert (grids.chosen, grids.side) == (3, 96)
    assert pictures["queries"] == ["0/x.png-96", "1/x.png-96", "2/x.png-96"]
    assert pictures["references"] == {f"{n}/{m}.png": f"{n}/{m}.png-96" for n in range(3) for m in range(2)}
    for grid, rows in zip(grids.grids, pictures["generated"], strict=True):
        assert rows == [
            [f"{grid.kind}-{grid.target}-{row.query}-{style}-96" for style in range(2)] for row in grid.rows
        ]


def test_pictures_over_the_limit_are_made_smaller_then_left_out():
    grids, _ = show(lambda side: MAX_BYTES if side > 32 else 1000)
    assert (len(grids.queries), grids.side) == (3, 32)
    grids, pictures = show(lambda side: MAX_BYTES / 30)  # 6 references, then 9 of each query
    assert (len(grids.queries), grids.chosen, grids.side) == (2, 3, SIDES[-1])
    assert [[row.query for row in grid.rows] for grid in grids.grids] == 2 * [[1], [0], [0, 1]]
    assert [len(rows) for rows in pictures["generated"]] == 2 * [1, 1, 2]
    assert len(pictures["queries"]) == 2
    grids, _ = show(lambda side: 2 * MAX_BYTES)
    assert len(grids.queries) == 1  # never nothing


def test_the_report_shows_what_was_made(finished):
    shown, made = report_of(finished).styles, read_json(finished.root / "styles/test.json")
    assert shown.model_dump(include={"queries", "grids"}) == {name: made[name] for name in ("queries", "grids")}
    html = (finished.folder / "reports/tiny.html").read_text()
    folders = [finished.root / f"styles/test/{kind}" for kind in ("latent", "reference")]
    pictures = [path for folder in folders for path in folder.rglob("*.png")]
    assert len(pictures) == 2 * 2 * 4 * 6  # kinds, targets, queries of the other class, styles
    for path in pictures:
        assert data_uri(Image.open(path), 96) in html
    train = Store.open(finished.root / "data/train.store", finished.root / "data/train.parquet")
    references = [name for grid in shown.grids if grid.kind == "reference" for name in grid.styles]
    for name in references:
        picture = query_picture(train, train.paths.tolist().index(name), 96)
        assert f'<img src="{picture}" alt="reference {name}"' in html


def test_a_crop_is_shown_as_the_networks_see_it():
    pixels = np.arange(48 * 32, dtype=np.uint16).astype(np.uint8).reshape(1, 32, 48)
    store = Store(
        pixels.ravel(), np.array([[1, 32, 48]]), 32, np.array([48 * 32]), *[np.zeros(1)] * 2, [], [], ["a"], "nowhere"
    )
    assert query_picture(store, 0, 96) == data_uri(Image.fromarray(pixels[0, :, 8:40]), 96)
