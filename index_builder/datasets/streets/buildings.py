"""Houses along painted streets: facades with windows, doors and shops, and roofs."""

from collections.abc import Callable

import numpy as np

from index_builder.datasets.streets.canvas import Camera, Canvas, Color, Point, Random, pick, quad, shade, vary
from index_builder.datasets.streets.classes import BUILDING, SIGN
from index_builder.datasets.streets.scene import WALLS, Layout
from index_builder.datasets.streets.street_furniture import lettering

SHOPS: tuple[Color, ...] = (
    (30, 30, 34), (120, 25, 30), (25, 60, 45), (30, 45, 95), (200, 190, 60), (60, 120, 70), (230, 228, 220),
    (90, 60, 45),
    (40, 90, 140), (180, 60, 40),
)  # fmt: skip
# fills the part of a facade between two shares of its length and two heights, metres
Panel = Callable[[tuple[float, float], tuple[float, float], Color], None]


def buildings(canvas: Canvas, camera: Camera, random: Random, street: Layout) -> None:
    """Draw a row of houses along each side with buildings, from far to near, and sometimes a row across the street."""
    if random.random() < 0.25:
        z = random.uniform(25, 70)
        x = camera.bend * z * z * -1
        for _ in range(4):
            wide = random.uniform(8, 22)
            _house(canvas, camera, random, (x - 24, x - 24 + wide), (z, z + random.uniform(-1, 1)))
            x += wide
    for side in (0, 1):
        if street.open_side[side]:
            continue
        rows: list[tuple[float, float]] = []
        z = random.uniform(0.8, 4) if random.random() < 0.75 else random.uniform(6, 22)
        while z < street.far:
            length = random.uniform(4, 16)
            rows.append((z, z + length))
            z += length + (0 if random.random() < 0.85 else random.uniform(2, 9))
        for near, far in reversed(rows):
            X = street.facade[side] + random.normal(0, 0.15) * (1 if random.random() < 0.8 else 8)
            _house(canvas, camera, random, (X, X), (max(near, 0.8), far))


def _house(canvas: Canvas, camera: Camera, random: Random, X: tuple[float, float], Z: tuple[float, float]) -> None:
    """Draw one house: a facade from (X[0], Z[0]) to (X[1], Z[1]) with roof, windows, and door or shop."""
    storeys = int(random.choice([1, 2, 3, 4, 5], p=[0.1, 0.32, 0.34, 0.16, 0.08]))
    storey = random.uniform(2.6, 3.4)
    tall = storeys * storey + random.uniform(0, 0.8)
    wall = pick(random, WALLS, 24)
    canvas.polygon(quad(camera, X, (0, tall), Z), wall, BUILDING)
    _roof(canvas, camera, random, X, Z, tall)
    side_on = X[0] == X[1]
    if side_on:  # the gable wall above a lower neighbour
        out = X[0] + (-8 if X[0] < 0 else 8)
        canvas.polygon(
            quad(camera, (X[0], out), (0, tall), (Z[0], Z[0])), shade(wall, random.uniform(0.6, 0.95)), BUILDING
        )
        canvas.polygon(quad(camera, X, (0, tall), Z), wall, BUILDING)

    def place(u: float, y: float) -> Point:
        return camera.point(X[0] + (X[1] - X[0]) * u, y, Z[0] + (Z[1] - Z[0]) * u)

    def panel(u: tuple[float, float], y: tuple[float, float], color: Color) -> None:
        canvas.polygon([place(u[0], y[0]), place(u[1], y[0]), place(u[1], y[1]), place(u[0], y[1])], color, None)

    length = abs(X[1] - X[0]) + abs(Z[1] - Z[0])
    columns = max(1, round(length / random.uniform(1.8, 3.6)))
    shop = random.random() < 0.5
    _windows(random, panel, columns, (1 if shop else 0, storeys), storey, wall)
    if shop:
        _shop(random, panel, storey)
    else:
        u = random.uniform(0.1, 0.8)
        panel((u, u + 1.0 / max(length, 2)), (0, 2.1), pick(random, SHOPS))
    for y in np.arange(1, storeys) * storey if random.random() < 0.3 else ():
        canvas.line([place(0, y), place(1, y)], shade(wall, 1.15), 1.5, None)
    canvas.line([place(0, 0), place(0, tall)], shade(wall, 0.7), 1.5, None)
    if side_on and random.random() < 0.35:
        _hanging_sign(canvas, camera, random, X[0], random.uniform(Z[0], Z[1]), storey)


