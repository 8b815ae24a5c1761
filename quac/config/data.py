"""The sections of the data: where the images are, how they are read, checked and split."""

from typing import Annotated, Literal

from pydantic import Field

from quac.config.choices import PreprocessMode
from quac.config.section import Byte, Positive, Probability, Section, Weight, key


class Augment(Section):
    """Random changes of training images, drawn for each image and step."""

    hflip: Probability = key(0.0, "Probability of a flip from left to right.")
    vflip: Probability = key(0.0, "Probability of a flip from top to bottom.")
    rot90: Probability = key(0.0, "Probability of a rotation by 90, 180 or 270 degrees.")
    crop_probability: Probability = key(
        0.0,
        "Probability of a crop (80 to 100 % of the area), taken from the larger image and resized to the full size.",
    )


class WeightedFolder(Section):
    """A folder of images of one class."""

    path: str = key(..., "Folder, with all folders in it.")
    weight: Annotated[float, Field(gt=0)] = key(
        1.0, "Relative number of draws from this folder among those of the class."
    )


_MEANING = {
    "source": (
        "Folder with one folder of images per class, or a manifest: a CSV, TSV, JSON, JSONL or YAML list with `path`, "
        "`class`, and optionally `split`, `group`, `mask`."
    ),
    "sources": "Instead of `source`: several folders per class, `{class: [{path: folder, weight: 1}]}`.",
    "img_size": "Side, in pixels, of the squares that the networks are trained on: a power of two, at least 32.",
    "preprocess": (
        "How images get their size: `resize` (to a square), `scale_width` or `scale_shortside` (to `load_size`), "
        "then, joined with `_and_`, `crop` or `center_crop` (squares of `img_size`); one of the two; or `none`. Crops "
        "are random in training, and from the centre elsewhere. Default for validation and test: as for training."
    ),
    "load_size": (
        "Side, in pixels, to which `preprocess` scales. Default: `img_size` (but `resize_and_crop` needs it); for "
        "validation and test that of the training, if they are scaled in the same way."
    ),
    "batch_size": "Images per training step.",
    "num_workers": "Processes that decode images; 0: decode in the stage's own process.",
    "grayscale": "One channel. `rgb` need not be switched off. Default without either: three channels.",
    "rgb": "Three channels.",
    "scale": "Pixels in [0, 1] become `scale * pixel + shift` for the networks; by default [-1, 1].",
    "shift": "See `scale`.",
    "mean": "QuAC's older spelling of scale and shift: `(pixel - mean) / std`.",
    "std": "See `mean`.",
    "reference": (
        "Reference images: the name of a split (`train`, `validation`, `test`), or its `source`. Default: the training "
        "split, which is the only choice in training."
    ),
    "rand_crop_prob": "QuAC's spelling of `augment.crop_probability`; for training only.",
}


def data_key(name, default=None):
    return key(default, _MEANING[name])


class Split(Section):
    """Where a split's images are, and how the networks get them. Defaults are taken from `data`."""

    source: str | None = data_key("source")
    sources: dict[str, Annotated[list[WeightedFolder], Field(min_length=1)]] | None = data_key("sources")
    img_size: int | None = data_key("img_size")
    preprocess: PreprocessMode | None = data_key("preprocess")
    load_size: Positive | None = data_key("load_size")
    batch_size: Positive | None = data_key("batch_size")
    num_workers: Annotated[int, Field(ge=0)] | None = data_key("num_workers")
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
    preprocess: PreprocessMode = data_key("preprocess", "resize")
    batch_size: Positive = data_key("batch_size", 8)
    num_workers: Annotated[int, Field(ge=0)] = data_key("num_workers", 4)
    scale: float = data_key("scale", 2.0)
    shift: float = data_key("shift", -1.0)
    layout: Literal["split_first", "class_first"] = key(
        "split_first",
        "Of source folders. `split_first`: `<source>/<class>/`. `class_first`: `<source>/<class>/*` is for training, "
        "`<source>/<class>/test/` (or `validation/`, if there is one) for validation; the splits share one source.",
    )
    sampling: Literal["balanced", "natural"] | dict[str, Weight] = key(
        "balanced",
        "Training: `balanced` draws all classes equally often, `natural` by their size; or `{class: weight}`.",
    )
    range: tuple[float, float] | None = key(
        None,
        "Lowest and highest value of the whole data set, which become 0 and 1. Default: the range of the file's 8 or "
        "16 bits. Files of other depths need it.",
    )
    background: tuple[Byte, Byte, Byte] = key(
        (255, 255, 255), "Red, green and blue (0 to 255) behind transparent pixels."
    )
    page: Annotated[int, Field(ge=0)] | None = key(
        None, "Which page of a file with several, from 0. Default: such a file is an error."
    )
    max_pixels: Positive = key(2**27, "Largest number of pixels of an image.")
    device_cache: Literal["auto", "always", "never"] = key(
        "auto",
        "Keep the training images on the device. `auto`: on a GPU, if they fit. Never with random crops (`augment`).",
    )
    classes: list[str] | None = key(None, "Class folders to use, in this order. Default: all, sorted by name.")
    augment: Augment = Augment()


class Checks(Section):
    """The checks of the data; `docs/reference/findings.md` lists the codes of their findings."""

    severity: dict[str, Literal["error", "warning", "ignore"]] = key(
        {}, "`{code: error|warning|ignore}`: severities of findings that differ from the defaults."
    )
    near_duplicate_distance: Annotated[int, Field(ge=0, le=10)] = key(
        4, "Near duplicates: perceptual hashes that differ in at most this many of 64 bits."
    )


class SplitMaker(Section):
    """Splits made from one source, instead of a `source` for each. Writes lists, copies nothing."""

    source: str = key(..., "Folder of class folders, or a manifest, of all images.")
    train: Probability = key(0.7, "Share of the training split.")
    validation: Probability = key(0.15, "Share of the validation split.")
    test: Probability = key(0.15, "Share of the test split; 0: none.")
    seed: Annotated[int, Field(ge=0)] = key(0, "Another seed gives another split.")
    group_by: str | None = key(
        None,
        "Regular expression: images whose paths give the same match (the first group, or all) are one group (patient, "
        "slide, plate, film), which stays in one split.",
    )
    group_column: str | None = key(None, "Or the column of the manifest that names the group.")
