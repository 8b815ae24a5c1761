"""Every measured feature, against images counted by hand or a closed form."""

import numpy as np
import pytest
from helpers.builders import ROOT
from skimage.feature import graycomatrix, graycoprops

from quac.explanation.features import FEATURES, LEVELS, OCTAVES, measure

OF_OBJECTS = {"area", "objects", "holes", "perimeter", "eccentricity", "elongation along rows"}
OF_OBJECTS |= {"elongation along diagonal"}
OF_SYMMETRY = {"symmetry, left to right", "symmetry, top to bottom"}
OF_COLOUR = {f"{what} of {channel}" for what in ("mean", "spread") for channel in ("red", "green", "blue")}


def grey(rows):
    """An image from lines of text: `#` is 200, anything else 40."""
    pixels = np.array([[200 if letter == "#" else 40 for letter in row] for row in rows], np.uint8)
    return pixels[:, :, None]


def on_black(inside):
    return np.where(inside, 255, 0).astype(np.uint8)[:, :, None]


def undefined(features):
    return {name for name, value in features.items() if np.isnan(value)}


TWO_BY_TWO = [
    "......",
    ".##...",
    ".##...",
    "......",
]
RING = [
    ".......",
    ".#####.",
    ".#...#.",
    ".#...#.",
    ".#####.",
    ".......",
]
# Three parts of one object meet at corners, and have two holes; the other object has an open bay.
CORNERS = [
    "........",
    ".###....",
    ".#.#....",
    ".###....",
    "....###.",
    "....#.#.",
    "....###.",
    "#......#",
    "#.#....#",
    "###.....",
]


@pytest.mark.parametrize(
    ("rows", "area", "objects", "holes"),
    [(TWO_BY_TWO, 4 / 24, 1, 0), (RING, 14 / 42, 1, 1), (CORNERS, (8 + 8 + 6 + 2) / 80, 2, 2)],
)
def test_objects_counted_by_hand(rows, area, objects, holes):
    features = measure(grey(rows))
    assert features["area"] == pytest.approx(area)
    assert (features["objects"], features["holes"]) == (objects, holes)


def test_a_hole_at_the_border_is_none():
    assert measure(grey(["####", "#..#", "#..#"]))["holes"] == 0
    assert measure(grey(["####", "#..#", "####"]))["holes"] == 1


def test_the_perimeter_of_squares():
    """The border pixels of a square of n are 4 (n - 1) steps apart; at the border of the image, too."""
    image = np.zeros((20, 20), bool)
    image[3:13, 4:14] = True
    assert measure(on_black(image))["perimeter"] == 36
    image[3:13, 4:14], image[:10, 10:] = False, True
    assert measure(on_black(image))["perimeter"] == 36
    image[15:18, 1:4] = True
    assert measure(on_black(image))["perimeter"] == 36 + 8


@pytest.mark.parametrize(("height", "width"), [(3, 9), (9, 3), (5, 5), (1, 7), (1, 1)])
def test_the_shape_of_bars(height, width):
    image = np.zeros((20, 20), bool)
    image[4 : 4 + height, 6 : 6 + width] = True
    features = measure(on_black(image))
    shorter, longer = sorted((height, width))
    assert features["eccentricity"] == pytest.approx(np.sqrt(1 - (shorter / longer) ** 2))
    assert features["elongation along rows"] == pytest.approx((width**2 - height**2) / (width**2 + height**2))
    assert features["elongation along diagonal"] == pytest.approx(0)


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 120, 160])
def test_the_orientation_of_an_ellipse(degrees):
    y, x = np.mgrid[:128, :128] - 63.5
    angle = np.radians(degrees)  # clockwise, since rows go down
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    features = measure(on_black((along / 40) ** 2 + (across / 16) ** 2 <= 1))
    rows, diagonal = features["elongation along rows"], features["elongation along diagonal"]
    assert np.degrees(np.arctan2(diagonal, rows) / 2) % 180 == pytest.approx(degrees, abs=0.5)
    assert np.hypot(rows, diagonal) == pytest.approx((40**2 - 16**2) / (40**2 + 16**2), abs=0.01)
    assert features["eccentricity"] == pytest.approx(np.sqrt(1 - (16 / 40) ** 2), abs=0.005)


def test_specks_are_noise():
    """Of 64 x 64 pixels, parts of up to 4 are."""
    image = np.zeros((64, 64), bool)
    image[10:30, 10:30] = True
    clean = measure(on_black(image))
    for rows, columns in ((2, slice(2, 6)), (50, slice(60, 64))):
        image[rows, columns] = True
    image[20, 12:16], image[15, 20] = False, False
    assert measure(on_black(image))["objects"] == 1
    specks = measure(on_black(image))
    assert {name: specks[name] for name in OF_OBJECTS} == {name: clean[name] for name in OF_OBJECTS}
    image[2, 6], image[20, 16] = True, False
    assert [measure(on_black(image))[name] for name in ("objects", "holes")] == [2, 1]


def test_an_image_of_specks_alone_has_no_objects():
    image = np.zeros((64, 64), bool)
    image[::8, ::8] = True
    features = measure(on_black(image))
    assert [features[name] for name in ("area", "objects", "holes", "perimeter")] == [0, 0, 0, 0]
    assert undefined(features) - OF_COLOUR == {name for name in OF_OBJECTS if name.startswith(("ecc", "elon"))}


def test_the_largest_object_has_the_shape():
    image = np.zeros((20, 20), bool)
    image[2:4, 2:14], image[10:18, 10:12] = True, True  # 24 pixels lying, 16 standing
    assert measure(on_black(image))["elongation along rows"] > 0.9


