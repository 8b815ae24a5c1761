"""What is in the page of the explanations."""

import base64
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from helpers.explained import GENERATED, METHODS, QUERY, mask_of, write_explained
from helpers.report_facts import NAMES
from PIL import Image

from quac.report.explorer import CURVE_POINTS, MAX_SHARE, write_explorer
from quac.report.sprites import Tiles, sprite_of
from quac.system.errors import QuacError
from quac.system.tables import read_table, write_table

CLASSES = ["across", "along", "none"]


def page_of(folder, *tables, max_mb=30.0):
    """(text, numbers, sprites) of the page of some tables."""
    write_explorer(tables, "test", "run.html", folder / "run-explorer.html", max_mb)
    text = (folder / "run-explorer.html").read_text(encoding="utf-8")
    scripts = re.findall(r'<script type="application/json" id="\w+">(.*?)</script>', text, re.DOTALL)
    embedded, sprites = map(json.loads, scripts)
    return text, embedded, sprites


def rows_of(embedded):
    """The explanations of a page, as the table has them."""

    def values(column):
        return column if isinstance(column, list) else [column["texts"][code] for code in column["codes"]]

    methods = embedded["methods"]
    each = pd.DataFrame({name: values(column) for name, column in embedded["conversions"].items()})
    every = pd.DataFrame({name: values(column) for name, column in embedded["explanations"].items()})
    each = each.loc[each.index.repeat(len(methods))].reset_index(drop=True)
    return each.assign(method=methods * (len(every) // len(methods)), **every)


def opened(base64_image):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(base64_image))).convert("RGB")).astype(int)


def test_every_explanation_is_in_the_page_with_its_numbers(tmp_path):
    tables = [write_explained(tmp_path, CLASSES, 3, kind, groups=True) for kind in ("latent", "reference")]
    text, embedded, _ = page_of(tmp_path, *tables)
    written = pd.concat([read_table(table) for table in tables], ignore_index=True)
    key = ["kind", "source", "target", "query", "method"]
    shown, expected = (table.sort_values(key).reset_index(drop=True) for table in (rows_of(embedded), written))
    assert len(shown) == embedded["total"] == 2 * 6 * 3 * 2
    for name in written.columns.drop(["digest", "curve", "quac_score"]):
        assert shown[name].tolist() == expected[name].tolist(), name
    assert np.allclose(shown["quac_score"], expected["quac_score"], atol=5e-5)
    assert set(shown["group"]) == {"=group 0", "=group 1"}
    assert set(embedded["order"]) == set(shown.columns)
    curves = np.array(embedded["curves"]).reshape(len(shown), CURVE_POINTS)
    assert np.allclose(curves, 75 * np.linspace(0, 1, CURVE_POINTS), atol=0.51)
    assert embedded["totals"] == [
        [kind, a, b, 3] for kind in ("latent", "reference") for a in CLASSES for b in CLASSES if a != b
    ]
    assert "left out" not in text


@pytest.mark.parametrize("channels", [1, 3])
def test_a_counterfactual_can_be_blended_from_its_tiles(tmp_path, channels):
    table = write_explained(tmp_path, CLASSES[:2], 5, channels=channels, size=(36, 20))
    _, embedded, sprites = page_of(tmp_path, table)
    assert len(embedded["tiles"]) == 2 * 5
    for number, column, width, height in embedded["tiles"]:
        images, masks, cell_width, cell_height = sprites[number]
        assert (width, height) == (36, 20)
        assert cell_width % 16 == cell_height % 16 == 0
        images, masks, x = opened(images), opened(masks), column * cell_width
        for row, level in enumerate((QUERY, GENERATED)):
            tile = images[row * cell_height :][:height, x : x + width]
            assert np.abs(tile - level).max() <= 2
        for row, mask in enumerate([*mask_of(channels, height, width)] * len(METHODS)):
            tile = masks[row * cell_height :][:height, x : x + width, 0]
            assert ((tile >= 128) == (mask == 255)).mean() > 0.97  # the border of the halves is compressed


def test_large_pictures_are_scaled_down_and_all_fit(tmp_path):
    sprite = sprite_of(
        [
            Tiles(
                np.zeros((200, 400, 3), np.uint8), np.zeros((200, 400, 3), np.uint8), np.zeros((2, 200, 400), np.uint8)
            )
        ],
        64,
        80,
    )
    assert (sprite.sizes, sprite.cell) == ([(64, 32)], (64, 32))
    deep = np.full((32, 32, 1), 40000, np.uint16)
    sprite = sprite_of([Tiles(deep, deep, np.zeros((1, 32, 32), np.uint8))], 64, 80)
    assert np.abs(opened(sprite.images) - 40000 / 257).max() <= 2


