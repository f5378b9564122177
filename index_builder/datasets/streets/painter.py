"""Paints one street from a seed: background, then objects from far to near, then the effects of a camera."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from index_builder.datasets.streets.buildings import buildings
from index_builder.datasets.streets.canvas import HEIGHT, SCALE, WIDTH, Camera, Canvas, Random, pick, vary
from index_builder.datasets.streets.people import person
from index_builder.datasets.streets.photo_effects import apply_photo_effects
from index_builder.datasets.streets.riders import cyclist, motorcycle, parked_bicycles
from index_builder.datasets.streets.scene import Layout, ground, layout, markings, sky, skyline
from index_builder.datasets.streets.street_furniture import bollard, fence, lamp_post, road_sign, traffic_light
from index_builder.datasets.streets.trees import tree
from index_builder.datasets.streets.vehicles import vehicle
from model_store.labelled import IGNORE


class StreetObject(NamedTuple):
    """An object of a street. distance: from the camera, in metres; draw: draws it."""

    distance: float
    draw: Callable[[], None]


PlaceMore = Callable[[Canvas, Camera, Layout], list[StreetObject]]


def paint_street(seed: int, place_more: PlaceMore | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Paint one street. A seed always gives the same street.

    Args:
        seed: seed of the street.
        place_more: returns further objects. Nearer objects hide farther ones, these included.

    Returns:
        [360, 480, 3] uint8 RGB image and [360, 480] uint8 labels, a class id or IGNORE.
    """
    random = np.random.default_rng([seed, 71])
    camera, canvas = Camera(random), Canvas(0)
    street = layout(random)
    sky(canvas, camera, random)
    skyline(canvas, camera, random)
    ground(canvas, camera, random, street)
    _green_sides(canvas, camera, random, street)
    buildings(canvas, camera, random, street)
    markings(canvas, camera, random, street)
    objects = _Placement(canvas, camera, random, street).place_all()
    objects += place_more(canvas, camera, street) if place_more else []
    for each in sorted(objects, key=lambda each: -each.distance):
        each.draw()
    if random.random() < 0.25:
        _bonnet(canvas, random)
    image, labels = canvas.finish()
    return apply_photo_effects(image, labels, camera, random), labels


def _green_sides(canvas: Canvas, camera: Camera, random: Random, street: Layout) -> None:
    """Draw rows of trees and bushes on the sides without buildings."""
    for side, is_open in enumerate(street.open_side):
        if not is_open:
            continue
        outwards, bare = (-1 if side == 0 else 1), random.random() < 0.45
        for z in sorted(random.uniform(8, 90, int(random.integers(5, 16))), reverse=True):
            X = street.pavement[side] + outwards * random.uniform(1, 20)
            tree(canvas, camera, random, X, float(z), bool(bare or random.random() < 0.2))


class _Side(NamedTuple):
    """One side of the road. number: 0 left, 1 right; edge, kerb: metres across; outwards: -1 or 1; walk: pavement's
    width in metres."""

    number: int
    edge: float
    kerb: float
    outwards: int
    walk: float


