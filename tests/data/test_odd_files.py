"""Image files of people's machines: stacks, lookup tables, large texts, and files made to do harm."""

import io
import os
import resource
import shutil
import struct
import subprocess
import sys
import textwrap
import zlib

import numpy as np
import pytest
import tifffile
from helpers.builders import reading
from helpers.image_files import noise
from PIL import Image, PngImagePlugin

from quac.data.decode import decode, decode_bytes, read_bytes
from quac.data.decoded import ImageError
from quac.data.images import read_image, to_channels
from quac.data.masks import read_mask


def reason(path, page=None, max_pixels=2**27):
    with pytest.raises(ImageError) as error:
        decode(path, page, max_pixels)
    return str(error.value)


def raw_tiff(values=b"", **changes):
    """A TIFF of one strip, of 8 x 8 pixels unless `changes` say otherwise ({"t" and number of the tag: value or None});
    with no values it has about 150 bytes."""
    tags = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 277: 1, 278: 8, 279: len(values) or 64}
    tags |= {int(name[1:]): value for name, value in changes.items()}
    tags = {tag: value for tag, value in tags.items() if value is not None} | {273: 0}
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + values


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunks(content, *chunks):
    """A PNG with chunks after its header and before its end."""
    return b"".join([content[:33], *chunks, content[33:-12], *chunks[1:], content[-12:]])


STACK = noise(0, 4, 6, 5)


@pytest.mark.parametrize(
    ("options", "dtype"),
    [
        *(({"imagej": True}, dtype) for dtype in (np.uint8, np.uint16, np.float32)),
        *(({"photometric": "minisblack"}, dtype) for dtype in (np.uint8, np.uint16, np.float32, np.float64)),
    ],
)
def test_planes_without_pages_of_their_own_are_counted(tmp_path, options, dtype):
    """As ImageJ does: it writes large stacks with one page, and the number of planes in its description."""
    path, stack = tmp_path / "a.tif", STACK.astype(dtype)
    tifffile.imwrite(path, stack, truncate=True, **options)
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 1
    assert "has 4 pages; choose one by data.page" in reason(path)
    assert "has 4 page(s), but data.page is 4 (from 0)" in reason(path, page=4)
    for page in range(4):
        assert (decode(path, page).values[:, :, 0] == stack[page]).all()
    path.write_bytes(path.read_bytes()[: -stack[3].nbytes])
    assert (decode(path, 2).values[:, :, 0] == stack[2]).all()
    assert "ends before its page 3" in reason(path, page=3)


def test_planes_of_a_stack_in_colour_and_of_metamorph_are_counted(tmp_path):
    colour = noise(1, 3, 6, 5, 3)
    tifffile.imwrite(tmp_path / "a.tif", colour, imagej=True, truncate=True, photometric="rgb")
    assert (decode(tmp_path / "a.tif", 2).values == colour[2]).all()
    tags = [(33629, "2I", 4, [0] * 8, True)]
    tifffile.imwrite(tmp_path / "b.stk.tif", STACK[0], metadata=None, extratags=tags, photometric="minisblack")
    with open(tmp_path / "b.stk.tif", "rb") as file:
        content = file.read()
    assert content.endswith(STACK[0].tobytes())
    (tmp_path / "b.tif").write_bytes(content + STACK[1:].tobytes())
    assert "has 4 pages" in reason(tmp_path / "b.tif")
    assert (decode(tmp_path / "b.tif", 3).values[:, :, 0] == STACK[3]).all()


def test_pages_of_a_compressed_stack_are_those_of_the_file(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK, imagej=False, compression="zlib", photometric="minisblack")
    assert (decode(tmp_path / "a.tif", 3).values[:, :, 0] == STACK[3]).all()
    assert "has 4 pages" in reason(tmp_path / "a.tif")


def test_a_mask_of_one_page_is_that_of_any_page(tmp_path):
    Image.new("L", (5, 6), 255).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "b.tif", np.stack([STACK[0], np.full((6, 5), 255, np.uint8)]), photometric=1)
    for name in ("a.png", "b.tif"):
        assert (read_mask(tmp_path / name, 5, 6, reading(page=1)) == 65535).all()


def palette_file(path, colours):
    image = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).convert("P")
    image.putpalette(np.array(colours, np.uint8).tobytes())
    image.save(path)


