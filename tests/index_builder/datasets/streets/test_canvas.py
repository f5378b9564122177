"""The drawing tools: projection by hand, labels that match what is drawn, noise without seams."""

import numpy as np
import pytest

from index_builder.datasets.streets import Camera, Canvas, pick, quad, shade
from index_builder.datasets.streets.canvas import HEIGHT, SCALE, TILE, WIDTH, noise_patch, noise_tile, vary


@pytest.fixture
def camera() -> Camera:
    """A camera with round values: 1 m high, focal length 500, looking at the middle."""
    camera = Camera(np.random.default_rng(0))
    camera.focal, camera.height, camera.x, camera.horizon, camera.bend = 500.0, 1.0, 240.0, 180.0, 0.0
    return camera


def test_points_are_projected_by_similar_triangles(camera: Camera) -> None:
    assert camera.point(0, 1, 10) == (480, 360), "at the height of the camera: on the horizon"
    assert camera.point(2, 0, 10) == (SCALE * (240 + 100), SCALE * (180 + 50))
    assert camera.point(2, 0, 20) == (SCALE * (240 + 50), SCALE * (180 + 25)), "half the size at twice the distance"
    assert camera.size(3, 10) == SCALE * 150


def test_a_bend_moves_points_sideways_by_the_square_of_the_distance(camera: Camera) -> None:
    straight = camera.point(0, 0, 30)
    camera.bend = 0.001
    bent = camera.point(0, 0, 30)
    assert bent[0] - straight[0] == pytest.approx(SCALE * 500 * 0.001 * 30**2 / 30)
    assert bent[1] == straight[1]


def test_far_points_stay_in_the_range_of_the_drawing_library(camera: Camera) -> None:
    x, y = camera.point(1000, 0, 0.01)
    assert (x, y) == (3000 * SCALE, 3000 * SCALE)


def test_the_corners_of_a_quad_go_round(camera: Camera) -> None:
    corners = quad(camera, (-1, 1), (0, 2), (5, 5))
    assert corners == [camera.point(X, Y, 5) for X, Y in ((-1, 0), (1, 0), (1, 2), (-1, 2))]


def test_labels_are_those_of_the_last_shape_and_colours_its_colour() -> None:
    canvas = Canvas(0)
    canvas.polygon([(0, 0), (200, 0), (200, 200), (0, 200)], (10, 20, 30), 3)
    canvas.ellipse((100, 100), 40, 40, (200, 0, 0), 8)
    canvas.line([(0, 150), (199, 150)], (0, 0, 255), 8, None)
    image, labels = canvas.finish()
    assert (image.shape, image.dtype, labels.shape, labels.dtype) == (
        (HEIGHT, WIDTH, 3),
        np.float32,
        (HEIGHT, WIDTH),
        np.uint8,
    )
    assert (labels[50, 50], tuple(image[50, 50])) == (8, (200, 0, 0))
    assert (labels[20, 20], tuple(image[20, 20])) == (3, (10, 20, 30))
    assert (labels[75, 10], tuple(image[75, 10])) == (3, (0, 0, 255)), "a line without a label changes only colours"
    assert labels[150, 150] == 0


def test_the_area_of_an_ellipse_is_that_of_the_formula() -> None:
    canvas = Canvas(0)
    canvas.ellipse((480, 360), 200, 100, (255, 255, 255), 7)
    labels = canvas.finish()[1]
    assert (labels == 7).sum() == pytest.approx(np.pi * 100 * 50, rel=0.02)


def test_a_ring_is_painted_hollow_and_labelled_whole() -> None:
    canvas = Canvas(0)
    canvas.ring((480, 360), 100, 100, (90, 90, 90), 10, 10)
    image, labels = canvas.finish()
    assert image[180, 240, 0] == 0
    assert image[180, 240 + 48, 0] == 90
    assert labels[180, 240] == labels[180, 240 + 48] == 10
    assert labels[180, 240 + 60] == 0


def test_a_marked_polygon_is_labelled_and_not_painted() -> None:
    canvas = Canvas(0)
    canvas.mark([(100, 100), (300, 100), (300, 300), (100, 300)], 7)
    image, labels = canvas.finish()
    assert labels[100, 100] == 7
    assert not image.any()


def test_a_stamp_changes_only_its_mask() -> None:
    canvas, mask = Canvas(0), np.zeros((40, 40), dtype=bool)
    mask[:20] = True
    canvas.stamp(100, 100, mask, np.full((40, 40, 3), 77, np.uint8), 5)
    image, labels = canvas.finish()
    assert (labels == 5).sum() == 20 * 40 / SCALE**2
    assert (image[labels == 5] == 77).all()


@pytest.mark.parametrize("smoothness", [0.0, 3.0])
def test_a_noise_tile_is_normalised_and_periodic(smoothness: float) -> None:
    tile = noise_tile(smoothness, 1)
    core = tile[:TILE, :TILE]
    assert (float(core.mean()), float(core.std())) == (pytest.approx(0, abs=1e-4), pytest.approx(1, abs=1e-3))
    np.testing.assert_array_equal(tile[TILE:], tile[: HEIGHT * SCALE])
    np.testing.assert_array_equal(tile[:, TILE:], tile[:, : WIDTH * SCALE])


def test_smooth_noise_differs_less_from_pixel_to_pixel() -> None:
    rough, smooth = (np.abs(np.diff(noise_tile(s, 0)[:200, :200])).mean() for s in (0.0, 3.0))
    assert smooth < rough / 3


def test_a_patch_has_the_requested_size_and_is_repeatable() -> None:
    first, second = (noise_patch(np.random.default_rng(3), 1.2, 30, 50) for _ in range(2))
    assert first.shape == (30, 50)
    np.testing.assert_array_equal(first, second)


def test_colours_stay_in_range_and_shading_scales_them() -> None:
    assert shade((100, 200, 10), 0.5) == (50, 100, 5)
    assert shade((100, 200, 10), 2) == (200, 255, 20)
    random = np.random.default_rng(0)
    varied = np.array([vary(random, (128, 128, 128)) for _ in range(2000)])
    assert varied.min() >= 0
    assert varied.max() <= 255
    assert np.abs(varied.mean(axis=0) - 128).max() < 2
    assert {pick(random, ((10, 10, 10), (200, 200, 200)), 0) for _ in range(50)} == {(10, 10, 10), (200, 200, 200)}
