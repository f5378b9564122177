"""Painted streets: repeatable by seed, drawn from far to near, and each object labelled as its class."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from index_builder.datasets import IGNORE
from index_builder.datasets.streets import (
    FIRST_SEEDS,
    Camera,
    Canvas,
    Layout,
    StreetObject,
    Streets,
    paint_street,
    quad,
)
from index_builder.datasets.streets import classes as ids
from index_builder.datasets.streets.people import person
from index_builder.datasets.streets.photo_effects import apply_photo_effects
from index_builder.datasets.streets.riders import cyclist, motorcycle, parked_bicycles
from index_builder.datasets.streets.scene import layout
from index_builder.datasets.streets.street_furniture import bollard, fence, lamp_post, road_sign, traffic_light
from index_builder.datasets.streets.trees import tree
from index_builder.datasets.streets.vehicles import vehicle
from model_store.labelled.camvid import CLASSES

NEW = 100


def wall(distance: float, label: int) -> Callable[[Canvas, Camera, Layout], list[StreetObject]]:
    """A place_more that puts one wide wall across the street."""

    def place(canvas: Canvas, camera: Camera, street: Layout) -> list[StreetObject]:
        corners = quad(camera, (-60, 60), (0, 60), (distance, distance))
        return [StreetObject(distance, lambda: canvas.polygon(corners, (1, 2, 3), label))]

    return place


def test_class_ids_are_those_of_camvid() -> None:
    names = {info.name: info.class_id for info in CLASSES}
    assert {name: getattr(ids, name.upper()) for name in names} == names


def test_a_seed_always_gives_the_same_street() -> None:
    first, second = paint_street(17), paint_street(17)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert (paint_street(18)[1] != first[1]).any()


def test_a_near_wall_hides_all_objects_and_a_far_one_is_hidden_by_them() -> None:
    objects = {ids.CAR, ids.PEDESTRIAN, ids.BICYCLIST, ids.POLE, ids.SIGN}
    plain = paint_street(3)[1]
    near, far = paint_street(3, wall(2.0, NEW))[1], paint_street(3, wall(150.0, NEW))[1]
    standing = np.isin(plain, list(objects))
    assert standing.any()
    above = np.zeros_like(standing)
    above[: int(0.6 * len(plain))] = True  # the foot of the near wall is below the lower edge of far objects
    assert not np.isin(near[standing & above], list(objects)).any()
    assert (far[standing] == plain[standing]).all(), "nearer objects hide the far wall"
    assert (far == NEW).any()


def test_further_objects_do_not_change_the_others() -> None:
    plain = paint_street(5)[1]
    other = paint_street(5, wall(150.0, NEW))[1]
    same = other != NEW
    np.testing.assert_array_equal(other[same], plain[same])


@pytest.mark.parametrize(
    ("draw", "arguments", "label"),
    [
        (vehicle, (0.0, 10.0), ids.CAR),
        (vehicle, (2.0, 10.0, True), ids.CAR),
        (person, (0.0, 8.0), ids.PEDESTRIAN),
        (cyclist, (0.0, 8.0), ids.BICYCLIST),
        (motorcycle, (0.0, 8.0), ids.BICYCLIST),
        (parked_bicycles, (0.0, 8.0), IGNORE),
        (lamp_post, (1.0, 10.0), ids.POLE),
        (bollard, (1.0, 5.0), ids.POLE),
        (fence, (3.0, (5.0, 15.0)), ids.FENCE),
        (tree, (1.0, 12.0, False), ids.TREE),
        (tree, (1.0, 12.0, True), ids.TREE),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_an_object_is_labelled_as_its_class_and_as_no_other(
    draw: Callable[..., None], arguments: tuple[object, ...], label: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    canvas = Canvas(50)
    draw(canvas, Camera(random), random, *arguments)
    assert set(np.unique(canvas.finish()[1])) == {50, label}


@pytest.mark.parametrize("draw", [traffic_light, road_sign])
def test_signs_stand_on_poles(draw: Callable[..., None]) -> None:
    random = np.random.default_rng(0)
    canvas = Canvas(50)
    draw(canvas, Camera(random), random, 0.0, 6.0)
    assert set(np.unique(canvas.finish()[1])) == {50, ids.POLE, ids.SIGN}


def test_nearer_objects_are_larger() -> None:
    def area(distance: float) -> int:
        random = np.random.default_rng(4)
        canvas = Canvas(50)
        person(canvas, Camera(random), random, 0.0, distance)
        return int((canvas.finish()[1] == ids.PEDESTRIAN).sum())

    assert area(6) > 2 * area(12) > 4 * area(30) > 0


@pytest.mark.parametrize("seed", range(20))
def test_the_ground_plan_is_in_order_from_left_to_right(seed: int) -> None:
    street = layout(np.random.default_rng(seed))
    edges = [
        street.facade[0],
        street.pavement[0],
        street.road[0],
        0,
        street.road[1],
        street.pavement[1],
        street.facade[1],
    ]
    assert edges == sorted(edges)


def test_photo_effects_are_repeatable_and_keep_the_size() -> None:
    labels = np.random.default_rng(1).integers(0, 11, (360, 480)).astype(np.uint8)
    flat = np.full((360, 480, 3), 120, dtype=np.float32)

    def photographed() -> np.ndarray:
        random = np.random.default_rng(9)
        return apply_photo_effects(flat.copy(), labels, Camera(random), random)

    first, second = photographed(), photographed()
    assert (first.shape, first.dtype) == ((360, 480, 3), np.uint8)
    np.testing.assert_array_equal(first, second)
    assert first.std() > 1, "the flat colour has got texture"


def test_the_seeds_of_the_splits_do_not_overlap() -> None:
    seeds = sorted(FIRST_SEEDS.values())
    assert all(b - a >= 10_000_000 for a, b in pairwise(seeds))
    with pytest.raises(ValueError, match="choose a number of streets from 1 to 10,000,000"):
        Streets("train", 10_000_001)


def test_an_image_is_that_of_its_seed_and_its_position_is_checked() -> None:
    streets = Streets("val", 3)
    image, labels = paint_street(FIRST_SEEDS["val"] + 2)
    np.testing.assert_array_equal(streets[2].image, image)
    np.testing.assert_array_equal(streets[2].labels, labels)
    assert streets[2].source == streets.photograph(2).source == "streets/val/000002"
    with pytest.raises(IndexError, match=r"street 3 does not exist; the positions are 0\.\.2"):
        streets[3]
