"""Shapes cover the pixels that plain loops find, also at the edges of the image."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from model_store.labelled.shapes import Ellipse, EncodedMask, Polygon, RunLengths, box, placed, rotated, window
from tests.model_store.labelled.naive import inside
from tests.model_store.labelled.naive_shapes import at, elliptic, runs_of, turned_box

SIZE = (19, 23)


def whole(shape, size=SIZE):
    """The pixels of a shape in the whole image."""
    mask, (top, left) = shape.draw(size)
    full = np.zeros(size, dtype=bool)
    part = full[top : top + mask.shape[0], left : left + mask.shape[1]]
    assert part.shape == mask.shape, "the patch leaves the image"
    part[:] = mask
    return full


def png(values):
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


def test_polygons_with_holes_and_islands():
    rings = [
        [(2.0, 1.0), (20.3, 2.2), (18.0, 17.9), (3.1, 16.0)],
        [(6.0, 5.0), (15.5, 5.0), (12.0, 13.0)],
        [(9.0, 6.5), (12.0, 6.5), (11.0, 9.0)],
    ]

    assert (whole(Polygon(tuple(map(np.array, rings)))) == inside(rings, SIZE)).all()


@pytest.mark.parametrize("seed", range(20))
def test_polygons_across_the_edges_of_the_image(seed):
    ring = np.random.default_rng(seed).uniform(-12, 35, (7, 2))

    assert (whole(Polygon((ring,))) == inside([ring.tolist()], SIZE)).all()


def test_a_polygon_outside_covers_nothing():
    assert whole(Polygon((box(30, 2, 40, 9),))).sum() == 0
    assert whole(Polygon((box(-1e300, -1e300, -1.0, -1.0),))).sum() == 0
    assert whole(Polygon((box(-1e9, -1e9, 1e9, 1e9),))).all()


@pytest.mark.parametrize("degrees", [0, 30, 90, 135, -20, 400])
@pytest.mark.parametrize("centre", [(11.2, 9.1), (1.0, 18.0), (60.0, 5.0)])
def test_rotated_ellipses(degrees, centre):
    for radii in ((8.3, 3.1), (2.6, 7.7), (4.0, 4.0)):
        expected = elliptic(centre, radii, degrees, SIZE)
        assert (whole(Ellipse(centre, radii, degrees)) == expected).all()


def test_rectangles_turn_clockwise_on_the_screen():
    turned = rotated(box(2, 3, 10, 5), 90, (2, 3))

    assert turned == pytest.approx(np.array([(2, 3), (2, 11), (0, 11), (0, 3)]))
    assert rotated(box(2, 3, 9, 5), 33, (4, 4)) == pytest.approx(np.array(turned_box(2, 3, 9, 5, 33, (4, 4))))


@pytest.mark.parametrize("corner", [(3, 4), (-2, -3), (15, 20), (40, 2), (-9, 0)])
def test_run_lengths_row_by_row(corner):
    mask = np.random.default_rng(1).random((6, 7)) > 0.5
    shape = RunLengths(np.array(runs_of(mask)), corner, mask.shape)

    assert (whole(shape) == at(mask, corner[1], corner[0], SIZE)).all()


def test_run_lengths_may_begin_with_covered_pixels():
    assert (
        whole(RunLengths(np.array([0, 2, 2]), (0, 0), (2, 2))).tolist()
        == at(np.array([[True, True], [False, False]]), 0, 0, SIZE).tolist()
    )


@pytest.mark.parametrize("kind", ["bits", "zeros and ones", "black and white", "palette", "alpha", "colours"])
def test_encoded_masks(kind):
    mask = np.random.default_rng(2).random((5, 6)) > 0.4
    level = mask.astype(np.uint8)
    if kind == "bits":
        content = png(mask)
    elif kind == "zeros and ones":
        content = png(level)
    elif kind == "black and white":
        content = png(level * np.uint8(255))
    elif kind == "palette":
        image = Image.fromarray(level)
        image.putpalette([0, 0, 0, 255, 255, 255])
        stream = io.BytesIO()
        image.save(stream, "PNG", transparency=0)
        content = stream.getvalue()
    elif kind == "alpha":  # black paint
        content = png(np.stack([0 * level, 0 * level, 0 * level, 255 * level], axis=2))
    else:
        content = png(np.stack([0 * level, 7 * level, 0 * level], axis=2))

    assert (whole(EncodedMask(content, (-1, 20))) == at(mask, 20, -1, SIZE)).all()
    assert (whole(EncodedMask(content, (2, 3), (5, 6))) == at(mask, 3, 2, SIZE)).all()


def test_an_encoded_mask_of_another_size_than_its_place_is_refused():
    with pytest.raises(ValueError, match="a mask of 6x5 pixels is to cover 6x4"):
        EncodedMask(png(np.ones((5, 6), dtype=np.uint8)), (0, 0), (4, 6)).draw(SIZE)
    with pytest.raises(ValueError, match="not an image of a supported format"):
        EncodedMask(b"no image", (0, 0)).draw(SIZE)


def test_windows_have_all_pixels_between_two_corners():
    assert window((2.5, 3.0), (4.1, 5.0), SIZE) == (3, 2, 2, 3)
    assert window((-5, -5), (math.inf, math.inf), SIZE) == (0, 0, *SIZE)
    assert window((30, 30), (40, 40), SIZE)[2:] == (0, 0)
    assert placed(np.ones((3, 3), dtype=bool), (0, 30), SIZE).mask.size == 0