class _Placement:
    """Chooses the objects that stand on the ground of one street, and where."""

    def __init__(self, canvas: Canvas, camera: Camera, random: Random, street: Layout) -> None:
        self.canvas, self.camera, self.random, self.street = canvas, camera, random, street
        self.objects: list[StreetObject] = []

    def place_all(self) -> list[StreetObject]:
        """The objects of both sides, left first, and of the road."""
        left, right = self.street.road
        for number, edge, outwards in ((0, left, -1), (1, right, 1)):
            walk = abs(self.street.pavement[number] - edge)
            side = _Side(number, edge, edge + outwards * min(0.45, walk / 2 + 0.05), outwards, walk)
            self._poles(side)
            self._fence(side)
            self._trees(side)
            self._pedestrians(side)
            self._parked(side)
        self._traffic(left, right)
        return self.objects

    def _put(self, z: float, draw: Callable[..., None], *arguments: object) -> None:
        self.objects.append(StreetObject(z, partial(draw, self.canvas, self.camera, self.random, *arguments)))

    def _depth(self, near: float, far: float) -> float:
        """A distance in metres, uniform on a logarithmic scale."""
        return float(np.exp(self.random.uniform(np.log(near), np.log(far))))

    def _poles(self, side: _Side) -> None:
        random, kerb = self.random, side.kerb
        for _ in range(int(random.poisson(1.6))):
            self._put(z := self._depth(5, 55), lamp_post, kerb + random.normal(0, 0.1), z)
        for _ in range(int(random.poisson(0.9))):
            self._put(z := self._depth(5, 40), traffic_light, kerb, z)
        for _ in range(int(random.poisson(1.2))):
            self._put(z := self._depth(5, 35), road_sign, kerb + random.normal(0, 0.1), z)
        if random.random() < 0.3:
            start, step = self._depth(4, 15), random.uniform(1.2, 3)
            for i in range(int(random.integers(2, 9))):
                self._put(z := start + i * step, bollard, kerb, z)

    def _fence(self, side: _Side) -> None:
        random = self.random
        if random.random() < (0.3 if not self.street.open_side[side.number] else 0.5):
            z0 = self._depth(3, 25)
            at = self.street.pavement[side.number] if random.random() < 0.7 else side.kerb
            self._put(z0 + 2, fence, at, (z0, z0 + random.uniform(3, 22)))

    def _trees(self, side: _Side) -> None:
        random = self.random
        for _ in range(int(random.poisson(0.5))):
            z = self._depth(7, 60)
            x = side.edge + side.outwards * random.uniform(0.8, max(side.walk, 1.0) + 1)
            self._put(z, tree, x, z, bool(random.random() < 0.5))

    def _pedestrians(self, side: _Side) -> None:
        random = self.random
        for _ in range(int(random.poisson(2.2))):
            x = side.edge + side.outwards * random.uniform(0.4, max(side.walk, 0.6))
            self._put(z := self._depth(4.5, 45), person, x, z)
            if random.random() < 0.35:
                self._put(z + 0.4, person, x + random.uniform(0.4, 0.7), z + 0.4)

    def _parked(self, side: _Side) -> None:
        random = self.random
        if random.random() < 0.3:
            start = self._depth(4, 25)
            for i in range(int(random.integers(1, 7))):
                self._put(z := start + i * random.uniform(5, 6.5), vehicle, side.edge - side.outwards * 1.1, z)
        if random.random() < 0.12:
            self._put(z := self._depth(4, 15), parked_bicycles, side.edge + side.outwards * side.walk * 0.8, z)
        if random.random() < 0.08:
            for i in range(int(random.integers(1, 4))):
                x = side.edge + side.outwards * random.uniform(-0.8, side.walk)
                self._put(z := self._depth(5, 20) + i, motorcycle, x, z)

    def _traffic(self, left: float, right: float) -> None:
        random = self.random
        for _ in range(int(random.poisson(1.6))):
            z = self._depth(6, 80)
            x = random.uniform(left + 1.2, max(right - 1.2, left + 1.4))
            self._put(z, vehicle, x, z, bool(random.random() < 0.12))
        for _ in range(int(random.poisson(1.0))):
            z, x = self._depth(4.5, 40), random.uniform(left + 0.3, right - 0.3)
            if random.random() < 0.5:  # close to a kerb
                x = left + random.uniform(0.3, 1.2) if random.random() < 0.6 else right - random.uniform(0.3, 1.2)
            self._put(z, cyclist, x, z)
            if random.random() < 0.25:
                self._put(z + 1, cyclist, x + random.uniform(-0.9, 0.9), z + 1)
        for _ in range(int(random.poisson(0.35))):
            self._put(z := self._depth(6, 40), person, random.uniform(left, right), z)


def _bonnet(canvas: Canvas, random: Random) -> None:
    """Draw the bonnet of the car that carries the camera. It has no class."""
    width, height = WIDTH * SCALE, HEIGHT * SCALE
    top = height - random.uniform(6, 50)
    points = [
        (0.0, height),
        *((x, top + ((x / width - 0.6) ** 2) * random.uniform(40, 160)) for x in np.linspace(0, width, 9)),
        (width, height),
    ]
    canvas.polygon(
        [(float(x), float(y)) for x, y in points], vary(random, pick(random, ((20, 20, 22), (60, 62, 66)))), IGNORE
    )
