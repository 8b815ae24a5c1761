"""What one stage has written and another reads: damaged or lost, it is named in one line with the remedy."""

import numpy as np
import pytest
from PIL import Image

from quac.data.stage_images import read_array, read_pixels
from quac.system.errors import QuacError


def test_what_was_written_is_read(tmp_path):
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", np.ones((1, 3, 4), np.uint8))
    assert read_pixels(tmp_path / "a.png", tmp_path).shape == (3, 4, 1)
    assert read_array(tmp_path / "a.npy", tmp_path).shape == (1, 3, 4)


@pytest.mark.parametrize(
    "content", [None, b"", b"x\n", b"\x89PNG", b"\x93NUMPY\x01\x00v\x00{'descr': '|O'", b"\x80\x04K\x01."]
)
@pytest.mark.parametrize("read", [read_pixels, read_array])
def test_what_is_damaged_or_lost_is_named(tmp_path, read, content):
    path = tmp_path / "masks/../made/a"
    (tmp_path / "made").mkdir()
    if content is not None:
        (tmp_path / "made/a").write_bytes(content)
    with pytest.raises(QuacError) as error:
        read(path, tmp_path / "made")
    message = str(error.value)
    assert message.startswith(f"{tmp_path}/made/a: ")
    assert message.endswith(f". Delete the folder {tmp_path}/made and run the workflow again.")
    assert len(message.splitlines()) == 1
    assert "pickle" not in message