def test_what_does_not_fit_is_left_out_and_stated(tmp_path):
    table = write_explained(tmp_path, CLASSES, 40)
    whole, embedded, _ = page_of(tmp_path, table)
    assert len(embedded["tiles"]) == 6 * 40
    for share in (0.75, 0.55):
        limit = share * len(whole.encode()) / 1e6
        text, embedded, sprites = page_of(tmp_path, table, max_mb=limit)
        assert len(text.encode()) <= limit * 1e6
        counts = rows_of(embedded).groupby(["source", "target"])["query"].nunique()
        assert len(counts) == 6  # of each pair about as many: they differ by a sprite at most
        assert counts.max() - counts.min() <= 16
        assert 0 < counts.sum() < 240
        left_out = 2 * (240 - counts.sum())
        assert f"{left_out} of 480 explanations are left out" in text
        assert len(sprites) == 1 + max(number for number, *_ in embedded["tiles"])
    assert limit * 1e6 - len(text.encode()) < 20000  # and it is used
    text, embedded, _ = page_of(tmp_path, table, max_mb=0.001)
    assert embedded["tiles"] == []
    assert "480 of 480 explanations are left out" in text


def test_the_draw_of_a_pair_is_random_but_always_the_same(tmp_path):
    table = write_explained(tmp_path, CLASSES[:2], 12)
    orders = [rows_of(page_of(tmp_path, table)[1])["query"].tolist() for _ in range(2)]
    assert orders[0] == orders[1]
    first = list(dict.fromkeys(orders[0]))[0:12]
    assert first != sorted(first)


def test_an_explanation_takes_at_most_5_kb_even_if_it_is_noise(tmp_path):
    table = write_explained(tmp_path, CLASSES[:2], 16, channels=3, size=(64, 64))
    rng = np.random.default_rng(0)
    for path in (tmp_path / "latent/generated").rglob("*.png"):
        coarse = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC).save(path)
    text, embedded, _ = page_of(tmp_path, table)
    assert embedded["total"] == 64
    assert len(text.encode()) / embedded["total"] <= MAX_SHARE


def test_names_are_data_never_markup(tmp_path):
    text, embedded, _ = page_of(tmp_path, write_explained(tmp_path, NAMES[:5], 1))
    assert text.count("<script") == text.count("</script>") == 3
    assert embedded["classes"] == NAMES[:5]
    assert "<b>" not in text
    assert '<option value="&lt;script&gt;alert(1)&lt;/script&gt;">' in text
    assert set(rows_of(embedded)["query"]) == {'images/=1+0 "q" <b>&\'.png'}


def test_a_split_without_conversions_has_a_page_that_says_so(tmp_path):
    table = write_explained(tmp_path, CLASSES, 1)
    frame = read_table(table)
    empty = frame.head(0)[["query", "digest", "source", "target", "kind", "method", "file", "quac_score"]]
    write_table(tmp_path / "none.parquet", empty, **frame.attrs)
    text, embedded, sprites = page_of(tmp_path, tmp_path / "none.parquet")
    assert "No query was converted" in text
    assert (embedded["tiles"], sprites) == ([], [])
    _, both, _ = page_of(tmp_path, tmp_path / "none.parquet", table)
    assert len(both["tiles"]) == 6


def test_damaged_and_lost_files_are_named(tmp_path):
    table = write_explained(tmp_path, CLASSES[:2], 1)
    out = tmp_path / "run-explorer.html"
    with pytest.raises(QuacError, match=r"explanation.methods is \[\]"):
        write_explorer([], "test", "run.html", out, 30)
    with pytest.raises(QuacError, match=r"index\.parquet: not a table of explanations"):
        write_explorer([tmp_path / "index.parquet"], "test", "run.html", out, 30)
    frame = read_table(table)
    write_table(tmp_path / "part.parquet", frame.drop(index=1), **frame.attrs)
    with pytest.raises(QuacError, match=r"part\.parquet: some conversions lack a method"):
        write_explorer([tmp_path / "part.parquet"], "test", "run.html", out, 30)
    next((tmp_path / "latent/masks").rglob("*.npy")).unlink()
    with pytest.raises(QuacError, match=r"\.npy: .*Delete the folder .*masks and run the workflow again"):
        write_explorer([table], "test", "run.html", out, 30)
    assert not out.exists()