@pytest.mark.parametrize("colour", [(0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 0, 1), (0, 1, 1), (1, 0.5, 0)])
@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_palette_that_is_a_lookup_table_of_one_channel_keeps_every_level(tmp_path, colour, name):
    levels = np.arange(256)
    palette_file(tmp_path / name, np.rint(levels[:, None] * colour))
    pixels, decoded = read_image(tmp_path / name, reading())
    assert (to_channels(pixels, 1).ravel() == levels).all()
    assert "lookup table" in decoded.note


def test_other_palettes_stay_colours(tmp_path):
    levels = np.arange(256)[:, None]
    for name, colours in {
        "grey": levels.repeat(3, 1),
        "inverted grey": 255 - levels.repeat(3, 1),
        "two shades": (levels > 127) * [0, 0, 255],
        "colours": noise(2, 256, 3),
    }.items():
        palette_file(tmp_path / "a.tif", colours)
        found = decode(tmp_path / "a.tif")
        assert (found.values.reshape(-1, 3) == colours).all(), name
        assert found.note == ""


def test_without_a_photometric_interpretation_0_is_black(tmp_path):
    values = noise(3, 8, 8)
    for content, expected in (
        (raw_tiff(values.tobytes(), t262=None), values),
        (raw_tiff(values.astype("<u2").tobytes(), t258=16, t262=None), values),
    ):
        found = decode_bytes(content)
        assert (found.values[:, :, 0] == expected).all()
        assert "0 is read as black" in found.note
        (tmp_path / "a.tif").write_bytes(content)
        assert (tifffile.imread(tmp_path / "a.tif") == expected).all()
    colour = noise(4, 8, 8, 3)
    found = decode_bytes(raw_tiff(colour.tobytes(), t262=None, t277=3, t279=192))
    assert (found.values == colour).all()
    assert (decode_bytes(raw_tiff(values.tobytes(), t262=0)).values[:, :, 0] == 255 - values).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("megabytes", [2, 70])
def test_a_png_with_a_large_profile_or_text_is_read(tmp_path, dtype, megabytes):
    import imagecodecs

    values = noise(5, 8, 6, 3, dtype=dtype)
    plain = bytes(imagecodecs.png_encode(values))
    large = b"x" * 2**20 * megabytes
    exif = Image.Exif()
    exif[0x0112] = 3
    chunks = [
        chunk(b"iCCP", b"icc\0\0" + zlib.compress(large, 1)),
        chunk(b"tEXt", b"Comment\0" + large),
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(large, 1)),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(large, 1)),
    ]
    for some in ([each] for each in chunks):
        assert (decode_bytes(with_chunks(plain, *some)).values == values).all()
    turned = with_chunks(plain, *chunks, chunk(b"eXIf", exif.tobytes()[6:]))
    assert (decode_bytes(turned).values == values[::-1, ::-1]).all()


def test_the_orientation_in_a_text_of_a_png_is_applied():
    texts, file = PngImagePlugin.PngInfo(), io.BytesIO()
    texts.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="3"/>')
    Image.fromarray(STACK[0]).save(file, "PNG", pnginfo=texts)
    assert (decode_bytes(file.getvalue()).values[:, :, 0] == STACK[0][::-1, ::-1]).all()


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(made) (w) file closefile\nshowpage\n"


@pytest.mark.parametrize("name", ["EPS", "GIF", "PPM", "ICO", "TGA", "PCX", "SGI", "PDF", "JPEG2000"])
def test_only_documented_formats_are_opened(tmp_path, monkeypatch, name):
    """Pillow runs Ghostscript for an EPS, whatever the file is called."""
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("runs a program"))
    content = EPS
    if name != "EPS":
        file = io.BytesIO()
        Image.new("RGB", (16, 16)).save(file, name)
        content = file.getvalue()
    (tmp_path / "x.png").write_bytes(content)
    assert "is not an image (PNG, JPEG, TIFF, BMP or WebP)" in reason(tmp_path / "x.png")