def test_intensities_by_hand():
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, :, 0], image[:, 0, 1], image[:, :, 2] = 255, 51, 102
    features = measure(image)
    assert [features[f"mean of {name}"] for name in ("red", "green", "blue")] == pytest.approx([0.5, 0.1, 0.4])
    assert [features[f"spread of {name}"] for name in ("red", "green", "blue")] == pytest.approx([0.5, 0.1, 0])
    assert features["mean intensity"] == pytest.approx(0.299 * 0.5 + 0.587 * 0.1 + 0.114 * 0.4, abs=2e-3)
    features = measure(np.array([[0, 255], [255, 255]], np.uint8)[:, :, None])
    assert (features["mean intensity"], features["spread of intensity"]) == pytest.approx((0.75, np.sqrt(3) / 4))


def test_the_texture_of_a_small_image_by_hand():
    """Levels 0, 1 / 2, 0: squares of 1 and 4 along the rows, 4 and 1 down, 0 and 1 along the diagonals."""
    features = measure(np.array([[0, 8], [16, 7]], np.uint8)[:, :, None])
    assert features["texture contrast"] == pytest.approx((2.5 + 2.5 + 0 + 1) / 4)
    assert features["texture homogeneity"] == pytest.approx((0.35 + 0.35 + 1 + 0.5) / 4)


def test_the_texture_is_that_of_the_matrices_of_cooccurrence():
    image = np.random.default_rng(0).integers(0, 256, (13, 17), np.uint8)
    levels = (image / 255 * LEVELS).astype(int).clip(max=LEVELS - 1)
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    matrix = graycomatrix(levels.astype(np.uint8), [1], angles, LEVELS, symmetric=True, normed=True)
    features = measure(image[:, :, None])
    for name in ("contrast", "homogeneity"):
        assert features[f"texture {name}"] == pytest.approx(graycoprops(matrix, name).mean())


@pytest.mark.parametrize("k", [2, 5, 16, 40])
def test_the_gradient_energy_of_a_wave(k):
    """A Gaussian damps a cosine that fits the image by exp(-(frequency sigma)^2 / 2)."""
    size = 128
    frequency = np.pi * k / size
    wave = 0.5 + 0.4 * np.cos(frequency * (np.arange(size) + 0.5))
    image = np.round(np.tile(wave, (size, 1)) * 65535).astype(np.uint16)[:, :, None]
    features = measure(image)
    damped = [np.exp(-((frequency * sigma) ** 2) / 2) for sigma in (0, *OCTAVES)]
    inner = np.gradient(wave - 0.5)  # of the wave itself, which each octave has a share of
    for finer, coarser, sigma, before in zip(damped, damped[1:], OCTAVES, (0, *OCTAVES), strict=False):
        expected = 100 * (finer - coarser) * np.sqrt((inner**2).mean())
        assert features[f"gradient, {before} to {sigma} px"] == pytest.approx(expected, abs=2e-3)


def test_a_fine_pattern_is_in_the_finest_octave_and_a_coarse_one_in_a_coarse_one():
    x = np.arange(64)
    for period, octave in ((4, "0 to 1"), (32, "4 to 8")):
        image = np.tile(128 + 100 * np.cos(2 * np.pi * x / period), (64, 1)).astype(np.uint8)[:, :, None]
        features = measure(image)
        gradients = {name: value for name, value in features.items() if name.startswith("gradient")}
        assert max(gradients, key=gradients.get) == f"gradient, {octave} px"


def test_symmetry_by_hand():
    features = measure(grey(["#..#", ".##.", "...."]))
    assert features["symmetry, left to right"] == pytest.approx(1)
    assert -1 < features["symmetry, top to bottom"] < 1
    features = measure(grey(["##", ".."]))
    assert (features["symmetry, left to right"], features["symmetry, top to bottom"]) == pytest.approx((1, -1))


@pytest.mark.parametrize("level", [0, 7, 255])
def test_a_blank_image_has_no_objects_and_no_symmetry(level):
    features = measure(np.full((16, 16, 1), level, np.uint8))
    assert undefined(features) == OF_OBJECTS | OF_SYMMETRY | OF_COLOUR
    assert features["mean intensity"] == pytest.approx(level / 255)
    assert features["texture contrast"] == features["gradient, 0 to 1 px"] == 0
    assert features["texture homogeneity"] == 1
    assert undefined(measure(np.full((16, 16, 3), level, np.uint8))) == OF_OBJECTS | OF_SYMMETRY


def test_the_depth_changes_nothing_and_equal_channels_are_grey():
    image = np.random.default_rng(0).integers(0, 256, (24, 31, 1), np.uint8)
    image[5:12, 8:20] //= 3
    features = measure(image)
    assert list(features) == list(FEATURES)
    assert undefined(features) == OF_COLOUR
    assert measure(image.astype(np.uint16) * 257) == pytest.approx(features, nan_ok=True)
    colour = measure(image.repeat(3, 2))
    assert undefined(colour) == set()
    assert {name: colour[name] for name in set(FEATURES) - OF_COLOUR} == {
        name: features[name] for name in set(FEATURES) - OF_COLOUR
    }
    assert colour["mean of red"] == features["mean intensity"]


def test_the_reference_defines_every_feature():
    page = (ROOT / "docs/reference/features.md").read_text().split("<!-- features -->")[1]
    rows = [tuple(cell.strip() for cell in line.strip("| ").split(" | ")) for line in page.strip().splitlines()[2:]]
    assert rows == [(name, feature.unit or "", feature.definition) for name, feature in FEATURES.items()]
