"""The sections of the data: where the images are, how they are read, checked and split."""

from typing import Annotated, Literal

from pydantic import Field

from quac.config.section import Byte, Positive, Probability, Section, Weight, key
from quac.data.preprocess import MODES

# Of what the checks of the data may find, unless the config says otherwise.
SEVERITIES = {
    "one-class": "error",
    "class-missing": "error",
    "num-domains": "error",
    "sampling": "error",
    "class-names-alike": "error",
    "too-few": "error",
    "imbalance": "warning",
    "unreadable": "error",
    "identical-across-splits": "error",
    "identical-across-classes": "error",
    "near-duplicate-across-splits": "warning",
    "group-across-splits": "error",
    "blank": "warning",
    "mixed-modes": "warning",
    "mixed-bit-depths": "warning",
    "mixed-sizes": "warning",
    "smaller-than-crop": "error",
    "distorted": "warning",
    "histogram-shift": "warning",
    "stray-files": "warning",
}


class Augment(Section):
    """Random changes of training images, drawn anew for each image."""

    hflip: Probability = key(0.0, "Probability of a flip from left to right.")
    vflip: Probability = key(0.0, "Probability of a flip from top to bottom.")
    rot90: Probability = key(0.0, "Probability of a turn by 90, 180 or 270 degrees.")
    crop_probability: Probability = key(
        0.0, "Probability of a crop (80 to 100 % of the area), resized to the full size."
    )


class WeightedFolder(Section):
    """A folder of images of one class."""

    path: str = key(..., "Folder; deeper folders belong to it.")
    weight: Annotated[float, Field(gt=0)] = key(1.0, "Share of the class's draws, beside its other folders.")


_MEANING = {
    "source": (
        "Folder that holds one folder of images per class, or a manifest: a CSV, JSON or YAML list with `path`, "
        "`class`, and if need be `split`, `group`, `mask`."
    ),
    "sources": "Instead of `source`: `{class: [{path: folder, weight: 1}]}`, several folders per class.",
    "img_size": "Side, in pixels, of the squares that the networks are trained on: a power of two from 32.",
    "preprocess": (
        "How images come to their size: `resize` (to a square), `scale_width` or `scale_shortside` (to `load_size`), "
        "then, joined with `_and_`, `crop` or `center_crop` (squares of `img_size`); one of the two; or `none`. Crops "
        "are drawn at random in training, and taken from the middle elsewhere. Left out for validation and test: as "
        "for training."
    ),
    "load_size": (
        "Side, in pixels, to which `preprocess` scales. Left out: `img_size` (but `resize_and_crop` needs it); for "
        "validation and test that of the training, where they are scaled in the same way."
    ),
    "batch_size": "Images per training step.",
    "num_workers": "Threads that decode images.",
    "grayscale": "One channel. Enough by itself; `rgb` need not be switched off. Neither given: three channels.",
    "rgb": "Three channels.",
    "scale": "Pixels in [0, 1] become `scale * pixel + shift` for the networks; by default [-1, 1].",
    "shift": "See `scale`.",
    "mean": "QuAC's older spelling of scale and shift: `(pixel - mean) / std`.",
    "std": "See `mean`.",
    "reference": (
        "Reference images: the name of a split (`train`, `validation`, `test`), or its `source`; left out, the "
        "training split's, which is also the only choice while training."
    ),
    "rand_crop_prob": "QuAC's spelling of `augment.crop_probability`, which is for training alone.",
}


def data_key(name, default=None):
    return key(default, _MEANING[name])


class Split(Section):
    """Where a split's images are, and how they are shown to the networks; what is left out is taken from `data`."""

    source: str | None = data_key("source")
    sources: dict[str, Annotated[list[WeightedFolder], Field(min_length=1)]] | None = data_key("sources")
    img_size: int | None = data_key("img_size")
    preprocess: Literal[MODES] | None = data_key("preprocess")
    load_size: Positive | None = data_key("load_size")
    batch_size: Positive | None = data_key("batch_size")
    num_workers: Positive | None = data_key("num_workers")
    grayscale: bool | None = data_key("grayscale")
    rgb: bool | None = data_key("rgb")
    scale: float | None = data_key("scale")
    shift: float | None = data_key("shift")
    mean: float | None = data_key("mean")
    std: Annotated[float, Field(gt=0)] | None = data_key("std")
    reference: str | None = data_key("reference")
    rand_crop_prob: Probability | None = data_key("rand_crop_prob")

    @property
    def origin(self):
        """What `quac.data.sources.list_source` takes: a path, or {class: list of {path, weight}}."""
        if self.sources is None:
            return self.source
        return {name: [folder.model_dump() for folder in folders] for name, folders in self.sources.items()}


class Data(Split):
    """The training images, and how all images are read."""

    img_size: int = data_key("img_size", 128)
    preprocess: Literal[MODES] = data_key("preprocess", "resize")
    batch_size: Positive = data_key("batch_size", 8)
    num_workers: Positive = data_key("num_workers", 4)
    scale: float = data_key("scale", 2.0)
    shift: float = data_key("shift", -1.0)
    layout: Literal["split_first", "class_first"] = key(
        "split_first",
        "Of source folders. `split_first`: `<source>/<class>/`. `class_first`: `<source>/<class>/*` is for training, "
        "`<source>/<class>/test/` (or `validation/`, if there is one) for validation; the splits share one source.",
    )
    sampling: Literal["balanced", "natural"] | dict[str, Weight] = key(
        "balanced",
        "Training: `balanced` draws every class as often, `natural` by its number of images; or `{class: weight}`.",
    )
    range: tuple[float, float] | None = key(
        None,
        "Lowest and highest value of the whole data set, which become 0 and 1. Left out: the range of the file's "
        "8 or 16 bits. Files of other depths need it.",
    )
    background: tuple[Byte, Byte, Byte] = key(
        (255, 255, 255), "Red, green and blue (0 to 255) behind transparent pixels."
    )
    page: Annotated[int, Field(ge=0)] | None = key(
        None, "Which page of a file that has several, from 0. Left out: such a file is an error."
    )
    max_pixels: Positive = key(2**27, "Largest number of pixels of an image.")
    device_cache: Literal["auto", "always", "never"] = key(
        "auto", "Whether the training images live on the device; `auto`: on a GPU, where they fit."
    )
    classes: list[str] | None = key(None, "Class folders to use, in this order. Left out: all, sorted by name.")
    augment: Augment = Augment()


class Checks(Section):
    """The checks of the data; `docs/your-own-data.md` lists the codes of their findings."""

    severity: dict[str, Literal["error", "warning", "ignore"]] = key(
        {}, "`{code: error|warning|ignore}` of a finding, where it is to be another than usual."
    )
    near_duplicate_distance: Annotated[int, Field(ge=0, le=10)] = key(
        4, "Bits of 64 in which the perceptual hashes of two images differ at most, for near duplicates."
    )


class SplitMaker(Section):
    """Splits made of one source; instead of a `source` for each. Writes lists, copies nothing."""

    source: str = key(..., "Folder of class folders, or a manifest, of all images.")
    train: Probability = key(0.7, "Share of the training split.")
    validation: Probability = key(0.15, "Share of the validation split.")
    test: Probability = key(0.15, "Share of the test split; 0: none.")
    seed: Annotated[int, Field(ge=0)] = key(0, "Another seed gives another split.")
    group_by: str | None = key(
        None,
        "Regular expression; images whose paths match it alike (the first group, or all) are of one group (patient, "
        "slide, plate, film), which stays in one split.",
    )
    group_column: str | None = key(None, "Or the column of the manifest that names the group.")
