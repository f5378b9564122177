"""Objects that painted streets do not have: a tram, a market stall, a bench, a hydrant, a cone, a puddle, a balloon.

Each is drawn with the tools of the streets, with random size, colour, position and pose. The bundled network was
trained on none of them.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from index_builder.datasets.streets import (
    WIDTH,
    Camera,
    Canvas,
    Color,
    Layout,
    Random,
    StreetObject,
    paint_street,
    pick,
    quad,
    shade,
)

NEW = 100  # label of the object; the classes of the streets are 0..10
LEAST = 1000  # minimum number of visible pixels of the object, of 172,800
_FIRST_SEED = 40_000_000  # after the seeds of the splits of the streets
_BRIGHT: tuple[Color, ...] = (
    (205, 40, 40), (235, 190, 40), (40, 90, 180), (40, 140, 80), (230, 120, 40), (150, 60, 150), (235, 235, 230),
)  # fmt: skip

Draw = Callable[[Canvas, Camera, Random, float, float], None]


def tram(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """Draw a tram in two colours whose end faces the camera."""
    width, tall, length = random.uniform(2.2, 2.6), random.uniform(3.1, 3.6), random.uniform(12, 26)
    low, high = pick(random, _BRIGHT[:6]), pick(random, ((240, 238, 228), (225, 215, 190), (200, 205, 210)))
    glass = pick(random, ((40, 46, 54), (80, 95, 108)))
    waist, left, right = random.uniform(1.0, 1.5), X - width / 2, X + width / 2
    for side in (left, right):
        if (side == left) == (left > 0.2) and (left > 0.2 or right < -0.2):
            canvas.polygon(quad(camera, (side, side), (0.2, waist), (Z, Z + length)), shade(low, 0.8), NEW)
            canvas.polygon(quad(camera, (side, side), (waist, tall), (Z, Z + length)), shade(high, 0.8), NEW)
            for start in np.arange(Z + 0.4, Z + length - 1.4, 1.8):
                pane = quad(camera, (side, side), (waist + 0.1, tall - 0.6), (start, start + 1.4))
                canvas.polygon(pane, glass, None)
    canvas.polygon(quad(camera, (left, right), (0.2, waist), (Z, Z)), low, NEW)
    canvas.polygon(quad(camera, (left, right), (waist, tall), (Z, Z)), high, NEW)
    canvas.polygon(quad(camera, (left + 0.15, right - 0.15), (waist + 0.1, tall - 0.7), (Z, Z)), glass, None)
    canvas.polygon(quad(camera, (X - 0.6, X + 0.6), (tall - 0.6, tall - 0.2), (Z, Z)), (240, 180, 60), None)
    for at in (-0.7, 0.7):
        lamp = camera.point(X + at, waist - 0.35, Z)
        canvas.ellipse(lamp, camera.size(0.13, Z), camera.size(0.13, Z), (250, 245, 220), None)


def stall(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """Draw a market stall: a striped awning on poles over a table with goods."""
    half, tall = random.uniform(1.1, 1.8), random.uniform(2.1, 2.6)
    one, two = pick(random, _BRIGHT[:6]), pick(random, ((240, 240, 235), (245, 230, 190)))
    canvas.polygon(quad(camera, (X - half, X + half), (0.0, 0.9), (Z, Z)), pick(random, _BRIGHT), NEW)
    canvas.polygon(quad(camera, (X - half, X + half), (0.9, tall - 0.5), (Z, Z)), (52, 46, 42), NEW)
    for u in np.arange(-half + 0.15, half - 0.2, 0.3):
        goods = camera.point(X + u + 0.1, 1.0, Z)
        canvas.ellipse(goods, camera.size(0.15, Z), camera.size(0.14, Z), pick(random, _BRIGHT), None)
    for side in (-half, half):
        canvas.line(
            [camera.point(X + side, 0, Z), camera.point(X + side, tall, Z)], (90, 92, 96), camera.size(0.06, Z), NEW
        )
    stripes = int(random.integers(6, 12))
    for i in range(stripes):
        a, b = (X + half * 1.12 * (2 * (i + d) / stripes - 1) for d in (0, 1))
        canvas.polygon(quad(camera, (a, b), (tall - 0.5, tall + 0.35), (Z, Z)), one if i % 2 else two, NEW)


def bench(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """Draw a park bench of slats, from the front or turned."""
    half, turn = random.uniform(0.7, 1.0), random.uniform(-0.6, 0.6)
    wood = pick(random, ((140, 92, 50), (165, 120, 70), (60, 110, 70), (150, 50, 40), (110, 80, 55)))
    Xs, Zs = (X - half, X + half), (Z + turn * half, Z - turn * half)
    leg = max(camera.size(0.09, Z), 2)
    for x, z in zip(Xs, Zs, strict=True):
        canvas.line([camera.point(x, 0, z), camera.point(x, 0.95, z)], (40, 40, 42), leg, NEW)
    canvas.polygon(quad(camera, Xs, (0.36, 0.52), Zs), shade(wood, 0.85), NEW)
    for i in range(3):
        y = 0.54 + 0.15 * i
        canvas.polygon(quad(camera, Xs, (y, y + 0.12), Zs), shade(wood, random.uniform(0.95, 1.15)), NEW)


def hydrant(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """Draw a fire hydrant: a short post with a dome and two nozzles."""
    tall, wide = random.uniform(0.8, 1.1), random.uniform(0.16, 0.22)
    paint = pick(random, ((200, 35, 30), (225, 180, 40), (190, 60, 30)))
    canvas.polygon(quad(camera, (X - wide, X + wide), (0, tall * 0.8), (Z, Z)), paint, NEW)
    canvas.polygon(quad(camera, (X - wide * 1.4, X + wide * 1.4), (0, 0.1), (Z, Z)), shade(paint, 0.7), NEW)
    canvas.ellipse(
        camera.point(X, tall * 0.8, Z), camera.size(wide, Z), camera.size(tall * 0.2, Z), shade(paint, 1.1), NEW
    )
    for side in (-1, 1):
        nozzle = quad(camera, (X, X + side * wide * 1.7), (tall * 0.5, tall * 0.68), (Z, Z))
        canvas.polygon(nozzle, shade(paint, 0.85), NEW)
    canvas.ellipse(
        camera.point(X, tall * 0.55, Z), camera.size(wide * 0.5, Z), camera.size(wide * 0.5, Z), (225, 225, 220), None
    )


def cone(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """Draw a traffic cone with white bands."""
    tall, wide = random.uniform(0.7, 1.05), random.uniform(0.2, 0.3)
    paint = pick(random, ((235, 95, 25), (225, 70, 30), (240, 120, 40)), 10)
    lean = random.normal(0, 0.04)

    def band(low: float, high: float) -> list[tuple[float, float]]:
        a, b = wide * (1 - low * 0.85), wide * (1 - high * 0.85)
        return [
            camera.point(X - a + lean * low, tall * low, Z), camera.point(X + a + lean * low, tall * low, Z),
            camera.point(X + b + lean * high, tall * high, Z), camera.point(X - b + lean * high, tall * high, Z),
        ]  # fmt: skip

    canvas.polygon(quad(camera, (X - wide * 1.4, X + wide * 1.4), (0, 0.08), (Z, Z)), shade(paint, 0.7), NEW)
    canvas.polygon(band(0.05, 1), paint, NEW)
    for low, high in ((0.35, 0.5), (0.68, 0.82)):
        canvas.polygon(band(low, high), (240, 240, 235), None)


def puddle(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """Draw a puddle that reflects a bright sky, with ripples."""
    across, along = random.uniform(0.7, 1.8), random.uniform(0.1, 0.25) * Z
    water = pick(random, ((185, 200, 215), (150, 170, 190), (205, 212, 220)))
    phases = random.uniform(0, 2 * math.pi, 3)

    def outline(scale: float) -> list[tuple[float, float]]:
        points = []
        for angle in np.linspace(0, 2 * math.pi, 36, endpoint=False):
            ragged = scale * (1 + 0.1 * math.sin(2 * angle + phases[0]) + 0.07 * math.sin(5 * angle + phases[1]))
            points.append(camera.point(X + across * ragged * math.cos(angle), 0, Z + along * ragged * math.sin(angle)))
        return points

    canvas.polygon(outline(1.08), (52, 52, 54), None)
    canvas.polygon(outline(1), water, NEW)
    for scale in (0.7, 0.4):
        canvas.line(outline(scale)[:20], shade(water, random.uniform(0.85, 1.12)), 2, None)


def balloon(canvas: Canvas, camera: Camera, random: Random, X: float, Z: float) -> None:
    """Draw a hot-air balloon with stripes in two colours and a basket."""
    radius, up = random.uniform(4, 8), random.uniform(11, 17)
    one, two = pick(random, _BRIGHT), pick(random, _BRIGHT[:4])
    centre = camera.point(X, up, Z)
    across, tall = camera.size(radius, Z), camera.size(radius * 1.12, Z)
    foot = camera.point(X, up - radius * 1.75, Z)
    canvas.polygon(
        [
            (centre[0] - across * 0.8, centre[1] + tall * 0.6),
            (centre[0] + across * 0.8, centre[1] + tall * 0.6),
            (foot[0] + across * 0.15, foot[1]),
            (foot[0] - across * 0.15, foot[1]),
        ],
        two,
        NEW,
    )
    for i, share in enumerate(np.linspace(1, 0.12, int(random.integers(4, 8)))):
        canvas.ellipse(centre, across * share, tall, one if i % 2 else two, NEW)
    size = across * 0.16
    canvas.polygon(
        [
            (foot[0] - size, foot[1] + size),
            (foot[0] + size, foot[1] + size),
            (foot[0] + size, foot[1] + 3 * size),
            (foot[0] - size, foot[1] + 3 * size),
        ],
        (110, 76, 46),
        NEW,
    )


class _Kind(NamedTuple):
    """draw: draws the object; depth: minimum and maximum distance, metres; where: "road", "kerb" or "view"; most:
    maximum number of objects."""

    draw: Draw
    depth: tuple[float, float]
    where: str
    most: int = 1


THINGS = {
    "tram": _Kind(tram, (9, 22), "road"),
    "market stall": _Kind(stall, (7, 14), "kerb"),
    "bench": _Kind(bench, (5, 9), "kerb"),
    "hydrant": _Kind(hydrant, (3.5, 6), "kerb"),
    "traffic cone": _Kind(cone, (3.5, 7), "road", 3),
    "puddle": _Kind(puddle, (5, 9), "road"),
    "balloon": _Kind(balloon, (28, 60), "view"),
}


def paint(thing: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Paint a street with a new object.

    Args:
        thing: a key of `THINGS`.
        number: number of the image, 0, 1, ... A number always gives the same image.

    Returns:
        [360, 480, 3] uint8 RGB and [360, 480] uint8 labels: `NEW`, a class of the streets, or 255 for none.

    Raises:
        ValueError: if the object is hidden in 100 streets.
    """
    first = _FIRST_SEED + list(THINGS).index(thing) * 1_000_000 + number * 100
    for seed in range(first, first + 100):  # until the object is visible
        image, labels = paint_street(seed, partial(_place, THINGS[thing], np.random.default_rng([seed, 5])))
        if (labels == NEW).sum() >= LEAST:
            return image, labels
    raise ValueError(f"{thing!r}, number {number}: the object is hidden in 100 streets; choose another number")


def _place(kind: _Kind, random: Random, canvas: Canvas, camera: Camera, street: Layout) -> list[StreetObject]:
    things: list[StreetObject] = []
    for _ in range(int(random.integers(1, kind.most + 1))):
        Z = float(random.uniform(*kind.depth))
        if kind.where == "road":
            X = float(random.uniform(street.road[0] + 0.6, min(street.road[1] - 0.6, street.road[0] + 6)))
        elif kind.where == "kerb":
            X = float(random.choice(street.road)) * 1.02
        else:
            X = (WIDTH * float(random.uniform(0.2, 0.8)) - camera.x) / camera.focal * Z
        seen = (WIDTH * np.array([0.1, 0.9]) - camera.x) / camera.focal * Z
        things.append(StreetObject(Z, partial(kind.draw, canvas, camera, random, float(np.clip(X, *seen)), Z)))
    return things
