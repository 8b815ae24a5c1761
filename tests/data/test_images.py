import numpy as np
import pytest
import tifffile
from helpers.builders import reading
from helpers.image_files import broken, kinds, noise, on
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from quac.data.decode import decode
from quac.data.decoded import ImageError
from quac.data.images import read_image, resize, to_8_bit, to_channels, to_depth, to_image, write_png


def read(path, **options):
    return read_image(path, reading(**options))[0]


def reason(path, **options):
    with pytest.raises(ImageError) as error:
        read(path, **options)
    return str(error.value)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.tuples(st.integers(2, 9), st.integers(2, 9)))
def test_every_kind_of_file_is_read_to_the_last_bit(tmp_path_factory, seed, size):
    for path, expected in kinds(tmp_path_factory.mktemp("kinds"), seed, size).items():
        pixels = read(path)
        assert pixels.dtype == (np.uint16 if "deep" in path.name else np.uint8), path.name
        np.testing.assert_array_equal(pixels, expected, path.name)


def test_unusable_files_are_refused_with_their_reason(tmp_path):
    for path, words in broken(tmp_path).items():
        assert words in reason(path), path.name


def test_mode_and_depth_are_those_of_the_file(tmp_path):
    modes = {path.name: (decode(path).mode, decode(path).bits) for path in kinds(tmp_path)}
    assert modes["bits.png"] == ("1", 1)
    assert modes["palette.png"] == ("P", 8)
    assert modes["clear.PNG"] == ("RGBA", 8)
    assert modes["deep-RGB.png"] == ("RGB;16", 16)
    assert modes["deep-L.png"] == ("I;16", 16)
    assert modes["deep-RGB.tif"] == ("RGB;16", 16)


def test_a_range_of_the_data_set_scales_every_image_alike(tmp_path):
    """Never by one image's own extremes: a dark image stays dark."""
    for name, top in (("dark", 0.25), ("bright", 1.0)):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.linspace(0, top, 12, dtype=np.float32).reshape(3, 4))
    assert read(tmp_path / "dark.tif", range=(0, 1)).max() == round(0.25 * 65535)
    assert read(tmp_path / "bright.tif", range=(0, 1)).max() == 65535
    assert read(tmp_path / "bright.tif", range=(-1, 3)).max() == round(0.5 * 65535)
    assert read(tmp_path / "bright.tif", range=(0.2, 0.5)).min() == 0
    Image.fromarray(np.array([[0, 51, 102]], np.uint8)).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png", range=(0, 102)).ravel().tolist() == [0, 32768, 65535]


def test_nan_becomes_the_lowest_value(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[np.nan, np.inf, -np.inf, 0.5]], np.float32))
    assert read(tmp_path / "a.tif", range=(0, 1)).ravel().tolist() == [0, 65535, 0, 32768]


def test_the_configured_page_is_read(tmp_path):
    frames = [Image.fromarray(noise(seed, 4, 4)) for seed in (1, 2, 3)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "b.tif")
    deep = noise(4, 2, 4, 4, 3, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "c.tif", deep, photometric="rgb")
    assert (read(tmp_path / "a.tif", page=2)[:, :, 0] == np.asarray(frames[2])).all()
    assert (read(tmp_path / "b.tif", page=0)[:, :, 0] == np.asarray(frames[0])).all()
    assert (read(tmp_path / "c.tif", page=1) == deep[1]).all()
    assert "has 3 page(s), but data.page is 3 (from 0)" in reason(tmp_path / "a.tif", page=3)
    frames[0].save(tmp_path / "d.png")
    for name in ("b.tif", "d.png"):
        assert "has 1 page(s), but data.page is 2 (from 0)" in reason(tmp_path / name, page=2)


