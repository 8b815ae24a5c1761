import numpy as np
import pytest
from helpers.builders import make_store

from quac.conversion.image_folder import BestImages
from quac.data.result_names import output_path
from quac.system.errors import QuacError


def test_names_of_generated_images():
    assert output_path("a/deep/x.PNG", "a", "b") == "a/b/deep/x.PNG"
    assert output_path("a/x.jpg", "a", "b") == "a/b/x.jpg.png"


def test_a_path_of_a_list_of_images_does_not_leave_the_folder():
    assert output_path("../../in/a/x.tif", "a", "b") == "a/b/in/a/x.tif.png"
    assert output_path("/far/x.png", "a", "b") == "a/b/far/x.png"
    assert output_path("a", "a", "b") == "a/b/a.png"


def test_queries_that_would_overwrite_each_other_are_named(tmp_path):
    store = make_store(tmp_path, {"a": 2, "b": 1})
    store.paths[:2] = ["a/x.jpg", "a/x.jpg.png"]
    with pytest.raises(QuacError, match=r"a/<target>/x\.jpg\.png; rename one of them"):
        BestImages(tmp_path, store)


def test_an_error_of_writing_is_passed_on(tmp_path):
    store = make_store(tmp_path / "store", {"a": 1, "b": 1})
    (tmp_path / "a").write_text("in the way")
    pixels = np.zeros((1, 4, 4), np.uint8)

    def write():
        with BestImages(tmp_path, store) as write_best:
            write_best("latent", 0, 1, pixels)

    with pytest.raises(OSError, match="a"):
        write()
