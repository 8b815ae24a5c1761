import numpy as np
import pytest
from PIL import Image

from quac.data.images import ImageError, read_image, to_image, to_pixels, write_png


def save(path, image, **options):
    image.save(path, **options)
    return path


def reason(path):
    with pytest.raises(ImageError) as error:
        read_image(path)
    return str(error.value)


def test_grey_and_rgb_are_read(tmp_path):
    assert read_image(save(tmp_path / "a.png", Image.new("L", (3, 2), 7))).mode == "L"
    assert read_image(save(tmp_path / "a.jpg", Image.new("RGB", (3, 2)))).size == (3, 2)


@pytest.mark.parametrize(("mode", "name"), [("RGBA", "a.png"), ("P", "a.png"), ("I;16", "a.tif"), ("CMYK", "a.jpg")])
def test_other_modes_are_refused_by_name(tmp_path, mode, name):
    assert reason(save(tmp_path / name, Image.new(mode, (4, 4)))) == f"has mode {mode}; save it as 8-bit grey or RGB"


def test_broken_files_are_told_apart(tmp_path):
    whole = save(tmp_path / "a.png", Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)))
    (tmp_path / "torn.png").write_bytes(whole.read_bytes()[:900])
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "link.png").symlink_to("nowhere")
    assert "cannot be decoded" in reason(tmp_path / "torn.png")
    assert "is not an image" in reason(tmp_path / "text.png")
    assert "broken link" in reason(tmp_path / "link.png")


def test_an_animation_is_refused(tmp_path):
    frames = [Image.new("L", (4, 4), level) for level in (0, 255)]
    assert "holds 2 frames" in reason(save(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:]))


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert "more than 100 pixels" in reason(save(tmp_path / "a.png", Image.new("L", (20, 20))))


def test_the_exif_orientation_is_applied(tmp_path):
    image, exif = Image.new("L", (4, 2)), Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    assert read_image(save(tmp_path / "a.jpg", image, exif=exif)).size == (2, 4)


def test_pixels_have_the_asked_size_and_channels():
    assert to_pixels(Image.new("L", (9, 5), 8), 32, 1).shape == (1, 32, 32)
    assert (to_pixels(Image.new("L", (32, 32), 8), 32, 3) == 8).all()
    assert to_pixels(Image.new("RGB", (32, 32), (255, 0, 0)), 32, 1)[0, 0, 0] == 76  # ITU-R 601 luma


def test_shrinking_is_antialiased():
    """Every other pixel white: the mean stays, instead of one of both being picked."""
    fine = np.indices((64, 64)).sum(0) % 2 * 255
    small = to_pixels(Image.fromarray(fine.astype(np.uint8)), 32, 1)[0, 4:-4, 4:-4]
    assert abs(small.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("channels", [1, 3])
def test_png_keeps_every_pixel(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (channels, 8, 6), np.uint8)
    write_png(tmp_path / "a.png", pixels)
    again = np.asarray(read_image(tmp_path / "a.png"))
    assert (again == np.asarray(to_image(pixels))).all()
    assert again.shape[:2] == (8, 6)
