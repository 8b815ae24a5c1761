"""Preprocessing of sizes: from the images as they are to those that the networks take.

A mode is a scaling, a crop, or a scaling `_and_` a crop, in the words of
CycleGAN's option of this name; `img_size` takes the place of its crop size.
"""

import itertools

SCALINGS = ("resize", "scale_width", "scale_shortside")
CROPS = ("crop", "center_crop")
MODES = (*SCALINGS, *CROPS, *("_and_".join(both) for both in itertools.product(SCALINGS, CROPS)), "none")


def parts(mode):
    """The scaling and the crop of a mode, each None where there is none."""
    if mode == "none":
        return None, None
    scaling, _, crop = mode.rpartition("_and_")
    return (scaling or None, crop) if crop in CROPS else (crop, None)


def crop_of(mode):
    return parts(mode)[1]


def for_conversion(mode):
    """A mode whose crop, if it has one, is from the middle: nothing is left to chance where results are compared."""
    scaling, crop = parts(mode)
    return "_and_".join(filter(None, (scaling, crop and "center_crop"))) or "none"


def scaled_size(width, height, settings):
    """Width and height of an image before it is cropped, or as it is stored where it is not.

    Args:
        settings: `preprocess` (a mode), `load_size` (pixels, or None: `img_size`), `img_size`.

    Without a crop, sides are rounded to what the generator takes: the nearest multiple of `img_size / 16`, and at
    least two of them.
    """
    scaling, crop = parts(settings.preprocess)
    size = settings.load_size or settings.img_size
    if scaling == "resize":
        width = height = size
    elif scaling:
        factor = size / (width if scaling == "scale_width" else min(width, height))
        width, height = width * factor, height * factor
    unit = 1 if crop else settings.img_size // 16
    fewest = 1 if crop else 2
    return tuple(max(fewest, int(side / unit + 0.5)) * unit for side in (width, height))


def stored_size(width, height, settings):
    """Width and height of an image in the store: cropped, unless crops are drawn at random later."""
    if crop_of(settings.preprocess) == "center_crop":
        return settings.img_size, settings.img_size
    return scaled_size(width, height, settings)


def too_small(width, height, settings):
    """Whether an image, scaled, is smaller than the crop."""
    return bool(crop_of(settings.preprocess)) and min(scaled_size(width, height, settings)) < settings.img_size


def middle(pixels, side):
    """The square of a side (pixels) in the middle of an image (height, width, channels)."""
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]
