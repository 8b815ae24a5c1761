"""Image files of every kind, and the pixels that each should be read as."""

import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image


def noise(seed, *shape, dtype=np.uint8):
    """Pixels of a size, every value as likely."""
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def deep_png(path, values):
    """A PNG of 16 bits; values (height, width, samples) uint16. (Pillow writes no such colours.)"""
    height, width, samples = values.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[samples]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    Path(path).write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def on(background, values, top):
    """Pixels (h, w, 1 or 3 + opacity) laid on a background of 0 to 255, as plain arithmetic."""
    share = values[..., -1:] / top
    behind = np.array(background[: values.shape[-1] - 1]) / 255 * top
    return np.floor(values[..., :-1] * share + behind * (1 - share) + 0.5)


def kinds(folder, seed=0, size=(6, 5)):
    """Write one file of each kind that is read with default settings: {path: expected pixels (h, w, channels)}."""
    folder, (h, w) = Path(folder), size
    white, found = (255, 255, 255), {}

    def image(name, picture, expected, **options):
        picture.save(folder / name, **options)
        found[folder / name] = expected if expected.ndim == 3 else expected[:, :, None]

    grey, colour, clear = noise(seed, h, w), noise(seed + 1, h, w, 3), noise(seed + 2, h, w, 4)
    faint = noise(seed + 3, h, w, 2)
    for ending in ("png", "bmp", "TIF", "tiff"):
        image(f"grey.{ending}", Image.fromarray(grey), grey)
        image(f"colour.{ending}", Image.fromarray(colour), colour)
    image("colour.webp", Image.fromarray(colour), colour, lossless=True)
    image("clear.WebP", Image.fromarray(clear), on(white, clear, 255), lossless=True, exact=True)
    image("clear.PNG", Image.fromarray(clear), on(white, clear, 255))
    image("faint.png", Image.fromarray(faint, "LA"), on(white, faint, 255))
    image("bits.png", Image.fromarray(grey > 127), (grey > 127) * np.uint8(255))
    palette = Image.fromarray(colour).convert("P", palette=Image.Palette.ADAPTIVE)
    image("palette.png", palette, np.asarray(palette.convert("RGB")))
    hole = np.where((np.asarray(palette) == 0)[:, :, None], 255, np.asarray(palette.convert("RGB")))
    image("hole.png", palette, hole, transparency=0)
    inks = Image.fromarray(clear, "CMYK")
    image("inks.tif", inks, np.asarray(inks.convert("RGB")))
    jpeg = folder / "photo.JPG"
    Image.fromarray(colour).save(jpeg, quality=95)
    found[jpeg] = np.asarray(Image.open(jpeg))
    for samples, name in ((1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")):
        deep = noise(seed + 4 + samples, h, w, samples, dtype=np.uint16)
        deep_png(folder / f"deep-{name}.png", deep)
        found[folder / f"deep-{name}.png"] = on(white, deep, 65535) if samples in (2, 4) else deep
    deep = noise(seed + 9, h, w, 3, dtype=np.uint16)
    tifffile.imwrite(folder / "deep-RGB.tif", deep)
    found[folder / "deep-RGB.tif"] = deep
    tifffile.imwrite(folder / "deep-L.tif", deep[:, :, 0])
    found[folder / "deep-L.tif"] = deep[:, :, :1]
    return found


def broken(folder):
    """Write files that cannot be used: {path: words of the reason}."""
    folder = Path(folder)
    Image.fromarray(noise(0, 64, 64)).save(folder / "whole.png")
    content, found = (folder / "whole.png").read_bytes(), {}
    (folder / "whole.png").unlink()
    for name, data, reason in (
        ("torn.png", content[:900], "cannot be decoded"),
        ("empty.png", b"", "is empty (0 bytes)"),
        ("text.jpg", b"no image", "is not an image"),
        ("header.tif", b"II*\0", "cannot be decoded"),
    ):
        (folder / name).write_bytes(data)
        found[folder / name] = reason
    (folder / "link.png").symlink_to("nowhere")
    found[folder / "link.png"] = "broken link"
    frames = [Image.fromarray(noise(seed, 4, 4)) for seed in (1, 2, 3)]
    frames[0].save(folder / "moving.webp", save_all=True, append_images=frames[1:], lossless=True)
    found[folder / "moving.webp"] = "is animated (3 frames)"
    frames[0].save(folder / "pages.tif", save_all=True, append_images=frames[1:])
    found[folder / "pages.tif"] = "has 3 pages; choose one by data.page"
    tifffile.imwrite(folder / "float.tif", np.linspace(-1, 1, 20, dtype=np.float32).reshape(4, 5))
    tifffile.imwrite(folder / "double.tif", np.linspace(-1, 1, 20).reshape(4, 5))
    tifffile.imwrite(folder / "signed.tif", np.zeros((4, 5), np.int16))
    for name in ("float", "double", "signed"):
        found[folder / f"{name}.tif"] = "give it for the whole data set as data.range"
    return found