def _windows(random: Random, panel: Panel, columns: int, storeys: tuple[int, int], storey: float, wall: Color) -> None:
    wide, high, sill = random.uniform(0.35, 0.7), random.uniform(0.45, 0.65), random.uniform(0.22, 0.32)
    glass = pick(random, ((35, 38, 44), (60, 66, 72), (120, 135, 150), (90, 96, 100)), 14)
    frame = (
        pick(random, ((225, 225, 220), (60, 50, 44), (200, 195, 185)), 14)
        if random.random() < 0.75
        else shade(wall, 0.75)
    )
    for floor in range(*storeys):
        for column in range(columns):
            u = (column + 0.5) / columns
            half = wide / columns / 2
            low = (floor + sill) * storey
            top = low + high * storey
            panel((u - half, u + half), (low, top), frame)
            pane = vary(random, glass, 12)
            panel((u - half * 0.82, u - half * 0.06), (low + 0.1, top - 0.1), pane)
            panel((u + half * 0.06, u + half * 0.82), (low + 0.1, top - 0.1), pane)


def _shop(random: Random, panel: Panel, storey: float) -> None:
    front = pick(random, SHOPS)
    panel((0.02, 0.98), (0, storey * 0.97), front)
    for a, b in ((0.06, 0.42), (0.58, 0.94)):
        panel((a, b), (0.45, storey * 0.72), pick(random, ((40, 40, 44), (85, 80, 70), (130, 120, 100), (60, 75, 85))))
        for _ in range(3):
            u, y = random.uniform(a, b - 0.06), random.uniform(0.6, storey * 0.6)
            panel((u, u + 0.05), (y, y + 0.4), pick(random, SHOPS))
    panel((0.46, 0.54), (0, 2.1), shade(front, 0.6))
    panel((0.02, 0.98), (storey * 0.78, storey * 0.97), pick(random, SHOPS))
    ink = (235, 230, 215) if random.random() < 0.7 else (40, 36, 32)
    u = random.uniform(0.1, 0.4)
    while u < 0.85:
        panel((u, u + 0.025), (storey * 0.82, storey * 0.93), ink)
        u += 0.04


def _hanging_sign(canvas: Canvas, camera: Camera, random: Random, X: float, z: float, storey: float) -> None:
    out = (1 if X < 0 else -1) * random.uniform(0.5, 1.1)
    y = storey * random.uniform(0.9, 1.4)
    color = pick(random, SHOPS, 30)
    corners = quad(camera, (X, X + out), (y, y + random.uniform(0.5, 1.3)), (z, z))
    canvas.polygon(corners, color, SIGN)
    lettering(canvas, random, corners, color)


def _roof(
    canvas: Canvas, camera: Camera, random: Random, X: tuple[float, float], Z: tuple[float, float], tall: float
) -> None:
    """Draw a pitched roof with chimneys. Some houses have a flat roof, which is not visible."""
    if random.random() < 0.3:
        return
    rise, back = random.uniform(1.2, 3.4), random.uniform(2.0, 4.0)
    color = pick(random, ((78, 76, 80), (100, 66, 54), (60, 58, 60), (120, 90, 74)))
    if X[0] == X[1]:
        ridge = X[0] + (-back if X[0] < 0 else back)
        ends = [camera.point(ridge, tall + rise, Z[1]), camera.point(ridge, tall + rise, Z[0])]
        gable = [
            camera.point(X[0], tall, Z[0]),
            camera.point(ridge, tall + rise, Z[0]),
            camera.point(2 * ridge - X[0], tall, Z[0]),
        ]
        canvas.polygon(gable, shade(color, 0.8), BUILDING)
    else:
        ridge = (X[0] + X[1]) / 2
        ends = [camera.point(X[1], tall + rise, Z[1] + back), camera.point(X[0], tall + rise, Z[0] + back)]
    canvas.polygon([camera.point(X[0], tall, Z[0]), camera.point(X[1], tall, Z[1]), *ends], color, BUILDING)
    for _ in range(int(random.integers(0, 3))):
        u = random.uniform(0.1, 0.9)
        z = Z[0] + (Z[1] - Z[0]) * u
        x = ridge if X[0] == X[1] else X[0] + (X[1] - X[0]) * u
        canvas.polygon(
            quad(camera, (x - 0.35, x + 0.35), (tall + rise * 0.6, tall + rise + random.uniform(0.8, 1.8)), (z, z)),
            pick(random, ((120, 80, 62), (90, 70, 60), (150, 130, 100))),
            BUILDING,
        )
