import hashlib

from builders import write_images
from PIL import Image

from quac.data.index import build_index, content_digest
from quac.tables import read_table, write_table


def test_one_row_per_image_with_its_facts(tmp_path):
    write_images(tmp_path, {"b": 2, "a": 1})
    (tmp_path / "b" / "empty.png").write_bytes(b"")
    (tmp_path / "b" / "notes.txt").write_text("x")
    index, facts = build_index(str(tmp_path))
    assert index["path"].tolist() == ["a/a-00.png", "b/b-00.png", "b/b-01.png", "b/empty.png"]
    assert index["label"].tolist() == [0, 1, 1, 1]
    assert facts == {"source": str(tmp_path), "classes": ["a", "b"], "strays": ["b/notes.txt"]}
    first = index.iloc[0]
    content = (tmp_path / "a" / "a-00.png").read_bytes()
    assert (first["width"], first["height"], first["mode"], first["bytes"]) == (32, 32, "L", len(content))
    assert first["sha256"] == hashlib.sha256(content).hexdigest()
    assert len(first["phash"]) == 16
    assert index["error"].tolist() == ["", "", "", "is empty (0 bytes); replace or remove it"]


def test_the_order_of_classes_is_the_configs(tmp_path):
    write_images(tmp_path, {"a": 1, "b": 1, "c": 1})
    index, facts = build_index(str(tmp_path), ["c", "a"])
    assert index["class"].tolist() == facts["classes"] == ["c", "a"]


def test_pixels_tell_a_copy_in_another_format(tmp_path):
    write_images(tmp_path, {"a": 2})
    Image.open(tmp_path / "a" / "a-00.png").save(tmp_path / "a" / "copy.bmp")
    pixels = build_index(str(tmp_path))[0].set_index("path")["pixels"]
    assert pixels["a/copy.bmp"] == pixels["a/a-00.png"] != pixels["a/a-01.png"]


def test_the_content_digest_is_of_images_and_classes_not_of_names(tmp_path):
    write_images(tmp_path / "x", {"a": 2, "b": 1})
    before = content_digest(build_index(str(tmp_path / "x"))[0])
    (tmp_path / "x" / "b" / "b-00.png").rename(tmp_path / "x" / "b" / "other.png")
    assert content_digest(build_index(str(tmp_path / "x"))[0]) == before
    write_images(tmp_path / "x", {"b": 1}, seed=5)
    assert content_digest(build_index(str(tmp_path / "x"))[0]) != before


def test_an_index_keeps_its_facts_on_disk_even_when_it_is_empty(tmp_path):
    (tmp_path / "images" / "a").mkdir(parents=True)
    index, facts = build_index(str(tmp_path / "images"))
    write_table(tmp_path / "index.parquet", index, split="train", **facts)
    again = read_table(tmp_path / "index.parquet")
    assert again.attrs == {"split": "train", **facts}
    assert len(again) == 0
