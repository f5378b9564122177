"""Background of painted streets: ground plan, sky, skyline, ground and road markings."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from PIL import Image

from index_builder.datasets.streets.canvas import (
    HEIGHT,
    SCALE,
    WIDTH,
    Camera,
    Canvas,
    Color,
    Random,
    noise_patch,
    pick,
    shade,
    vary,
)
from index_builder.datasets.streets.classes import BUILDING, PAVEMENT, ROAD, SKY, TREE
from index_builder.datasets.streets.trees import crown
from model_store.labelled import IGNORE

WALLS: tuple[Color, ...] = (
    (120, 85, 65), (150, 110, 85), (190, 170, 130), (205, 190, 155), (225, 220, 210), (200, 198, 192), (150, 145, 135),
    (95, 88, 80), (70, 62, 56), (170, 130, 100), (110, 70, 58), (130, 125, 120), (235, 232, 228), (120, 130, 140),
)  # fmt: skip
DEPTHS = (1.6, 2.2, 3, 4, 5.5, 7.5, 10, 14, 19, 26, 36, 50, 75, 120)


class Layout(NamedTuple):
    """Ground plan of a street, in metres.

    road, pavement, facade: X of the left and the right edge; open_side: whether the left and the right side have grass
    and trees instead of buildings; far: visible length of the street.
    """

    road: tuple[float, float]
    pavement: tuple[float, float]
    facade: tuple[float, float]
    open_side: tuple[bool, bool]
    far: float


def layout(random: Random) -> Layout:
    """Choose a random ground plan."""
    left, right = -random.uniform(1.7, 4.2), random.uniform(3.2, 9.5)
    walk = random.uniform(1.2, 4.5, 2)
    if random.random() < 0.12:
        walk = np.array([0.1, 0.1]) + random.uniform(0, 0.6, 2)
    setback = np.where(random.random(2) < 0.6, 0.0, random.uniform(0.5, 8, 2))
    chance = random.choice([0.08, 0.4, 0.9], p=[0.55, 0.25, 0.2])
    return Layout(
        (left, right),
        (left - walk[0], right + walk[1]),
        (left - walk[0] - setback[0], right + walk[1] + setback[1]),
        (bool(random.random() < chance), bool(random.random() < chance)),
        float(random.choice([30, 60, 110], p=[0.2, 0.35, 0.45])),
    )


def sky(canvas: Canvas, camera: Camera, random: Random) -> None:
    """Paint the sky: overexposed, blue, cloudy or dusk."""
    kind = random.choice(["white", "blue", "cloud", "dusk"], p=[0.38, 0.27, 0.23, 0.12])
    top, low = {
        "white": ((238, 242, 248), (252, 252, 252)),
        "blue": ((120, 170, 225), (215, 232, 245)),
        "cloud": ((165, 172, 182), (225, 226, 226)),
        "dusk": ((90, 105, 125), (180, 170, 150)),
    }[str(kind)]
    height, width = HEIGHT * SCALE // 8, WIDTH * SCALE // 8  # painted small and enlarged: the sky is smooth
    rise = np.linspace(0, 1, height, dtype=np.float32)[:, None, None] / max(camera.horizon / HEIGHT, 0.2)
    a, b = np.asarray(vary(random, top, 20), np.float32), np.asarray(vary(random, low, 14), np.float32)
    clouds = noise_patch(random, 9, height, width)[:, :, None] * (4 if kind == "white" else random.uniform(8, 26))
    image = (a + (b - a) * rise.clip(0, 1) + clouds).clip(0, 255).astype(np.uint8)
    canvas.fill(Image.fromarray(image), SKY)


def _strip(
    camera: Camera, left: float, right: float, near: float = 1.6, far: float = 400.0
) -> list[tuple[float, float]]:
    """Outline of a strip of ground along the road, from X `left` to `right` and Z `near` to `far`, metres."""
    depths = [near, *(z for z in DEPTHS if near < z < far), far]
    return [camera.point(left, 0, z) for z in depths] + [camera.point(right, 0, z) for z in reversed(depths)]


def ground(canvas: Canvas, camera: Camera, random: Random, street: Layout) -> None:
    """Paint grass, pavements and the road."""
    grass = pick(random, ((85, 105, 50), (100, 110, 65), (70, 85, 45), (110, 105, 75)))
    yard = pick(random, ((120, 115, 108), (100, 96, 92), (140, 132, 120)))
    below = camera.point(0, 0, 400)[1]
    everything = [
        (-10.0, below),
        (WIDTH * SCALE + 10.0, below),
        (WIDTH * SCALE + 10.0, HEIGHT * SCALE + 10.0),
        (-10.0, HEIGHT * SCALE + 10.0),
    ]
    canvas.polygon(everything, yard, PAVEMENT)
    for side, is_open in enumerate(street.open_side):
        if is_open:
            edge = street.pavement[side]
            canvas.polygon(_strip(camera, edge, edge + (-60 if side == 0 else 60)), vary(random, grass, 8), TREE)
    walk = pick(
        random, ((128, 122, 116), (105, 102, 100), (150, 142, 132), (88, 86, 86), (165, 158, 148), (140, 115, 100))
    )
    base = float(random.uniform(48, 130))
    road = vary(random, (int(base * 0.98), int(base), int(base * 1.03)), 6)
    for side in (0, 1):
        canvas.polygon(
            _strip(camera, street.road[side], street.pavement[side]), shade(walk, random.uniform(0.9, 1.08)), PAVEMENT
        )
        if random.random() < 0.6:
            _slabs(canvas, camera, random, street, side, walk)
    canvas.polygon(_strip(camera, *street.road), road, ROAD)
    for side, outwards in ((0, -1), (1, 1)):
        kerb = street.road[side]
        canvas.polygon(_strip(camera, kerb, kerb + outwards * 0.16), shade(walk, random.uniform(0.7, 1.35)), PAVEMENT)
        if random.random() < 0.4:
            for offset in (0.25, 0.5):
                line = kerb - outwards * offset
                canvas.polygon(_strip(camera, line, line - outwards * 0.07), vary(random, (190, 170, 60), 16), None)
    if random.random() < 0.22:
        _side_road(canvas, camera, random, street, road)


def _slabs(canvas: Canvas, camera: Camera, random: Random, street: Layout, side: int, walk: Color) -> None:
    joint = shade(walk, 0.82)
    for z in np.geomspace(1.8, 30, 26):
        canvas.line([camera.point(street.road[side], 0, z), camera.point(street.pavement[side], 0, z)], joint, 1, None)
    middle = (street.road[side] + street.pavement[side]) / 2
    canvas.line([camera.point(middle, 0, z) for z in DEPTHS], joint, 1, None)


def _side_road(canvas: Canvas, camera: Camera, random: Random, street: Layout, road: Color) -> None:
    """Paint a side road."""
    near = random.uniform(6, 25)
    far, side = near + random.uniform(5, 12), int(random.integers(2))
    edge = street.road[side]
    out = edge + (-40 if side == 0 else 40)
    corners = [
        camera.point(edge, 0, near),
        camera.point(edge, 0, far),
        camera.point(out, 0, far),
        camera.point(out, 0, near),
    ]
    canvas.polygon(corners, road, ROAD)


def markings(canvas: Canvas, camera: Camera, random: Random, street: Layout) -> None:
    """Paint lane lines, stop lines, zigzag lines, crossings and worn patches on the road."""
    left, right = street.road
    paint = vary(random, (205, 205, 200), 24)
    for _ in range(int(random.integers(0, 5))):
        x, z = random.uniform(left, right), random.uniform(3, 25)
        patch = [
            camera.point(x + dx, 0, z + dz) for dx, dz in ((0, 0), (random.uniform(0.5, 2), 0), (1.5, 3), (-0.2, 2.5))
        ]
        tone = int(random.uniform(45, 120))
        canvas.polygon([(px, py) for px, py in patch], (tone, tone, tone), None)
    centre = (left + right) / 2 + random.normal(0, 0.3)
    dash, gap = random.uniform(1.5, 4), random.uniform(2, 6)
    lines = [centre] if random.random() < 0.85 else []
    if random.random() < 0.25:
        lines += [left + (right - left) * 0.25, left + (right - left) * 0.75]
    for line in lines:
        z = random.uniform(1.6, 5)
        while z < 70:
            canvas.polygon(_strip(camera, line - 0.06, line + 0.06, z, z + dash), paint, None)
            z += dash + (gap if random.random() < 0.95 else 0.1)
    if random.random() < 0.25:
        z = random.uniform(4, 22)
        canvas.polygon(_strip(camera, left + 0.2, centre, z, z + 0.3), paint, None)
    if random.random() < 0.2:
        z, n = random.uniform(4, 25), 9
        for i in range(n):
            x = left + 0.3 + (right - left - 0.6) * i / n
            canvas.polygon(_strip(camera, x, x + (right - left) / n * 0.5, z, z + 2.5), paint, None)
    if random.random() < 0.25:
        for line in (left + 0.5, right - 0.6):
            points = [camera.point(line + (0.25 if i % 2 else -0.1), 0, 3 + 2.2 * i) for i in range(12)]
            for a, b in pairwise(points):
                canvas.line([a, b], paint, max(1, abs(a[1] - b[1]) * 0.06), None)


def skyline(canvas: Canvas, camera: Camera, random: Random) -> None:
    """Paint distant trees and houses at the horizon."""
    y = camera.point(0, 0, 400)[1]
    kind = random.choice(["trees", "houses", "both"], p=[0.45, 0.25, 0.3])
    if kind != "trees":
        x = -20.0
        while x < WIDTH * SCALE:
            wide, tall = random.uniform(20, 90), random.uniform(8, 60)
            color = shade(pick(random, WALLS), 0.9)
            canvas.polygon([(x, y + 6), (x, y - tall), (x + wide, y - tall), (x + wide, y + 6)], color, BUILDING)
            roof = [(x, y - tall), (x + wide * 0.5, y - tall - wide * random.uniform(0, 0.35)), (x + wide, y - tall)]
            canvas.polygon(roof, shade(color, 0.6), BUILDING)
            x += wide * random.uniform(0.8, 1.3)
    if kind != "houses":
        color = pick(random, ((70, 80, 55), (90, 85, 70), (100, 92, 84), (60, 66, 54)))
        for _ in range(int(random.integers(6, 16))):
            size = random.uniform(14, 70)
            crown(
                canvas,
                random,
                (random.uniform(0, WIDTH * SCALE), y - size * 0.5),
                size * random.uniform(0.7, 1.6),
                size,
                vary(random, color, 16),
            )
    if random.random() < 0.5:
        mud = pick(random, ((70, 66, 62), (100, 96, 90)))
        x = camera.point(0, 0, 120)[0]
        canvas.polygon([(x - 70, y + 5), (x - 70, y - 14), (x + 70, y - 14), (x + 70, y + 5)], mud, IGNORE)
