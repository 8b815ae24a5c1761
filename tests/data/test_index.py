import hashlib

import numpy as np
from helpers.builders import make_index, reading, restricted_config, write_images
from helpers.image_files import broken, deep_png, kinds, noise
from PIL import Image

from quac.data.index import COLUMNS, build_index, content_digest, index_split
from quac.data.sources import list_source
from quac.system.tables import read_table


def test_one_row_per_image_with_its_facts(tmp_path):
    write_images(tmp_path / "images", {"b": 2, "a": 1})
    (tmp_path / "images/b/empty.png").write_bytes(b"")
    (tmp_path / "images/b/notes.txt").write_text("x")
    index = make_index(tmp_path / "index.parquet", tmp_path / "images")
    assert index["path"].tolist() == ["a/a-00.png", "b/b-00.png", "b/b-01.png", "b/empty.png"]
    assert index["label"].tolist() == [0, 1, 1, 1]
    assert {name: index.attrs[name] for name in ("base", "classes", "strays", "split")} == {
        "base": str(tmp_path / "images"),
        "classes": ["a", "b"],
        "strays": ["b/notes.txt"],
        "split": "train",
    }
    first = index.iloc[0]
    content = (tmp_path / "images/a/a-00.png").read_bytes()
    assert (first["width"], first["height"], first["mode"], first["bits"]) == (32, 32, "L", 8)
    assert (first["bytes"], first["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert len(first["phash"]) == 16
    assert index["error"].tolist() == ["", "", "", "is empty (0 bytes); replace or remove it"]


def test_intensities_are_those_of_the_file(tmp_path):
    (tmp_path / "images/a").mkdir(parents=True)
    Image.fromarray(np.array([[0, 17, 255, 255]], np.uint8)).save(tmp_path / "images/a/a.png")
    deep_png(tmp_path / "images/a/b.png", np.array([[[13107], [26214]]], np.uint16))
    first, second = make_index(tmp_path / "index.parquet", tmp_path / "images").itertuples()
    assert (first.low, first.high) == (0, 1)
    assert list(first.histogram) == [0.25, 0.25, *[0] * 13, 0.5]
    assert (round(second.low, 6), round(second.high, 6), second.bits) == (0.2, 0.4, 16)
    assert (round(first.mean, 6), round(second.mean, 6)) == (round((17 + 2 * 255) / (4 * 255), 6), 0.3)


def test_the_order_of_classes_is_that_of_the_config(tmp_path):
    write_images(tmp_path, {"a": 1, "b": 1, "c": 1})
    index, facts = build_index(list_source(str(tmp_path), "train", classes=["c", "a"]), reading())
    assert index["class"].tolist() == facts["classes"] == ["c", "a"]


def test_pixels_are_equal_for_a_copy_in_another_format(tmp_path):
    write_images(tmp_path / "images", {"a": 2})
    image = Image.open(tmp_path / "images/a/a-00.png")
    image.save(tmp_path / "images/a/copy.bmp")
    image.convert("LA").save(tmp_path / "images/a/opaque.png")
    pixels = make_index(tmp_path / "index.parquet", tmp_path / "images").set_index("path")["pixels"]
    assert pixels["a/copy.bmp"] == pixels["a/opaque.png"] == pixels["a/a-00.png"] != pixels["a/a-01.png"]


def test_unusable_files_are_listed_with_their_reason(tmp_path):
    for name in ("good", "bad"):
        (tmp_path / "images" / name).mkdir(parents=True)
    good, bad = kinds(tmp_path / "images/good"), broken(tmp_path / "images/bad")
    index = make_index(tmp_path / "index.parquet", tmp_path / "images").set_index("path")
    assert (index[index["class"] == "good"]["error"] == "").all()
    assert len(index) == len(good) + len(bad)
    for path, reason in bad.items():
        assert reason in index.loc[f"bad/{path.name}", "error"]


def test_the_index_does_not_depend_on_the_number_of_processes(tmp_path):
    for number in range(150):
        (tmp_path / "a").mkdir(exist_ok=True)
        Image.fromarray(noise(number, 8, 8)).save(tmp_path / f"a/{number}.png")
    listing = list_source(str(tmp_path), "train")
    assert build_index(listing, reading(), 3)[0].equals(build_index(listing, reading())[0])


def test_the_content_digest_is_of_images_and_classes_not_of_names(tmp_path):
    write_images(tmp_path / "x", {"a": 2, "b": 1})
    index = make_index(tmp_path / "index.parquet", tmp_path / "x")
    before = content_digest(index)
    assert content_digest(index[["class", "sha256", "weight"]]) == before  # a new column is no new training
    (tmp_path / "x" / "b" / "b-00.png").rename(tmp_path / "x" / "b" / "other.png")
    assert content_digest(make_index(tmp_path / "index.parquet", tmp_path / "x")) == before
    write_images(tmp_path / "x", {"b": 1}, seed=5)
    assert content_digest(make_index(tmp_path / "index.parquet", tmp_path / "x")) != before


def test_an_index_keeps_its_facts_on_disk_even_when_it_is_empty(tmp_path):
    (tmp_path / "images" / "a").mkdir(parents=True)
    make_index(tmp_path / "index.parquet", tmp_path / "images")
    again = read_table(tmp_path / "index.parquet")
    assert again.attrs["classes"] == ["a"]
    assert again.columns.tolist() == COLUMNS
    assert len(again) == 0


def test_each_file_is_read_once(tmp_path, monkeypatch):
    kinds(tmp_path)
    count = len(list(tmp_path.iterdir()))
    (tmp_path / "a").mkdir()
    for path in [*tmp_path.iterdir()]:
        if path.is_file():
            path.rename(tmp_path / "a" / path.name)
    opened = []

    def counted(path, *args, **options):
        opened.append(str(path))
        return open(path, *args, **options)

    monkeypatch.setattr("quac.data.decode.open", counted, raising=False)
    index, _ = build_index(list_source(str(tmp_path), "train"), reading())
    assert len(opened) == len(set(opened)) == len(index) == count


def test_a_split_is_indexed_by_the_settings_of_its_key(tmp_path):
    write_images(tmp_path / "images", {"a": 1, "b": 1, "c": 1})
    sections = {"data": {"classes": ["c", "a"]}, "validation_data": {"source": str(tmp_path / "images")}}
    index, facts = index_split(restricted_config("index", "validation", **sections), "validation")
    assert index["class"].tolist() == facts["classes"] == ["c", "a"]
    assert facts["base"] == str(tmp_path / "images")


def test_what_a_file_leaves_open_is_noted_and_a_transparent_image_is_unusable(tmp_path):
    write_images(tmp_path / "images", {"a": 1})
    levels = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).convert("P")
    levels.putpalette(bytes(value for level in range(256) for value in (0, 0, level)))
    levels.save(tmp_path / "images/a/lut.tif")
    for name, mode in (("RGBA", "RGBA"), ("LA", "LA"), ("P", "RGBA")):
        clear = Image.new(mode, (4, 4))
        clear = clear.quantize() if name == "P" else clear
        clear.save(tmp_path / f"images/a/clear-{name}.png")
    index = make_index(tmp_path / "index.parquet", tmp_path / "images").set_index("path")
    assert index["note"].ne("").tolist() == [False, False, False, False, True]
    for name in ("RGBA", "LA", "P"):
        error = "is transparent as a whole; save it without opacity, or remove it"
        assert index.loc[f"a/clear-{name}.png", "error"] == error
    assert index["error"].ne("").sum() == 3