def test_transparent_pixels_show_the_background(tmp_path):
    Image.new("RGBA", (2, 2), (10, 20, 30, 0)).save(tmp_path / "a.png")
    Image.new("LA", (2, 2), (10, 0)).save(tmp_path / "b.png")
    assert read(tmp_path / "a.png", background=(1, 2, 3))[0, 0].tolist() == [1, 2, 3]
    assert read(tmp_path / "b.png", background=(1, 2, 3))[0, 0].tolist() == [1, 2, 3]
    assert read(tmp_path / "b.png", background=(7, 7, 7))[0, 0].tolist() == [7]


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path):
    Image.new("L", (20, 20)).save(tmp_path / "a.png")
    assert "20 x 20 pixels, more than data.max_pixels (399)" in reason(tmp_path / "a.png", max_pixels=399)
    assert read(tmp_path / "a.png", max_pixels=400).shape == (20, 20, 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(tmp_path, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(noise(0, 4, 3)).save(tmp_path / "a.png", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.png")))
    assert (read(tmp_path / "a.png")[:, :, 0] == expected).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_rotated_tiff_is_read_upright(tmp_path, orientation, compression, dtype):
    values, exif = noise(0, 40, 60, dtype=dtype), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(values).save(tmp_path / "a.tif", exif=exif, compression=compression)
    Image.fromarray((values >> 8 * (values.itemsize - 1)).astype(np.uint8)).save(tmp_path / "a.png", exif=exif)
    top = read(tmp_path / "a.tif")[:, :, 0] >> 8 * (values.itemsize - 1)
    assert (top == read(tmp_path / "a.png")[:, :, 0]).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_samples_of_a_tiff_are_opacity_only_if_it_declares_them(tmp_path, dtype):
    four, path = noise(0, 6, 5, 4, dtype=dtype), tmp_path / "a.tif"
    tifffile.imwrite(path, four, photometric="rgb", extrasamples=["unassalpha"])
    assert (read(path) == on((255,) * 3, four, np.iinfo(dtype).max)).all()
    tifffile.imwrite(path, four, photometric="rgb", extrasamples=["unspecified"])
    assert (read(path) == four[:, :, :3]).all()
    for planes in ("contig", "separate"):
        pair = four[:, :, :2] if planes == "contig" else four[:, :, :2].transpose(2, 0, 1)
        tifffile.imwrite(path, np.ascontiguousarray(pair), photometric="minisblack", planarconfig=planes)
        assert "each channel as a file" in reason(path)


def test_white_is_zero_at_either_depth_and_inks_of_16_bits_are_refused(tmp_path):
    for dtype in (np.uint8, np.uint16):
        values = noise(0, 6, 5, dtype=dtype)
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
        assert (read(tmp_path / "a.tif")[:, :, 0] == np.iinfo(dtype).max - values).all()
    tifffile.imwrite(tmp_path / "a.tif", noise(0, 6, 5, 4, dtype=np.uint16), photometric="separated")
    assert "the colours separated" in reason(tmp_path / "a.tif")


def test_signed_and_very_large_values_keep_their_order(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.array([[-128, 0, 127]], np.int8))
    assert "give it for the whole data set as data.range" in reason(tmp_path / "a.tif")
    assert read(tmp_path / "a.tif", range=(-128, 127)).ravel().tolist() == [0, 32896, 65535]
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 2 * 10**9, 4 * 10**9]], np.uint32))
    assert read(tmp_path / "a.tif", range=(0, 4e9)).ravel().tolist() == [0, 32768, 65535]


def test_grey_is_the_luma_of_pillow():
    colour = noise(0, 50, 50, 3)
    assert (to_channels(colour, 1)[:, :, 0] == np.asarray(Image.fromarray(colour).convert("L"))).all()
    assert (to_channels(colour[:, :, :1], 3) == colour[:, :, :1]).all()
    assert to_channels(np.full((1, 1, 3), 65535, np.uint16), 1).item() == 65535


def test_shrinking_is_antialiased_at_either_depth():
    """Every other pixel white: the mean stays, instead of one of both being picked."""
    fine = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)[:, :, None]
    small = resize(fine, 32, 32)
    assert small.shape == (32, 32, 1)
    assert abs(small[4:-4, 4:-4].astype(int) - 127).max() <= 2
    deep = resize(to_depth(fine, np.uint16), 32, 32)
    assert abs(deep.astype(int) - small.astype(int) * 257).max() <= 257


def test_resizing_at_16_bits_keeps_the_depth():
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)[None, :, None].repeat(64, 0)
    assert len(np.unique(resize(ramp, 128, 128))) > 100


def test_depths_are_the_same_intensities():
    levels = np.arange(256, dtype=np.uint8)
    assert (to_8_bit(to_depth(levels, np.uint16)) == levels).all()
    assert to_depth(levels, np.uint8) is levels


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_png_keeps_every_pixel(tmp_path, channels, depth):
    pixels = noise(0, 8, 6, channels)
    pixels = pixels if depth == np.uint8 else pixels * np.uint16(199)
    write_png(tmp_path / "a.png", pixels)
    found = read(tmp_path / "a.png")
    assert found.dtype == depth
    assert (found == pixels).all()


def test_a_pillow_image_has_width_and_height_in_its_order():
    assert to_image(noise(0, 8, 6, 3)).size == (6, 8)


def test_a_decoded_image_keeps_the_depth_of_its_file(tmp_path):
    write_png(tmp_path / "a.png", noise(0, 2, 2, 1))
    assert read_image(tmp_path / "a.png", reading(background=[0, 0, 0]))[1].bits == 8
