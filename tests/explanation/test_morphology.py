"""Closing and blur are those of OpenCV."""

import cv2
import numpy as np
import pytest
import torch

from quac.explanation.morphology import blur, closing, ellipse, kernel_sides

SIDES = [1, 2, 3, 5, 8, 10, 11]


def image(shape=(37, 29)):
    return np.random.default_rng(0).random(shape, np.float32)


@pytest.mark.parametrize("side", SIDES)
def test_the_ellipse(side):
    np.testing.assert_array_equal(ellipse(side), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))


@pytest.mark.parametrize("side", SIDES)
def test_the_closing(side):
    element, anchor = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), side // 2
    largest = cv2.dilate(image(), element, anchor=(anchor, anchor), borderType=cv2.BORDER_CONSTANT)
    other = side - 1 - anchor
    expected = cv2.erode(largest, np.ascontiguousarray(element[::-1, ::-1]), anchor=(other, other))
    ours = closing(torch.from_numpy(image())[None, None], side)[0, 0].numpy()
    np.testing.assert_array_equal(ours, expected)
    if side % 2:
        np.testing.assert_array_equal(ours, cv2.morphologyEx(image(), cv2.MORPH_CLOSE, element))


@pytest.mark.parametrize("side", SIDES)
def test_a_closing_adds_and_does_not_move(side):
    values = torch.from_numpy(image())[None, None]
    closed = closing(values, side)
    assert (closed >= values).all()
    assert torch.equal(closing(closed, side), closed)
    for level in (0.2, 0.7):
        assert torch.equal(closed > level, closing((values > level).float(), side) > 0.5)


def test_a_hand_counted_closing():
    values = torch.tensor([[1.0, 0, 1], [0, 1, 0], [0, 0, 0]])[None, None]
    # The ellipse of side 3 is a cross. Dilated, the rows are 1 1 1, 1 1 1 and 0 1 0; eroded, only the gap is closed.
    assert closing(values, 3)[0, 0].tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("side", [3, 5, 11])
def test_the_blur(side):
    sigma = 0 if side > 7 else 0.3 * ((side - 1) * 0.5 - 1) + 0.8  # OpenCV has tables of its own for small kernels
    expected = cv2.GaussianBlur(image(), (side, side), sigma)
    ours = blur(torch.from_numpy(image())[None, None], side)[0, 0].numpy()
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_kernels_of_small_images_are_in_proportion():
    assert kernel_sides((1, 3, 128, 200)) == kernel_sides((512, 512)) == (10, 11)
    assert kernel_sides((64, 64)) == (5, 5)
    assert kernel_sides((32, 32)) == (2, 3)