HUGE = 60_000
BOMBS = {
    "size": raw_tiff(t256=HUGE, t257=HUGE),
    "deep": raw_tiff(t256=HUGE, t257=HUGE, t258=64, t339=3),
    "tiles": raw_tiff(t322=HUGE, t323=HUGE, t259=8),
    "deep tiles": raw_tiff(t322=HUGE, t323=HUGE, t259=8, t258=16),
    "samples": raw_tiff(t256=4000, t257=4000, t277=60_000),
    "depth": raw_tiff(t256=4000, t257=4000, t32997=60_000, t258=16),
    "truncated": raw_tiff(t256=11_000, t257=11_000, t258=64, t277=3, t262=2, t339=3),
    "truncated tiles": raw_tiff(t256=11_000, t257=11_000, t258=16, t277=3, t262=2, t322=256, t323=256, t259=8),
    "palette": raw_tiff(t256=HUGE, t257=HUGE, t262=3),
    "webp": b"RIFF\x7f\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0" + b"\xfe\x3f\0" * 2 + bytes(90),
    "webp without loss": b"RIFF\x7f\0\0\0WEBPVP8L\x0a\0\0\0\x2f" + b"\xff\xff\xff\x0f" + bytes(90),
    "png": b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", struct.pack(">IIBBBBB", HUGE, HUGE, 8, 2, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(bytes(99)))
    + chunk(b"IEND", b""),
    "bmp": b"BM" + struct.pack("<IHHI", 154, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, HUGE, HUGE, 1, 24, *[0] * 6),
}


def test_the_limit_of_pixels_holds_before_memory_is_taken(tmp_path):
    for name, content in BOMBS.items():
        (tmp_path / name).write_bytes(content)
    code = f"""
        import os, resource, tifffile
        from quac.data.decode import ImageError, decode
        for name in {list(BOMBS)}:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            try:
                decode(os.path.join({str(tmp_path)!r}, name), None, 2**27)
            except ImageError as error:
                grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
                print(name, grown, error, sep="|")
    """
    limit = 2**31  # bytes of addresses
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    refused = [line.split("|") for line in result.stdout.splitlines()]
    assert [name for name, _, _ in refused] == list(BOMBS)
    for name, grown, message in refused:
        assert any(words in message for words in ("data.max_pixels", "each channel as a file", "is truncated")), name
        assert int(grown) < 20_000, name  # KiB


def test_an_import_changes_nothing_of_pillow():
    code = """
        import csv, logging, os, sys, warnings
        from PIL import Image, ImageFile, PngImagePlugin
        import torch
        def state():
            return (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, PngImagePlugin.MAX_TEXT_CHUNK,
                    PngImagePlugin.MAX_TEXT_MEMORY, csv.field_size_limit(), torch.get_num_threads(),
                    torch.backends.cudnn.benchmark, torch.get_default_dtype(), dict(os.environ),
                    logging.getLogger().level, logging.getLogger().handlers[:])
        before = state()
        from quac import ConversionNetwork
        import quac.data.index, quac.data.decode
        ConversionNetwork
        assert state() == before, (before, state())
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_an_image_above_pillows_own_limit_is_read_without_a_warning(tmp_path, monkeypatch, recwarn):
    values = noise(6, 20, 20)
    for name in ("a.tif", "a.png", "a.bmp"):
        Image.fromarray(values).save(tmp_path / name)
    Image.fromarray(values).convert("RGB").save(tmp_path / "a.jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for name in ("a.tif", "a.png", "a.bmp"):
        assert (decode(tmp_path / name, None, 400).values[:, :, 0] == values).all()
    assert decode(tmp_path / "a.jpg", None, 400).values.shape == (20, 20, 3)
    assert not recwarn.list


def test_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "tty.png").symlink_to("/dev/null")
    for name in ("pipe.png", "zero.png", "tty.png"):
        with pytest.raises(ImageError, match="is not a regular file, but a pipe or a device; remove it"):
            read_bytes(tmp_path / name)


def test_a_picture_with_previews_is_its_first_picture(tmp_path):
    frames = [Image.fromarray(noise(seed, 16, 16, 3)) for seed in (1, 2)]
    frames[0].save(tmp_path / "a.mpo", save_all=True, append_images=frames[1:])
    shutil.copy(tmp_path / "a.mpo", tmp_path / "a.jpg")
    assert (decode(tmp_path / "a.jpg").values == np.asarray(Image.open(tmp_path / "a.mpo"))).all()
